//! Containers of Cloud Run: which one is given the parameters, and how.

use refit_core::template;
use serde_json::{Value, json};

use super::answer;

/// What is run, a job or a service by the setting of that name, and the container of it must have names.
pub(super) fn check_target(
    setting: &str,
    name: &str,
    container: Option<&str>,
) -> Result<(), String> {
    match (name, container) {
        ("", _) => Err(format!("`{setting}` is empty")),
        (_, Some("")) => Err("`container` is empty".to_owned()),
        _ => Ok(()),
    }
}

/// A parameter is a variable of the environment.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match begins && name.chars().all(legal) && !name.starts_with("REFIT_") {
        true => Ok(()),
        false => Err(format!(
            "a parameter is a variable of the environment such as `DATA`, and those of `REFIT_` \
             are refit's: name=`{name}`"
        )),
    }
}

/// The parameters as variables.
pub(super) fn variables(parameters: &Value) -> Result<Vec<Value>, String> {
    let all = parameters.as_object().into_iter().flatten();
    all.map(|(name, value)| {
        check_name(name)?;
        Ok(json!({ "name": name, "value": template::text(value) }))
    })
    .collect()
}

/// Which of the containers is given the parameters: that of the name, else the only one.
pub(super) fn chosen(containers: Option<&Value>, wanted: Option<&str>) -> Result<usize, String> {
    let all = containers.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_named = |it: &Value| answer::text_at(it, "/name") == wanted;
    match (wanted, all.len()) {
        (_, 0) => Err("there are no containers".to_owned()),
        (Some(wanted), _) => {
            all.iter().position(is_named).ok_or_else(|| format!("there is no container `{wanted}`"))
        }
        (None, 1) => Ok(0),
        (None, _) => Err("say with `container` which one is meant".to_owned()),
    }
}
