//! A rule file on this machine, with everything there is to say about it.

use std::fmt;
use std::path::{Path, PathBuf};

use refit_core::diagnostics::{Diagnostic, Place, Severity};
use refit_wire::claim;
use refit_wire::config::{self, Config};
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::sentence::sentence;
use crate::words::count;

/// The rule file where none is named.
pub(crate) const DEFAULT: &str = "refit.yaml";

/// A rule file that was read.
pub(crate) struct RuleFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// What it says, unless there is an error in it.
    pub(crate) config: Option<Config>,
    /// Everything there is to say about it.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What a check of a rule file found.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    file: String,
    /// The revision it is known by once it is applied.
    revision: Option<String>,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<Diagnostic>,
    triggers: Vec<Described>,
    #[serde(skip)]
    rendered: String,
}

/// What a trigger will do.
#[derive(Debug, Serialize)]
struct Described {
    trigger: String,
    does: String,
}

impl RuleFile {
    /// Reads a rule file, right or wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::read_for(path, None)
    }

    /// The same of one that is meant for the ledger at that location, whatever it says itself.
    pub(crate) fn read_for(path: &Path, ledger: Option<&str>) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let (config, mut diagnostics) = config::read_for(&text, ledger);
        diagnostics.extend(config.iter().flat_map(|config| unbuilt(&text, config)));
        let config = config.filter(|_| !diagnostics.iter().any(Diagnostic::is_error));
        Ok(Self { path: path.to_owned(), text, config, diagnostics })
    }

    /// The ledger it names, also where something else in it is wrong. A file that is no YAML may name one nobody can
    /// make out.
    pub(crate) fn ledger(&self) -> Result<Option<String>, Failure> {
        if let Some(config) = &self.config {
            return Ok(config.ledger.clone());
        }
        let document: Option<Value> = serde_saphyr::from_str(&self.text).ok();
        match document.as_ref().map(|document| document.get("ledger")) {
            Some(None) => Ok(None),
            Some(Some(Value::String(location))) => Ok(Some(location.clone())),
            Some(Some(_)) | None => {
                let message = format!(
                    "the rule file is wrong, and may name the ledger: see `refit check`, or say --ledger: file=`{}`",
                    self.path.display()
                );
                Err(Failure::new(Exit::Invalid, message))
            }
        }
    }

    /// What there is to say about it, as people read it.
    pub(crate) fn checked(&self, output: Output) -> Checked {
        let file = self.path.display().to_string();
        let errors = self.diagnostics.iter().filter(|found| found.is_error()).count();
        let triggers = self.config.iter().flat_map(|config| &config.rules.triggers);
        let described =
            |(name, rule): (&String, _)| Described { trigger: name.clone(), does: sentence(rule) };
        Checked {
            revision: self.config.as_ref().map(|config| config.rules.revision.clone()),
            errors,
            warnings: self.diagnostics.len() - errors,
            triggers: triggers.map(described).collect(),
            rendered: config::render(&file, &self.text, &self.diagnostics, output.has_colours()),
            diagnostics: self.diagnostics.clone(),
            file,
        }
    }
}

/// What this build could do nothing with.
fn unbuilt(text: &str, config: &Config) -> Vec<Diagnostic> {
    let guards = config.rules.triggers.iter().filter_map(|(name, rule)| {
        let guard = rule.run.guard.as_ref()?;
        (guard.starts_with(claim::S3) && !cfg!(feature = "aws")).then_some((name, guard))
    });
    let refused = guards.map(|(name, guard)| {
        let begin = text.find(guard.as_str()).unwrap_or_default();
        let place = Place::new(text, begin..begin + guard.len());
        let cure = "install one with --features aws, or write `gs://BUCKET/FOLDER`";
        Diagnostic {
            severity: Severity::Error,
            message: format!("claims in s3 are not in this build: guard=`{guard}`"),
            place,
            path: format!("triggers.{name}.run.guard"),
            cure: Some(cure.to_owned()),
            secret: false,
        }
    });
    refused.collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let (exit, cure) = match error.kind() {
        std::io::ErrorKind::NotFound => (Exit::NotFound, "; `refit init` writes a first one"),
        std::io::ErrorKind::InvalidData => (Exit::Invalid, ""),
        _ => (Exit::Internal, ""),
    };
    let message = format!("the rule file cannot be read: {error}{cure}: file=`{}`", path.display());
    Failure::new(exit, message)
}

impl Checked {
    /// Whether the file cannot be used.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether something in the file is probably not meant.
    pub(crate) fn has_warnings(&self) -> bool {
        self.warnings > 0
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)?;
        for Described { trigger, does } in &self.triggers {
            writeln!(f, "{trigger}: {does}\n")?;
        }
        let counted = |number: usize, one, many| count(number as u64, one, many);
        write!(
            f,
            "{}: {}, {}, {}",
            self.file,
            counted(self.errors, "error", "errors"),
            counted(self.warnings, "warning", "warnings"),
            counted(self.triggers.len(), "trigger", "triggers"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "\
services: { x: { mage: { endpoint: \"http://127.0.0.1:6789\" } } }
triggers:
  churn:
    on: { objects: { bucket: b, prefix: churn/ } }
    run: { service: x, schedule: 7, token: { env: T }, guard: s3://acme-guards/churn, parameters: { claim: \"${ run.claim }\" } }
";

    #[test]
    fn claims_in_s3_take_a_build_that_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT);
        std::fs::write(&path, RULES).unwrap();
        let read = RuleFile::read(&path).unwrap();
        assert_eq!(read.config.is_some(), cfg!(feature = "aws"), "{:?}", read.diagnostics);
        let faults: Vec<_> = read.diagnostics.iter().filter(|it| it.is_error()).collect();
        if let [fault] = faults[..] {
            assert!(fault.cure.as_ref().unwrap().contains("--features aws"), "{fault:?}");
            assert_eq!((fault.place.line, fault.path.as_str()), (5, "triggers.churn.run.guard"));
        }
    }
}
