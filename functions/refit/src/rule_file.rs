//! A rule file on this machine, with everything there is to say about it.

use std::fmt;
use std::path::{Path, PathBuf};

use refit_core::diagnostics::{Diagnostic, Place, Severity};
use refit_core::time::Timestamp;
use refit_platform::part::Part;
use refit_wire::claim;
use refit_wire::config::{self, Config, Mention};
use refit_wire::notify::sample;
use refit_wire::outgoing::Outgoing;
use refit_wire::pipeline::auth::is_of_aws;
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

/// What a check of a file found.
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
        let text = std::fs::read_to_string(path).map_err(|error| {
            unreadable("the rule file", path, &error, "; `refit init` writes a first one")
        })?;
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
        let triggers = self.config.iter().flat_map(|config| &config.rules.triggers);
        let described =
            |(name, rule): (&String, _)| Described { trigger: name.clone(), does: sentence(rule) };
        Checked {
            revision: self.config.as_ref().map(|config| config.rules.revision.clone()),
            triggers: triggers.map(described).collect(),
            ..Checked::of(&self.path, &self.text, self.diagnostics.clone(), output)
        }
    }
}

/// What this build could do nothing with.
fn unbuilt(text: &str, config: &Config) -> Vec<Diagnostic> {
    let guards = config.rules.triggers.iter().filter_map(|(name, rule)| {
        let guard = rule.run.guard.as_ref().filter(|guard| guard.starts_with(claim::S3))?;
        let path = format!("triggers.{name}.run.guard");
        Some(Lacking {
            part: Part::Aws,
            what: format!("claims in s3 are not in this build: guard=`{guard}`"),
            place: place_of(text, guard),
            path,
            instead: ", or write `gs://BUCKET/FOLDER`",
        })
    });
    let topics = config.tellers.iter().filter_map(|(name, teller)| {
        let (id, letter) = sample(name, Timestamp::EPOCH);
        let Outgoing::Publish(message) = teller.tell("", id, &letter, None).outgoing else {
            return None;
        };
        let topic = message.topic;
        let kind = config.notifier_configs.get(name)?.kind();
        Some(Lacking {
            part: Part::Topics,
            what: format!("topics are not in this build: topic=`{topic}`"),
            place: place_of(text, &topic),
            path: format!("notify.{name}.{kind}.topic"),
            instead: "",
        })
    });
    let secrets = config.secrets.iter().filter(|secret| is_of_aws(&secret.text));
    let secrets = secrets.map(|Mention { text, place, path }| Lacking {
        part: Part::Aws,
        what: format!("secrets of aws are not in this build: secret=`{text}`"),
        place: place.clone(),
        path: path.clone(),
        instead: ", or keep it elsewhere: `{ env: NAME }`, `{ secret: projects/P/secrets/S }`",
    });
    let named = guards.chain(topics).chain(secrets);
    named.filter(|lacking| !lacking.part.is_built()).map(Lacking::told).collect()
}

/// Something a rule file names, and the part of a build it takes.
struct Lacking {
    part: Part,
    what: String,
    place: Place,
    path: String,
    /// What else would mend it.
    instead: &'static str,
}

impl Lacking {
    fn told(self) -> Diagnostic {
        let cure = format!("install one with --features {}{}", self.part.feature(), self.instead);
        Diagnostic {
            severity: Severity::Error,
            message: self.what,
            place: self.place,
            path: self.path,
            cure: Some(cure),
            secret: false,
        }
    }
}

/// Where a name stands first.
fn place_of(text: &str, name: &str) -> Place {
    let begin = text.find(name).unwrap_or_default();
    Place::new(text, begin..begin + name.len())
}

/// What is said of a file that cannot be read; `cure` is said where there is none.
pub(crate) fn unreadable(
    what: &str,
    path: &Path,
    error: &std::io::Error,
    cure: &'static str,
) -> Failure {
    let (exit, cure) = match error.kind() {
        std::io::ErrorKind::NotFound => (Exit::NotFound, cure),
        std::io::ErrorKind::InvalidData => (Exit::Invalid, ""),
        _ => (Exit::Internal, ""),
    };
    let message = format!("{what} cannot be read: {error}{cure}: file=`{}`", path.display());
    Failure::new(exit, message)
}

impl Checked {
    /// What there is to say about a file that has no triggers.
    pub(crate) fn of(path: &Path, text: &str, found: Vec<Diagnostic>, output: Output) -> Self {
        let file = path.display().to_string();
        let errors = found.iter().filter(|found| found.is_error()).count();
        Self {
            revision: None,
            errors,
            warnings: found.len() - errors,
            triggers: Vec::new(),
            rendered: config::render(&file, text, &found, output.has_colours()),
            diagnostics: found,
            file,
        }
    }

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
    notify: [bus]
    run: { service: x, schedule: 7, token: TOKEN, guard: \"GUARD/churn\", parameters: { claim: \"${ run.claim }\" } }
notify:
  bus: RECEIVER
";

    const TOKEN: &str = "{ env: T }";
    const GUARD: &str = "gs://acme-guards";
    const RECEIVER: &str = "{ webhook: { url: \"https://bus.acme.example/\", auth: none } }";
    const ARN_OF_T: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/t-AbCdEf";

    /// Reads the rules with these in their places.
    fn read(token: &str, guard: &str, receiver: &str) -> RuleFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT);
        let text = RULES.replace("TOKEN", token).replace("GUARD", guard);
        std::fs::write(&path, text.replace("RECEIVER", receiver)).unwrap();
        RuleFile::read(&path).unwrap()
    }

    #[test]
    fn what_a_build_lacks_is_refused_where_it_is_named_and_nothing_else_is() {
        let arn = format!("{{ secret: \"{ARN_OF_T}\" }}");
        let hook = format!(
            "{{ webhook: {{ url: \"https://bus.acme.example/\", auth: {{ bearer: {arn} }} }} }}"
        );
        let topic = "{ topic: projects/acme/topics/bus }";
        let (events, pubsub) = (format!("{{ events: {topic} }}"), format!("{{ pubsub: {topic} }}"));
        let google = "{ secret: projects/acme/secrets/t }";
        let cases = [
            (read(TOKEN, GUARD, RECEIVER), None),
            (read(google, GUARD, RECEIVER), None),
            (
                read(TOKEN, "s3://acme-guards", RECEIVER),
                Some((Part::Aws, 6, "triggers.churn.run.guard")),
            ),
            (read(&arn, GUARD, RECEIVER), Some((Part::Aws, 6, "triggers.churn.run.token.secret"))),
            (
                read(TOKEN, GUARD, &hook),
                Some((Part::Aws, 8, "notify.bus.webhook.auth.bearer.secret")),
            ),
            (read(TOKEN, GUARD, &events), Some((Part::Topics, 8, "notify.bus.events.topic"))),
            (read(TOKEN, GUARD, &pubsub), Some((Part::Topics, 8, "notify.bus.pubsub.topic"))),
        ];
        for (read, named) in cases {
            let lacking = named.filter(|(part, ..)| !part.is_built());
            let told: Vec<_> = read.diagnostics.iter().filter(|it| it.is_error()).collect();
            assert_eq!(
                (read.config.is_none(), told.len()),
                (lacking.is_some(), usize::from(lacking.is_some())),
                "{told:?}"
            );
            if let (Some((part, line, path)), [told]) = (lacking, &told[..]) {
                assert_eq!((told.place.line, told.path.as_str()), (line, path));
                let cure = format!("--features {}", part.feature());
                assert!(told.cure.as_ref().unwrap().contains(&cure), "{told:?}");
            }
        }
    }
}
