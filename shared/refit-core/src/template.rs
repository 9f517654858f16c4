//! Parameters of a run: JSON with CEL in `${ }`.
//!
//! A string that is one `${ }` keeps the type of its result; text around it makes a string; everything else is
//! literal. `$${` writes `${`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expression::{Expression, ExpressionError, Scope};

/// A JSON value, some of which is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// A literal.
    Literal(Value),
    /// The result of an expression, with its type.
    Computed(Expression),
    /// Text with the results of expressions in it.
    Text(Vec<Piece>),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Map(BTreeMap<String, Self>),
}

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// As written.
    Literal(String),
    /// Computed.
    Computed(Expression),
}

impl Template {
    /// Reads a template whose expressions may use the `variables` named.
    ///
    /// # Errors
    /// An expression is refused, or a `${` is not closed; the offset is within the string it stands in.
    pub fn parse(value: &Value, variables: &[&str]) -> Result<Self, ExpressionError> {
        Ok(match value {
            Value::String(text) => Self::text(text, variables)?,
            Value::Array(items) => {
                let items = items.iter().map(|item| Self::parse(item, variables));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let parse =
                    |(key, value): (&String, _)| Ok((key.clone(), Self::parse(value, variables)?));
                Self::Map(fields.iter().map(parse).collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Literal(value.clone()),
        })
    }

    fn text(text: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        let mut pieces = pieces(text, variables)?;
        Ok(match pieces.as_slice() {
            [] => Self::Literal(Value::String(String::new())),
            [Piece::Literal(text)] => Self::Literal(Value::String(text.clone())),
            [Piece::Computed(_)] => match pieces.remove(0) {
                Piece::Computed(expression) => Self::Computed(expression),
                Piece::Literal(text) => Self::Literal(Value::String(text)),
            },
            _ => Self::Text(pieces),
        })
    }

    /// The value, with the results of its expressions.
    ///
    /// # Errors
    /// An expression cannot be evaluated.
    pub fn render(&self, scope: &Scope) -> Result<Value, String> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Computed(expression) => expression.eval(scope)?,
            Self::Text(pieces) => Value::String(render_text(pieces, scope)?),
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>()?)
            }
            Self::Map(fields) => {
                let render =
                    |(key, field): (&String, &Self)| Ok((key.clone(), field.render(scope)?));
                Value::Object(fields.iter().map(render).collect::<Result<_, String>>()?)
            }
        })
    }

    /// Whether an expression of it looks at `field` of `variable`.
    #[must_use]
    pub fn uses(&self, variable: &str, field: &str) -> bool {
        self.any(&|expression| expression.uses(variable, field))
    }

    /// Whether an expression of it looks at `variable`.
    #[must_use]
    pub fn mentions(&self, variable: &str) -> bool {
        self.any(&|expression| expression.mentions(variable))
    }

    fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Computed(expression) => test(expression),
            Self::Text(pieces) => pieces.iter().any(|piece| match piece {
                Piece::Computed(expression) => test(expression),
                Piece::Literal(_) => false,
            }),
            Self::List(items) => items.iter().any(|item| item.any(test)),
            Self::Map(fields) => fields.values().any(|item| item.any(test)),
        }
    }
}

/// A value as it stands within a text: a text as it is, anything else as JSON.
#[must_use]
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn render_text(pieces: &[Piece], scope: &Scope) -> Result<String, String> {
    let mut rendered = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => rendered.push_str(literal),
            Piece::Computed(expression) => rendered.push_str(&text(&expression.eval(scope)?)),
        }
    }
    Ok(rendered)
}

fn pieces(text: &str, variables: &[&str]) -> Result<Vec<Piece>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|from| at + from) {
        literal.push_str(&text[at..found]);
        if literal.ends_with('$') {
            literal.push('{');
            at = found + 2;
            continue;
        }
        let end = closing(text, found + 2).ok_or_else(|| unclosed(found))?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        let source = &text[found + 2..end];
        let shift =
            |error: ExpressionError| ExpressionError { offset: error.offset + found + 2, ..error };
        pieces.push(Piece::Computed(Expression::compile(source, variables).map_err(shift)?));
        at = end + 1;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn unclosed(offset: usize) -> ExpressionError {
    ExpressionError { message: "`${` is not closed by `}`".to_owned(), offset }
}

/// The `}` that closes an expression starting at `from`, past the braces and strings within it.
fn closing(text: &str, from: usize) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text[from..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '{' => depth += 1,
                '}' if depth == 0 => return Some(from + at),
                '}' => depth -= 1,
                _ => {}
            },
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &Value) -> Result<Value, String> {
        let template = Template::parse(template, &["batch"]).map_err(|error| error.message)?;
        template.render(&Scope::new(BTreeMap::from([("batch", json!({"count": 3, "key": "eu"}))]))?)
    }

    #[test]
    fn one_expression_keeps_its_type_and_text_around_it_makes_a_string() {
        let cases = [
            (json!("${ batch.count }"), json!(3)),
            (json!("${ batch.count } files"), json!("3 files")),
            (json!("${batch.key}/${batch.count}"), json!("eu/3")),
            (json!("${ {'a': '}'}.a }"), json!("}")),
            (json!("$${ batch.count }"), json!("${ batch.count }")),
            (json!("cost in $"), json!("cost in $")),
            (json!(""), json!("")),
            (json!({"a": [0.1, "${ batch.count > 2 }", null]}), json!({"a": [0.1, true, null]})),
        ];
        for (template, wanted) in cases {
            assert_eq!(render(&template), Ok(wanted), "{template}");
        }
    }

    #[test]
    fn a_wrong_expression_is_found_where_it_stands() {
        let error = Template::parse(&json!("x ${ nope }"), &["batch"]).unwrap_err();
        assert_eq!(error.offset, 5, "{error:?}");
        assert_eq!(Template::parse(&json!("x ${ batch"), &["batch"]).unwrap_err().offset, 2);
    }

    #[test]
    fn a_template_says_which_fields_it_uses() {
        let template = Template::parse(&json!({"a": ["${ batch.uris }"]}), &["batch"]).unwrap();
        assert!(template.uses("batch", "uris") && !template.uses("batch", "count"));
    }
}
