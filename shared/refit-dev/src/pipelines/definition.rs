//! What a `pipeline.yaml` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use refit_core::diagnostics::{Diagnostic, Place, Severity};
use refit_core::key::sha256_hex;
use refit_core::plan::ParameterKind;
use refit_core::time::Span;
use refit_wire::config;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::registry::is_model;

/// The file in a pipeline's folder that says what it is.
pub const FILE: &str = "pipeline.yaml";
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
    #[serde(default, deserialize_with = "name")]
    pub(super) name: String,
    /// The parameters it takes; any where the file does not say.
    #[serde(default, deserialize_with = "parameters")]
    pub(super) parameters: Option<BTreeMap<String, Parameter>>,
    /// Its steps, in their order.
    #[serde(deserialize_with = "steps")]
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
    #[serde(deserialize_with = "step_name")]
    pub(super) name: String,
    /// The program and its arguments. An argument `{refit}` stands for the program that runs the service.
    #[serde(deserialize_with = "command")]
    pub(super) command: Vec<String>,
    /// How long it may take.
    #[serde(default = "timeout_default", deserialize_with = "timeout")]
    pub(super) timeout: Span,
}

/// What serves a model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Serve {
    /// The model; the pipeline's name where the file does not say.
    #[serde(default, deserialize_with = "model")]
    pub(super) model: String,
    /// The program and its arguments, as those of a step.
    #[serde(deserialize_with = "command")]
    pub(super) command: Vec<String>,
}

fn timeout_default() -> Span {
    Span::hours(1)
}

/// The text of a pipeline's file.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > BYTES_MAX {
        let message = format!("larger than {BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    fs::read_to_string(path)
}

/// Everything that is wrong with what a pipeline's file says; `folder` is where the file lies.
#[must_use]
pub fn check(text: &str, folder: &Path) -> Vec<Diagnostic> {
    Definition::parse(text, &name_of(folder)).err().unwrap_or_default()
}

impl Pipeline {
    /// Reads the pipeline in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let told = |why: String| format!("{why}: file=`{}`", path.display());
        let text = text(&path).map_err(|error| told(error.to_string()))?;
        let definition = Definition::parse(&text, &name_of(folder));
        let definition = definition.map_err(|found| in_a_line(&found, &path))?;
        Ok(Self { folder: folder.to_owned(), definition })
    }
}

/// What is wrong with a file, in a line: the service's answer, and what is told of it, have one.
fn in_a_line(found: &[Diagnostic], path: &Path) -> String {
    let Some(Diagnostic { message, place, cure, .. }) = found.first() else { return String::new() };
    let cure = cure.as_ref().map(|cure| format!(": {cure}")).unwrap_or_default();
    let more = match found.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let path = path.display();
    format!("{message}{cure}{more}: file=`{path}:{}:{}`", place.line, place.column)
}

/// The name a pipeline has by its folder.
pub(super) fn name_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Definition {
    fn parse(text: &str, name: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut definition: Self = config::read_as(text)?;
        if definition.name.is_empty() {
            name.clone_into(&mut definition.name);
        }
        if let Some(serve) = definition.serve.as_mut().filter(|serve| serve.model.is_empty()) {
            serve.model.clone_from(&definition.name);
        }
        if !is_name(&definition.name) {
            return Err(vec![nameless(text, name)]);
        }
        Ok(definition)
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

/// A file without a name in a folder whose name is none.
fn nameless(text: &str, folder: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message: format!("not a name: folder=`{folder}`"),
        place: Place::new(text, 0..0),
        path: String::new(),
        cure: Some("give the pipeline one: `name: churn`".to_owned()),
        secret: false,
    }
}

/// A value of the file, unless it is unfit for the reason given.
fn fit<'de, T, D>(reader: D, unfit: impl FnOnce(&T) -> Option<String>) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let value = T::deserialize(reader)?;
    match unfit(&value) {
        Some(why) => Err(D::Error::custom(why)),
        None => Ok(value),
    }
}

fn name<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    fit(reader, |name: &String| (!is_name(name)).then(|| format!("not a name: name=`{name}`")))
}

