//! What a `pipeline.yaml` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use refit_core::diagnostics::Diagnostic;
use refit_core::key::sha256_hex;
use refit_core::plan::ParameterKind;
use refit_core::time::Span;
use refit_wire::config;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::registry::is_model;

/// The file in a pipeline's folder.
const FILE: &str = "pipeline.yaml";
const BYTES_MAX: u64 = 64 << 10;
const STEPS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 63;

/// A pipeline: what its file says, and the folder its steps run in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pipeline {
    pub(super) folder: PathBuf,
    pub(super) definition: Definition,
}

/// What a pipeline's file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// Its name; the folder's where the file has none.
    #[serde(default)]
    pub(super) name: String,
    /// The parameters it takes; any where the file does not say.
    #[serde(default)]
    pub(super) parameters: Option<BTreeMap<String, Parameter>>,
    /// Its steps, in their order.
    pub(super) steps: Vec<Step>,
    /// What serves the model its runs make; no part of a version, for it changes no run.
    #[serde(default, skip_serializing)]
    pub(super) serve: Option<Serve>,
}

/// A parameter a pipeline takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameter {
    #[serde(rename = "type")]
    pub(super) kind: ParameterKind,
    /// What it is where a run does not say; a run must say where this is absent.
    #[serde(default)]
    pub(super) default: Option<Value>,
}

/// One step: a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: String,
    /// The program and its arguments. An argument `{refit}` stands for the program that runs the service.
    pub(super) command: Vec<String>,
    /// How long it may take.
    #[serde(default = "timeout_default")]
    pub(super) timeout: Span,
}

/// What serves a model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Serve {
    /// The model; the pipeline's name where the file does not say.
    #[serde(default)]
    pub(super) model: String,
    /// The program and its arguments, as those of a step.
    pub(super) command: Vec<String>,
}

fn timeout_default() -> Span {
    Span::hours(1)
}

impl Pipeline {
    /// Reads the pipeline in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let told =
            |wrong: Wrong| format!("{}: file=`{}{}`", wrong.why, path.display(), wrong.place);
        let failed = |error: io::Error| told(error.to_string().into());
        let size = fs::metadata(&path).map_err(failed)?.len();
        if size > BYTES_MAX {
            return Err(told(format!("larger than {BYTES_MAX} bytes").into()));
        }
        let text = fs::read_to_string(&path).map_err(failed)?;
        let definition = Definition::parse(&text, &name_of(folder)).map_err(told)?;
        Ok(Self { folder: folder.to_owned(), definition })
    }
}

/// What is wrong with a file, in a line: the service's answer, and what is told of it, have one.
#[derive(Debug)]
struct Wrong {
    why: String,
    /// `:line:column`, where it is known.
    place: String,
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { why, place: String::new() }
    }
}

impl From<Vec<Diagnostic>> for Wrong {
    fn from(found: Vec<Diagnostic>) -> Self {
        let Some(first) = found.first() else { return String::new().into() };
        let cure = first.cure.as_ref().map(|cure| format!(": {cure}")).unwrap_or_default();
        let more = match found.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let place = format!(":{}:{}", first.place.line, first.place.column);
        Self { why: format!("{}{cure}{more}", first.message), place }
    }
}

/// The name a pipeline has by its folder.
pub(super) fn name_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Definition {
    fn parse(text: &str, name: &str) -> Result<Self, Wrong> {
        let mut definition: Self = config::read_as(text)?;
        if definition.name.is_empty() {
            name.clone_into(&mut definition.name);
        }
        if let Some(serve) = definition.serve.as_mut().filter(|serve| serve.model.is_empty()) {
            serve.model.clone_from(&definition.name);
        }
        definition.check()?;
        Ok(definition)
    }

    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!("not a name: name=`{}`", self.name));
        }
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(format!("not between 1 and {STEPS_MAX} steps"));
        }
        if let Some(serve) = &self.serve {
            serve.check()?;
        }
        let mut names = BTreeSet::new();
        for step in &self.steps {
            step.check()?;
            if !names.insert(&step.name) {
                return Err(format!("two steps of one name: step=`{}`", step.name));
            }
        }
        for (name, parameter) in self.parameters.iter().flatten() {
            let default = parameter.default.as_ref();
            if default.is_some_and(|value| !is_of(value, parameter.kind)) {
                return Err(format!("the default is not of the type: parameter=`{name}`"));
            }
        }
        Ok(())
    }

    /// Names what it says, not how it is written.
    pub(super) fn version(&self) -> String {
        let json = serde_json::to_vec(self).expect("names, numbers and lists are JSON");
        sha256_hex(&json)
    }

    /// The parameters of a run, those it left out as they are by default; or everything that is wrong with them.
    pub(super) fn fill(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let Some(declared) = &self.parameters else {
            return Ok(given.clone());
        };
        let unknown = given.keys().filter(|name| !declared.contains_key(*name));
        let mut wrong: Vec<_> = unknown.map(|name| format!("unknown parameter `{name}`")).collect();
        let mut all = Map::new();
        for (name, parameter) in declared {
            match given.get(name).or(parameter.default.as_ref()) {
                Some(value) if is_of(value, parameter.kind) => {
                    all.insert(name.clone(), value.clone());
                }
                Some(_) => wrong.push(format!("parameter `{name}` is no {}", word(parameter.kind))),
                None => wrong.push(format!("parameter `{name}` is missing")),
            }
        }
        if wrong.is_empty() { Ok(all) } else { Err(wrong.join(", ")) }
    }
}

