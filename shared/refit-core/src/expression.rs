//! CEL expressions, bounded: what a rule file may compute from an event or a batch.
//!
//! The evaluator has no budget of its own, so everything that could be expensive is refused when the rule file
//! is read: long sources, deep nesting, functions whose results outgrow their arguments, patterns made from
//! data, and expressions whose worst case costs too much.

mod cost;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Value as Cel};
use serde_json::Value;

use words::words;

/// Bytes of source at the most.
pub const SOURCE_BYTES_MAX: usize = 4096;
/// Operator characters outside strings at the most: a chain of them nests as deep as it is long.
const OPERATORS_MAX: usize = 200;
/// Levels of the parser at the most.
const PARSER_DEPTH_MAX: u16 = 32;
/// Levels of the parsed expression at the most.
const DEPTH_MAX: usize = 64;
/// Nodes of the parsed expression at the most.
const NODES_MAX: usize = 500;
/// Bytes of one value an expression may look at, as JSON.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one string an expression may look at; a longer one is left out, as if its key were absent.
pub const STRING_BYTES_MAX: usize = 8 * 1024;
/// Items of one list an expression may look at.
pub const LIST_ITEMS_MAX: usize = 1000;

/// What an expression may call, beside the operators. Functions whose result outgrows their arguments by more
/// than a constant factor (`replace`, `join`, `format`) are left out: their cost cannot be bounded beforehand.
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "hasValue",
    "indexOf",
    "int",
    "lowerAscii",
    "matches",
    "optional.none",
    "optional.of",
    "or",
    "orValue",
    "size",
    "split",
    "startsWith",
    "string",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
    "value",
];

/// Names that are no variables: types, and the namespace of optional values.
const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "optional", "string", "uint"];

/// The language: the standard library with its macros, and the string functions of [`FUNCTIONS`].
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings).expect("the string functions are declared once");
    Arc::new(env)
});

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    source: String,
    ast: Arc<IdedExpr>,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong, in words.
    pub message: String,
    /// Where in the source, in bytes.
    pub offset: usize,
}

/// The values an expression may look at, by variable.
pub struct Scope(Context<'static, 'static>);

impl Expression {
    /// Compiles `source`, which may use the `variables` named and nothing else.
    ///
    /// # Errors
    /// The source is too long, not CEL, uses an unknown variable or function, or could cost too much.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        check_source(source)?;
        let parser = LANGUAGE.parser().max_recursion_depth(PARSER_DEPTH_MAX);
        let (ast, info) =
            parser.parse_with_source_info(source).map_err(|e| parse_error(source, &e))?;
        check_tree(&ast, &info)?;
        check_names(&ast, &info, variables)?;
        cost::check(&ast)?;
        Ok(Self { source: source.to_owned(), ast: Arc::new(ast) })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it looks at `field` of `variable`, as in `batch.uris`.
    #[must_use]
    pub fn uses(&self, variable: &str, field: &str) -> bool {
        self.fields_of(variable).contains(field)
    }

    /// The fields of `variable` it looks at by name, as in `batch.uris`, `batch.?uris` and `batch['uris']`.
    #[must_use]
    pub fn fields_of(&self, variable: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        walk(&self.ast, |node, _| {
            found.extend(field_of(node, variable));
            true
        });
        found
    }

    /// Whether it looks at `variable`.
    #[must_use]
    pub fn mentions(&self, variable: &str) -> bool {
        let mut found = false;
        walk(&self.ast, |node, _| {
            found |= matches!(&node.expr, Expr::Ident(name) if name == variable);
            !found
        });
        found
    }

    /// Evaluates to a JSON value.
    ///
    /// # Errors
    /// Says what went wrong: a missing key, values that cannot be compared, a result that is no JSON.
    pub fn eval(&self, scope: &Scope) -> Result<Value, String> {
        let value = scope.0.resolve(&self.ast).map_err(|error| words(&error))?;
        value.json().map_err(|_| "the result is not a JSON value".to_owned())
    }

