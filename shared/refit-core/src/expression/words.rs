//! What goes wrong when an expression is evaluated, in words: of which kind values were, never the values, which are an
//! event's own, and whose maps have no order.

use cel::{ExecutionError, Value};

use super::clip;

/// The words for it.
pub(super) fn words(error: &ExecutionError) -> String {
    use ExecutionError as E;
    match error {
        E::UnsupportedTargetType { target } => format!("no function takes {}", kind(target)),
        E::NotSupportedAsMethod { method, target } => {
            format!("`{}` does not take {}", clip(method), kind(target))
        }
        E::UnsupportedKeyType(key) => format!("{} cannot be a key", kind(key)),
        E::ValuesNotComparable(a, b) => format!("{} and {} cannot be compared", kind(a), kind(b)),
        E::UnsupportedBinaryOperator(operator, a, b) => {
            format!("`{operator}` does not take {} and {}", kind(a), kind(b))
        }
        E::UnsupportedIndex(index, value) => {
            format!("{} has no place that {} names", kind(value), kind(index))
        }
        E::DivisionByZero(_) | E::RemainderByZero(_) => "a division by zero".to_owned(),
        E::Overflow(operator, ..) => format!("the result of `{operator}` is too large"),
        E::IndexOutOfBounds(_) => "a list has no such place".to_owned(),
        E::DuplicateKey(_) => "a key is repeated".to_owned(),
        E::InvalidArgumentCount { .. }
        | E::UnexpectedType { .. }
        | E::NoSuchKey(_)
        | E::NoSuchOverload(_)
        | E::UndeclaredReference(_)
        | E::MissingArgumentOrTarget
        | E::FunctionError { .. } => clip(&error.to_string()),
        _ => "it cannot be evaluated".to_owned(),
    }
}

fn kind(value: &Value) -> String {
    let kind = value.type_of().to_string();
    let article = if kind.starts_with(['a', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}
