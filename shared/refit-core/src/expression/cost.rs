//! What an expression can cost at the worst, found before it is ever evaluated.
//!
//! One unit is about ten nanoseconds of the optimised evaluator: a node visited costs [`NODE`], a byte touched
//! costs one. Lists and strings are taken to be as large as the bounds of the scope allow.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue};

use super::{
    ExpressionError, LIST_ITEMS_MAX, STRING_BYTES_MAX, VALUE_BYTES_MAX, children, entry_children,
};

/// Units one node costs.
const NODE: u64 = 30;
/// Units an expression may cost: about 50 ms.
const COST_MAX: u64 = 5_000_000;
/// Loops within one another, however short the lists.
const LOOPS_MAX: usize = 2;

/// The worst case of an expression: what evaluating it costs, and how large its value can be.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    cost: u64,
    bytes: u64,
    items: u64,
}

/// Names bound by the loops around an expression, with the worst case of their values.
type Bound<'a> = Vec<(&'a str, Worst)>;

/// Refuses an expression whose worst case is beyond [`COST_MAX`], or whose loops are nested deeper than [`LOOPS_MAX`].
pub(super) fn check(ast: &IdedExpr) -> Result<(), ExpressionError> {
    if loops(ast) > LOOPS_MAX {
        let message = format!("the expression has more than {LOOPS_MAX} loops within one another");
        return Err(ExpressionError { message, offset: 0 });
    }
    if worst(ast, &mut Vec::new()).cost <= COST_MAX {
        return Ok(());
    }
    let message = "the expression could take too long: a loop within a loop over values of an event, or a \
                   result that grows with every step";
    Err(ExpressionError { message: message.to_owned(), offset: 0 })
}

/// How deep loops are nested; one over what another gave comes after it, not within it.
fn loops(node: &IdedExpr) -> usize {
    match &node.expr {
        Expr::Comprehension(inner) => {
            let step = loops(&inner.loop_cond).max(loops(&inner.loop_step));
            loops(&inner.iter_range).max(step + 1)
        }
        _ => children(node).into_iter().map(loops).max().unwrap_or(0),
    }
}

fn worst<'a>(node: &'a IdedExpr, bound: &mut Bound<'a>) -> Worst {
    let mut found = match &node.expr {
        Expr::Literal(literal) => of_literal(literal),
        Expr::Ident(name) => of_name(name, bound),
        Expr::Select(select) => worst(&select.operand, bound),
        Expr::Call(call) => of_call(call, bound),
        Expr::List(list) => {
            let parts: Vec<Worst> = list.elements.iter().map(|item| worst(item, bound)).collect();
            Worst { items: parts.len() as u64, ..together(&parts) }
        }
        Expr::Map(map) => {
            let nodes = map.entries.iter().flat_map(|entry| entry_children(&entry.expr));
            let parts: Vec<Worst> = nodes.map(|node| worst(node, bound)).collect();
            Worst { items: parts.len() as u64 / 2, ..together(&parts) }
        }
        Expr::Comprehension(inner) => of_loop(inner, bound),
        Expr::Struct(_) | Expr::Unspecified => Worst::default(),
    };
    found.cost = found.cost.saturating_add(NODE);
    found
}

fn of_literal(literal: &LiteralValue) -> Worst {
    let bytes = match literal {
        LiteralValue::String(text) => text.inner().len() as u64,
        LiteralValue::Bytes(bytes) => bytes.inner().len() as u64,
        LiteralValue::Boolean(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::Null
        | LiteralValue::UInt(_) => 8,
    };
    Worst { cost: 0, bytes, items: 1 }
}

fn of_name(name: &str, bound: &Bound<'_>) -> Worst {
    let inner = bound.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let outer = Worst { cost: 0, bytes: VALUE_BYTES_MAX as u64, items: LIST_ITEMS_MAX as u64 };
    inner.unwrap_or(outer)
}

/// Every function reads its arguments once and answers with no more than their bytes together.
fn of_call<'a>(call: &'a CallExpr, bound: &mut Bound<'a>) -> Worst {
    let nodes = call.target.as_deref().into_iter().chain(&call.args);
    let parts: Vec<Worst> = nodes.map(|node| worst(node, bound)).collect();
    let sum = together(&parts);
    let steps = match call.func_name.as_str() {
        // A pattern is written out in the rule; matching is linear in the text for each of its bytes.
        "matches" => {
            sum.bytes.saturating_mul(parts.last().map_or(1, |pattern| pattern.bytes / 8 + 1))
        }
        "_&&_" | "_||_" | "!_" | "_?_:_" | "_[_]" | "@not_strictly_false" => 0,
        _ => sum.bytes,
    };
    let items = match call.func_name.as_str() {
        "split" => sum.bytes.min(STRING_BYTES_MAX as u64),
        "_+_" => parts.iter().map(|part| part.items).sum(),
        _ => parts.iter().map(|part| part.items).max().unwrap_or(1),
    };
    Worst { cost: sum.cost.saturating_add(steps), bytes: sum.bytes, items }
}

fn of_loop<'a>(inner: &'a ComprehensionExpr, bound: &mut Bound<'a>) -> Worst {
    let range = worst(&inner.iter_range, bound);
    let item = Worst { cost: 0, bytes: range.bytes / range.items.max(1) + 1, items: range.items };
    let depth = bound.len();
    bound.push((&inner.iter_var, item));
    bound.extend(inner.iter_var2.as_deref().map(|name| (name, item)));
    // What the steps before have gathered is passed on, not read again.
    bound.push((&inner.accu_var, Worst::default()));
    let step = together(&[worst(&inner.loop_cond, bound), worst(&inner.loop_step, bound)]);
    bound.truncate(depth);
    let all = step.cost.saturating_mul(range.items.max(1));
    Worst {
        cost: range.cost.saturating_add(all),
        bytes: step.bytes.saturating_mul(range.items.max(1)),
        items: range.items,
    }
}

fn together(parts: &[Worst]) -> Worst {
    parts.iter().fold(Worst::default(), |sum, part| Worst {
        cost: sum.cost.saturating_add(part.cost),
        bytes: sum.bytes.saturating_add(part.bytes),
        items: sum.items.max(part.items),
    })
}