    /// What is wrong with it for any values of the types in `sample`: types that do not fit each other. Errors
    /// that other values might not meet, such as a missing key or a division by zero, are left out.
    #[must_use]
    pub fn mismatch(&self, sample: &Scope) -> Option<String> {
        match sample.0.resolve(&self.ast) {
            Err(
                error @ (ExecutionError::NoSuchOverload(_)
                | ExecutionError::NotSupportedAsMethod { .. }
                | ExecutionError::UnexpectedType { .. }
                | ExecutionError::UnsupportedBinaryOperator(..)
                | ExecutionError::UnsupportedIndex(..)
                | ExecutionError::UnsupportedKeyType(_)
                | ExecutionError::UnsupportedTargetType { .. }
                | ExecutionError::ValuesNotComparable(..)),
            ) => Some(words(&error)),
            Err(_) | Ok(_) => None,
        }
    }

    /// Evaluates to true or false.
    ///
    /// # Errors
    /// As [`Expression::eval`], and where the result is neither.
    pub fn eval_bool(&self, scope: &Scope) -> Result<bool, String> {
        let result = self.eval(scope)?;
        let wrong = || clip(&result.to_string());
        result
            .as_bool()
            .ok_or_else(|| format!("the result is neither true nor false: result=`{}`", wrong()))
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

impl Scope {
    /// A scope with these variables.
    ///
    /// # Errors
    /// A value is larger than [`VALUE_BYTES_MAX`] or a list in it longer than [`LIST_ITEMS_MAX`].
    pub fn new(variables: BTreeMap<&str, Value>) -> Result<Self, String> {
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        for (name, value) in variables {
            let mut bytes = 0;
            context.add_variable_from_value(name, to_cel(value, &mut bytes)?);
        }
        Ok(Self(context))
    }
}

/// Converts JSON, integers as `int`: CEL reads them as `uint`, which cannot be added to a literal.
fn to_cel(value: Value, bytes: &mut usize) -> Result<Cel, String> {
    *bytes += 8;
    let converted = match value {
        Value::Null => Cel::Null,
        Value::Bool(answer) => Cel::Bool(answer),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, float) => Cel::Float(float.unwrap_or(f64::NAN)),
        },
        Value::String(text) => {
            *bytes += text.len();
            Cel::String(Arc::new(text))
        }
        Value::Array(items) if items.len() > LIST_ITEMS_MAX => {
            return Err(format!("a list is too long for an expression: items=`{}`", items.len()));
        }
        Value::Array(items) => {
            let items: Result<Vec<Cel>, String> =
                items.into_iter().map(|item| to_cel(item, bytes)).collect();
            Cel::List(Arc::new(items?))
        }
        Value::Object(fields) => {
            let mut map: std::collections::HashMap<Key, Cel> = Default::default();
            for (key, value) in fields.into_iter().filter(|(_, value)| !is_long(value)) {
                *bytes += key.len();
                map.insert(Key::from(key), to_cel(value, bytes)?);
            }
            Cel::Map(Map::from(map))
        }
    };
    if *bytes > VALUE_BYTES_MAX {
        return Err(format!(
            "a value is too large for an expression: limit=`{VALUE_BYTES_MAX} bytes`"
        ));
    }
    Ok(converted)
}

fn is_long(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() > STRING_BYTES_MAX)
}

fn check_source(source: &str) -> Result<(), ExpressionError> {
    let refuse = |message: String| Err(ExpressionError { message, offset: 0 });
    if source.trim().is_empty() {
        return refuse("the expression is empty".to_owned());
    }
    if source.len() > SOURCE_BYTES_MAX {
        return refuse(format!("the expression is longer than {SOURCE_BYTES_MAX} bytes"));
    }
    if operators(source) > OPERATORS_MAX {
        return refuse(format!("the expression has more than {OPERATORS_MAX} operators"));
    }
    Ok(())
}

/// Counts operator and bracket characters outside strings.
fn operators(source: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut count = 0;
    for c in source.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => count += usize::from("+-*/%<>=!&|?.([{,".contains(c)),
        }
    }
    count
}

fn parse_error(source: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError { message: "not a CEL expression".to_owned(), offset: 0 };
    };
    let message = match first.msg.to_lowercase().contains("recursion") {
        true => "the expression is nested too deeply".to_owned(),
        false => in_words(first.msg.lines().next().unwrap_or_default()),
    };
    ExpressionError { message, offset: offset_of(source, first.pos) }
}

/// The parser's message without the list of everything that could stand there.
fn in_words(message: &str) -> String {
    let message = message.trim_start_matches("Syntax error: ");
    let message = message.split(" expecting ").next().unwrap_or(message);
    format!("not CEL: {}", clip(&message.replace("'<EOF>'", "the end of the expression")))
}

fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let text = source.get(before..).unwrap_or_default();
    before + text.chars().take(column).map(char::len_utf8).sum::<usize>()
}

fn check_tree(ast: &IdedExpr, info: &SourceInfo) -> Result<(), ExpressionError> {
    let mut nodes = 0;
    let mut wrong = None;
    walk(ast, |node, depth| {
        nodes += 1;
        let fault = fault_of(node, depth, nodes);
        wrong = wrong.take().or(fault.map(|message| located(message, node, info)));
        wrong.is_none()
    });
    wrong.map_or(Ok(()), Err)
}

fn fault_of(node: &IdedExpr, depth: usize, nodes: usize) -> Option<String> {
    if depth > DEPTH_MAX || nodes > NODES_MAX {
        return Some("the expression is too large".to_owned());
    }
    if let Expr::Call(call) = &node.expr
        && call.func_name == "matches"
    {
        let literal = |arg: &IdedExpr| matches!(arg.expr, Expr::Literal(LiteralValue::String(_)));
        let fixed = call.args.last().is_some_and(literal);
        return (!fixed)
            .then(|| "the pattern of `matches` must be written out in the rule".to_owned());
    }
    matches!(node.expr, Expr::Struct(_)).then(|| "messages cannot be built here".to_owned())
}

fn check_names(
    ast: &IdedExpr,
    info: &SourceInfo,
    variables: &[&str],
) -> Result<(), ExpressionError> {
    let mut bound: Vec<String> = Vec::new();
    walk(ast, |node, _| {
        if let Expr::Comprehension(inner) = &node.expr {
            bound.extend([inner.iter_var.clone(), inner.accu_var.clone()]);
            bound.extend(inner.iter_var2.clone());
        }
        true
    });
    let mut wrong = None;
    walk(ast, |node, _| {
        wrong = name_fault(node, variables, &bound).map(|message| located(message, node, info));
        wrong.is_none()
    });
    wrong.map_or(Ok(()), Err)
}

fn name_fault(node: &IdedExpr, variables: &[&str], bound: &[String]) -> Option<String> {
    if let Expr::Ident(name) = &node.expr {
        let known = variables.contains(&name.as_str())
            || bound.contains(name)
            || TYPES.contains(&name.as_str());
        let known_variables = variables.join(", ");
        return (!known)
            .then(|| format!("unknown variable: name=`{name}`, known=`{known_variables}`"));
    }
    let Expr::Call(call) = &node.expr else { return None };
    let name = call.func_name.as_str();
    let operator = name.starts_with(['_', '!', '-', '@']);
    let namespaced = format!("optional.{name}");
    let known = operator || FUNCTIONS.contains(&name) || FUNCTIONS.contains(&namespaced.as_str());
    (!known).then(|| format!("unknown function: name=`{name}`"))
}

fn located(message: String, node: &IdedExpr, info: &SourceInfo) -> ExpressionError {
    let start = info.offset_for(node.id).map_or(0, |(start, _)| start as usize);
    ExpressionError { message, offset: info.source.floor_char_boundary(start) }
}

/// Visits every node with its depth, by a stack of its own; ends early where `visit` says false.
fn walk<'a>(root: &'a IdedExpr, mut visit: impl FnMut(&'a IdedExpr, usize) -> bool) {
    let mut stack = vec![(root, 1)];
    while let Some((node, depth)) = stack.pop() {
        if !visit(node, depth) {
            return;
        }
        stack.extend(children(node).into_iter().map(|child| (child, depth + 1)));
    }
}

fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(c) => {
            vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            map.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect()
        }
        Expr::Struct(s) => s.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

fn entry_children(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// The field of `variable` a node selects, where it is written out.
fn field_of<'a>(node: &'a IdedExpr, variable: &str) -> Option<&'a str> {
    let (operand, field) = if let Expr::Select(select) = &node.expr {
        (select.operand.as_ref(), select.field.as_str())
    } else if let Expr::Call(call) = &node.expr
        && let ("_[_]" | "_[?_]" | "_?._", [operand, key]) =
            (call.func_name.as_str(), call.args.as_slice())
        && let Expr::Literal(LiteralValue::String(text)) = &key.expr
    {
        (operand, text.inner())
    } else {
        return None;
    };
    matches!(&operand.expr, Expr::Ident(name) if name == variable).then_some(field)
}

/// Keeps messages that quote data short.
fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