impl Serve {
    fn check(&self) -> Result<(), String> {
        if !is_model(&self.model) {
            return Err(format!("what serves a model names none: model=`{}`", self.model));
        }
        if self.command.first().is_none_or(String::is_empty) {
            return Err("what serves a model has no command".to_owned());
        }
        Ok(())
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("{why}: step=`{}`", self.name));
        if !is_name(&self.name) || self.name.contains('.') {
            return wrong("not a name");
        }
        if self.command.first().is_none_or(String::is_empty) {
            return wrong("no command");
        }
        if self.timeout == Span::ZERO {
            return wrong("no time to run");
        }
        Ok(())
    }
}

/// Letters, digits, `_`, `-` and `.`, the first a letter or a digit.
fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= NAME_CHARS_MAX
        && text.chars().all(legal)
}

fn is_of(value: &Value, kind: ParameterKind) -> bool {
    match kind {
        ParameterKind::Integer => value.is_i64() || value.is_u64(),
        ParameterKind::Double => value.is_number(),
        ParameterKind::String => value.is_string(),
        ParameterKind::Boolean => value.is_boolean(),
        ParameterKind::List => value.is_array(),
        ParameterKind::Struct => value.is_object(),
        ParameterKind::Any => true,
    }
}

fn word(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Integer => "integer",
        ParameterKind::Double => "double",
        ParameterKind::String => "string",
        ParameterKind::Boolean => "boolean",
        ParameterKind::List => "list",
        ParameterKind::Struct => "struct",
        ParameterKind::Any => "value",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STEP: &str = "steps: [{name: a, command: [sh]}]";

    #[test]
    fn a_definition_that_cannot_run_is_refused_with_the_reason() {
        let check = |text: &str, expected: &str| {
            let Wrong { why, place } = Definition::parse(text, "folder").unwrap_err();
            let told = format!("{why}{place}");
            assert!(told.contains(expected), "{text}: {told}");
        };
        check("", "the file is empty");
        check("steps: []", "steps");
        check(&format!("serve: {{command: []}}\n{STEP}"), "serves a model has no command");
        check(&format!("serve: {{command: [a], model: A}}\n{STEP}"), "names none: model=`A`");
        check(&format!("serve: {{command: [a], port: 1}}\n{STEP}"), "port");
        check(&format!("name: ../x\n{STEP}"), "not a name: name=`../x`");
        check(&format!("nam: x\n{STEP}"), "unknown setting `nam`: did you mean `name`?:1:1");
        check("steps: [{nmae: a, comand: [sh]}]", "did you mean `name`? (and 1 more):1:10");
        check("steps: [{name: a, command: [sleep, 1]}]", "in quotes it is text: \"1\":1:36");
        check("steps: [{name: ../a, command: [sh]}]", "not a name: step=`../a`");
        check("steps: [{name: a.old, command: [sh]}]", "not a name");
        check("steps: [{name: a, command: []}]", "no command: step=`a`");
        check("steps: [{name: a, command: [sh], timeout: 0s}]", "no time");
        check("steps: [{name: a, command: [sh], timeout: soon}]", "length of time");
        check(
            "steps: [{name: a, command: [sh]}, {name: a, command: [sh]}]",
            "two steps of one name",
        );
        check(&format!("parameters: {{n: {{type: number}}}}\n{STEP}"), "number");
        check(
            &format!("parameters: {{n: {{type: integer, default: x}}}}\n{STEP}"),
            "parameter=`n`",
        );
    }

    #[test]
    fn the_version_changes_with_what_is_said_and_not_with_how() {
        let version = |text: &str| Definition::parse(text, "folder").unwrap().version();
        let plain = version(STEP);
        assert_eq!(version(&format!("# a comment\nname: folder\n{STEP}")), plain);
        assert_eq!(version("steps: [{name: a, command: [sh], timeout: 60m}]"), plain);
        assert_ne!(version("steps: [{name: a, command: [sh], timeout: 61m}]"), plain);
        assert_ne!(version(&format!("name: other\n{STEP}")), plain);
        assert_eq!(version(&format!("serve: {{command: [a]}}\n{STEP}")), plain, "no run changes");
        assert_eq!(plain.len(), 64);
    }

    #[test]
    fn parameters_are_filled_in_or_all_that_is_wrong_is_said() {
        let parameters = "parameters:
          s: {type: string}
          i: {type: integer, default: 1}
          d: {type: double, default: 1}
          b: {type: boolean, default: true}
          l: {type: list, default: [1]}
          m: {type: struct, default: {}}
          x: {type: any, default: 1}";
        let definition = Definition::parse(&format!("{parameters}\n{STEP}"), "folder").unwrap();
        let fill = |given: Value| definition.fill(given.as_object().unwrap());
        let filled = fill(json!({"s": "a", "i": 2, "d": 0.5, "x": []})).map(Value::Object);
        let expected = json!({"s": "a", "i": 2, "d": 0.5, "b": true, "l": [1], "m": {}, "x": []});
        assert_eq!(filled, Ok(expected));
        let wrong = fill(json!({"i": 0.5, "d": "1", "b": 1, "l": {}, "m": [], "y": 1, "s": null}));
        let expected = "unknown parameter `y`, parameter `b` is no boolean, parameter `d` is no double, \
                        parameter `i` is no integer, parameter `l` is no list, parameter `m` is no struct, \
                        parameter `s` is no string";
        assert_eq!(wrong, Err(expected.to_owned()));
        assert_eq!(fill(json!({})), Err("parameter `s` is missing".to_owned()));
    }

    #[test]
    fn a_pipeline_that_declares_nothing_takes_anything() {
        let definition = Definition::parse(STEP, "folder").unwrap();
        let given = json!({"any": [1]}).as_object().unwrap().clone();
        assert_eq!(definition.fill(&given), Ok(given));
    }
}