fn model<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let why = |model: &String| format!("what serves a model names none: model=`{model}`");
    fit(reader, |model: &String| (!is_model(model)).then(|| why(model)))
}

fn parameters<'de, D>(reader: D) -> Result<Option<BTreeMap<String, Parameter>>, D::Error>
where
    D: Deserializer<'de>,
{
    fit(reader, |parameters: &Option<BTreeMap<String, Parameter>>| {
        let is_unfit = |parameter: &Parameter| {
            let default = parameter.default.as_ref();
            default.is_some_and(|value| !is_of(value, parameter.kind))
        };
        let (name, _) = parameters.iter().flatten().find(|(_, parameter)| is_unfit(parameter))?;
        Some(format!("the default is not of the type: parameter=`{name}`"))
    })
}

fn step_name<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let is_fit = |name: &String| is_name(name) && !name.contains('.');
    fit(reader, |name: &String| (!is_fit(name)).then(|| format!("not a name: step=`{name}`")))
}

fn command<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<String>, D::Error> {
    let is_none = |command: &Vec<String>| command.first().is_none_or(String::is_empty);
    fit(reader, |command: &Vec<String>| is_none(command).then(|| "no program is named".to_owned()))
}

fn timeout<'de, D: Deserializer<'de>>(reader: D) -> Result<Span, D::Error> {
    fit(reader, |span: &Span| (*span == Span::ZERO).then(|| "no time to run".to_owned()))
}

fn steps<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Step>, D::Error> {
    fit(reader, |steps: &Vec<Step>| {
        if steps.is_empty() || steps.len() > STEPS_MAX {
            return Some(format!("not between 1 and {STEPS_MAX} steps"));
        }
        let mut names = BTreeSet::new();
        let again = steps.iter().find(|step| !names.insert(&step.name))?;
        Some(format!("two steps of one name: step=`{}`", again.name))
    })
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
            let found = Definition::parse(text, "folder").unwrap_err();
            let told = in_a_line(&found, Path::new("f"));
            assert!(told.contains(expected), "{text}: {told}");
        };
        check("", "the file is empty");
        let found = Definition::parse(STEP, "my folder").unwrap_err();
        assert_eq!(
            in_a_line(&found, Path::new("f")),
            "not a name: folder=`my folder`: give the pipeline one: `name: churn`: file=`f:1:1`"
        );
        check("steps: []", "not between 1 and 32 steps: file=`f:1:8`");
        check(&format!("serve: {{command: []}}\n{STEP}"), "no program is named: file=`f:1:18`");
        check(
            &format!("serve: {{command: [a], model: A}}\n{STEP}"),
            "names none: model=`A`: file=`f:1:30`",
        );
        check(&format!("serve: {{command: [a], port: 1}}\n{STEP}"), "port");
        check(&format!("name: ../x\n{STEP}"), "not a name: name=`../x`: file=`f:1:7`");
        check(
            &format!("nam: x\n{STEP}"),
            "unknown setting `nam`: did you mean `name`?: file=`f:1:1`",
        );
        check(
            "steps: [{nmae: a, comand: [sh]}]",
            "did you mean `name`? (and 1 more): file=`f:1:10`",
        );
        check(
            "steps: [{name: a, command: [sleep, 1]}]",
            "in quotes it is text: \"1\": file=`f:1:36`",
        );
        check("steps: [{name: ../a, command: [sh]}]", "not a name: step=`../a`: file=`f:1:16`");
        check("steps: [{name: a.old, command: [sh]}]", "not a name: step=`a.old`: file=`f:1:16`");
        check("steps: [{name: a, command: []}]", "no program is named: file=`f:1:28`");
        check("steps: [{name: a, command: [sh], timeout: 0s}]", "no time to run: file=`f:1:43`");
        check("steps: [{name: a, command: [sh], timeout: soon}]", "length of time");
        check(
            "steps: [{name: a, command: [sh]}, {name: a, command: [sh]}]",
            "two steps of one name: step=`a`: file=`f:1:8`",
        );
        check(&format!("parameters: {{n: {{type: number}}}}\n{STEP}"), "number");
        check(
            &format!("parameters: {{n: {{type: integer, default: x}}}}\n{STEP}"),
            "parameter=`n`: file=`f:1:13`",
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
