//! The rule file as it is written, version 1. The comments are what an editor shows.

mod models;
mod receivers;
mod sources;

use std::borrow::Cow;
use std::fmt;

use refit_core::time::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::Value;

pub(super) use self::models::{Approver, Asking, Limits, Links, OnModel, Promote, StageRule};
pub(super) use self::receivers::{Kind, RECEIVER_SETTINGS, Receiver};
pub(super) use self::sources::{Clock, Day, Drift, Misfire, Schedule, Window};
use super::located::{EITHER, Located, Named, OneOrMany};
use crate::pipeline::ServiceConfig;
use crate::registry::RegistryConfig;

/// Which new data starts which pipeline.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Rules of refit")]
pub(super) struct File {
    /// The folder in a bucket where everything is recorded, such as `gs://acme-refit/prod`, or a directory.
    pub(super) ledger: Option<Located<String>>,
    /// Where pipelines run, by name.
    pub(super) services: Option<Located<Named<ServiceConfig>>>,
    /// Where models are kept, by name.
    pub(super) registries: Option<Located<Named<RegistryConfig>>>,
    /// Which events start which pipeline, by name.
    pub(super) triggers: Option<Located<Named<Trigger>>>,
    /// Who can be told of what happens, by name. Triggers name them.
    pub(super) notify: Option<Located<Named<Receiver>>>,
    /// Links by which persons answer what waits for their approval. Default: there are none.
    pub(super) links: Option<Located<Links>>,
}

/// From events to runs of one pipeline.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Trigger {
    /// What it listens to: one, or a list of which any will do.
    #[schemars(required)]
    pub(super) on: Option<Located<OneOrMany<On>>>,
    /// A condition every event must meet, in CEL: `object.size > 0 && !object.name.contains('/_tmp/')`. It may look
    /// at `event` and, for objects, at `object`.
    pub(super) when: Option<Located<String>>,
    /// How events become batches, each of which is one run. Default: `{ quiet: 1m, max_wait: 1h }`.
    pub(super) batch: Option<Located<Batch>>,
    /// The least time between two launches. Default: none.
    pub(super) cooldown: Option<Located<Duration>>,
    /// The hours and days within which runs may be started. Default: any.
    pub(super) window: Option<Located<Window>>,
    /// What becomes of a batch that is due while a run is active. With `batch: each` and on models, `allow` or `forbid`,
    /// since their batches gather nothing. Default: `forbid`.
    pub(super) overlap: Option<Located<Overlap>>,
    /// How many runs it may start in a sliding period, every attempt counted. What is over is held, never dropped.
    /// Default: `{ runs: 24, per: 24h }`.
    pub(super) budget: Option<Located<Budget>>,
    /// When a run that failed or timed out is tried again. Default: never.
    pub(super) retry: Option<Located<Retry>>,
    /// How long a run may take before it is cancelled, from 1m to 30d. Default: `24h`.
    pub(super) timeout: Option<Located<Duration>>,
    /// Starts nothing while this stands here.
    pub(super) pause: Option<Located<Pause>>,
    /// What to do where the fate of a start call cannot be learned; `relaunch` asks a person once two keys in a row were given up. Nothing is to be said of services that start no run twice. Default: `relaunch`.
    pub(super) on_unknown: Option<Located<OnUnknown>>,
    /// Who is told of what happens: names of the map `notify` at the top of the file. Default: nobody.
    pub(super) notify: Option<Located<Vec<Located<String>>>>,
    /// The run it starts.
    #[schemars(required)]
    pub(super) run: Option<Located<Run>>,
    /// What becomes of the models its runs make. Default: nothing.
    pub(super) promote: Option<Located<Promote>>,
}

/// What a trigger listens to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum On {
    /// New generations of objects in a bucket.
    Objects(Objects),
    /// CloudEvents and Pub/Sub messages.
    Message(Message),
    /// Signed webhooks of GitHub, MLflow, or anybody who follows Standard Webhooks.
    Webhook(Webhook),
    /// Drift reports, of whichever tool.
    Drift(Drift),
    /// Times.
    Schedule(Schedule),
    /// Versions of a model that are given a stage, each of which is a run of its own.
    Model(OnModel),
}

/// New generations of objects: all conditions must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Objects {
    /// The bucket, such as `acme-data` or `gs://acme-data`.
    #[schemars(required)]
    pub(super) bucket: Option<Located<String>>,
    /// What the name begins with, such as `churn/`.
    pub(super) prefix: Option<Located<String>>,
    /// What the name ends with, such as `.parquet`.
    pub(super) suffix: Option<Located<String>>,
    /// A pattern for the whole name: `*` stays within a folder, `**` does not.
    pub(super) glob: Option<Located<String>>,
    /// Whether empty objects count. Default: `ignore`.
    pub(super) zero_bytes: Option<Located<Accept>>,
    /// Whether an upload of the bytes the object already has counts; after a deletion that was told of it does. Default: `ignore`.
    pub(super) identical: Option<Located<Accept>>,
}

/// Messages: all conditions must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Message {
    /// The CloudEvents `type`, exactly.
    #[serde(rename = "type")]
    pub(super) ty: Option<Located<String>>,
    /// The CloudEvents `source`, exactly.
    pub(super) source: Option<Located<String>>,
}

/// Webhooks: all conditions must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "OnWebhook")]
pub(super) struct Webhook {
    /// What it tells of, such as `github.push`, `github.workflow_run.completed`, `mlflow.model_version.created`, or
    /// the `type` in the body of a standard webhook.
    #[serde(rename = "type")]
    #[schemars(required)]
    pub(super) ty: Option<Located<String>>,
    /// Where it comes from, exactly, such as the repository `acme/churn`.
    pub(super) source: Option<Located<String>>,
    /// Patterns for the files a push touches, one of which must match, such as `**/*.dvc` and `**/dvc.lock`.
    pub(super) paths: Option<Located<Vec<Located<String>>>>,
}

/// Whether something counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Accept {
    /// It counts.
    Accept,
    /// It is recorded, and starts nothing.
    Ignore,
}

/// How events become batches: `each`, or settings. What is left out keeps its default.
#[derive(Debug)]
pub(super) enum Batch {
    /// Every event is a run of its own.
    Each,
    /// Events are gathered.
    Settings(Box<BatchSettings>),
}

/// When a batch is due, and what goes into it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct BatchSettings {
    /// Due when nothing was accepted for this long. Default: `1m`; none where `until` is given, `0s` where `on` has
    /// schedules only.
    pub(super) quiet: Option<Located<Duration>>,
    /// Due this long after its first member, even if data still arrives. Default: `1h`; `24h` with `min_count`,
    /// `min_bytes` or `until`.
    pub(super) max_wait: Option<Located<Duration>>,
    /// Members it needs, but not beyond `max_wait`.
    pub(super) min_count: Option<Located<Count>>,
    /// Bytes of objects it needs, but not beyond `max_wait`: a number, or such as `500MB` or `2GiB`.
    pub(super) min_bytes: Option<Located<Bytes>>,
    /// Members it may have, at most 1000000; the rest opens the next batch. Default: 100000.
    pub(super) max_count: Option<Located<Count>>,
    /// One batch for every value of this CEL expression, such as `object.name.split('/')[1]`.
    pub(super) by: Option<Located<String>>,
    /// The marker object that closes the batch, such as `{ suffix: _SUCCESS }`.
    pub(super) until: Option<Located<Marker>>,
}

/// A marker object: at least one of `prefix`, `suffix` and `glob`; all that are given must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Marker {
    /// The bucket. Default: that of the first `on.objects`.
    pub(super) bucket: Option<Located<String>>,
    /// What the name begins with.
    pub(super) prefix: Option<Located<String>>,
    /// What the name ends with.
    pub(super) suffix: Option<Located<String>>,
    /// A pattern for the whole name.
    pub(super) glob: Option<Located<String>>,
}

/// What becomes of a batch that is due while a run of the trigger is active.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Overlap {
    /// It starts all the same.
    Allow,
    /// It is held, and goes on gathering.
    Forbid,
    /// The active run of the same key is cancelled, and its members move to this batch; runs of other keys are waited for.
    Replace,
    /// So many closed batches wait in line; what comes after is gathered.
    Queue(Located<Count>),
}

/// So many runs per sliding period.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Budget {
    /// Runs, every attempt counted.
    #[schemars(required)]
    pub(super) runs: Option<Located<Count>>,
    /// The period, at most 35d.
    #[schemars(required)]
    pub(super) per: Option<Located<Duration>>,
}

/// When a run that failed or timed out is tried again.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Retry {
    /// Attempts in all, from 1 to 20. Default: 1.
    pub(super) attempts: Option<Located<Count>>,
    /// The wait before the second attempt, where there is one; it doubles from attempt to attempt. Default: `1m`.
    pub(super) backoff: Option<Located<Duration>>,
    /// The longest wait, where there is one. Default: `1h`.
    pub(super) max_backoff: Option<Located<Duration>>,
}

/// What becomes of events while the trigger is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pause {
    /// They are recorded and kept.
    Hold,
    /// They are recorded as ignored.
    Ignore,
}

/// What to do where the fate of a start call cannot be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnUnknown {
    /// Give the call up, and start again under a new key.
    Relaunch,
    /// Wait for a person.
    Ask,
}

/// The run a trigger starts: the service, what it is to run in the service's own terms, and the parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Run {
    /// The service, by its name under `services`.
    #[schemars(required)]
    pub(super) service: Option<Located<String>>,
    /// The parameters, by name. A value that is one `${ }` keeps the type of its CEL expression, text around it
    /// makes text, anything else is literal. It may look at `batch`, `run` and `trigger`, with `batch: each` at
    /// `member`, and with `on: { model: … }` at `member` and `model`.
    #[schemars(with = "Option<std::collections::BTreeMap<String, Value>>")]
    pub(super) parameters: Option<Located<Value>>,
    /// Whether `kubeflow` or `vertex` may answer steps from its cache, which trains nothing. Default: `off`.
    pub(super) cache: Option<Located<Switch>>,
    /// The folder in Cloud Storage or in S3 where the first step of the pipeline makes its claim, such as
    /// `gs://acme-guards/churn`, on a service that may start a run twice. The pipeline is told which claim to make by a
    /// parameter that is `${ run.claim }`, and the run that made it is the one that is followed. Default: no guard.
    pub(super) guard: Option<Located<String>>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// A length of time such as `90s`, `5m`, `1h30m` or `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration(pub(super) Span);

/// How many: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

/// Bytes: a number, or a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// Units of bytes, and the bytes in each.
const UNITS: &[(&str, u64)] = &[
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("B", 1),
];

/// Settings by what they belong to, for those written elsewhere.
const HOMES: &[(&str, &[&str])] = &[
    ("`batch`", &["quiet", "max_wait", "min_count", "min_bytes", "max_count", "by", "until"]),
    ("`on: { objects: … }`", &["bucket", "prefix", "suffix", "glob", "zero_bytes", "identical"]),
    ("`on: { message: … }`", &["type", "source"]),
    ("`on: { webhook: … }`", &["paths"]),
    ("`on: { drift: … }`", &["model", "min_share", "features", "consecutive"]),
    ("`on: { schedule: … }`", &["cron", "zone", "misfire"]),
    ("`window`", &["from", "to", "days"]),
    ("`run`", &["service", "parameters", "cache", "guard"]),
    ("`promote`", &["registry", "gate", "request", "staging", "acceptance", "production"]),
    ("`retry`", &["attempts", "backoff", "max_backoff"]),
    ("`budget`", &["runs", "per"]),
    (
        "a trigger",
        &[
            "on",
            "when",
            "batch",
            "cooldown",
            "window",
            "overlap",
            "budget",
            "retry",
            "timeout",
            "pause",
            "on_unknown",
            "notify",
            "run",
            "promote",
        ],
    ),
    ("the top of the file", &["ledger", "services", "registries", "triggers", "notify"]),
];

/// Settings that are planned, by the type they will belong to.
const LATER: &[(&str, &[&str])] = &[
    ("On", &["run", "all"]),
    ("Trigger", &["freshness", "resume"]),
    ("BatchSettings", &["min_rows", "max_bytes", "max_rows"]),
    ("Overlap", &["replace_if"]),
    ("Budget", &["cost"]),
    ("ServiceConfig", &["airflow", "argo", "databricks", "sagemaker"]),
    ("RegistryConfig", &["sagemaker", "databricks"]),
];

/// What a setting belongs to that was written into a `kind` of this format.
pub(super) fn home_of(kind: &str, name: &str) -> Option<&'static str> {
    let ours = [
        "File",
        "Trigger",
        "On",
        "Objects",
        "Message",
        "OnWebhook",
        "Drift",
        "Schedule",
        "Window",
        "BatchSettings",
        "Marker",
        "Budget",
        "Retry",
        "Promote",
        "OnModel",
        "StageRule",
        "Limits",
    ];
    let home = HOMES.iter().find(|(_, names)| names.contains(&name));
    home.filter(|_| ours.contains(&kind)).map(|(home, _)| *home)
}

/// The settings of `run` that every service has; the others say what to run.
pub(super) const RUN_SETTINGS: &[&str] = &["service", "parameters", "cache", "guard"];

/// Whether a `kind` has settings beside those it names.
pub(super) fn takes_more(kind: &str) -> bool {
    ["Run", "Receiver"].contains(&kind)
}

/// Whether a setting of that `kind` is planned.
pub(super) fn comes_later(kind: &str, name: &str) -> bool {
    LATER.iter().any(|(planned, names)| *planned == kind && names.contains(&name))
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EachOrSettings;

        impl<'de> Visitor<'de> for EachOrSettings {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`each`, or settings such as `{ quiet: 5m }`")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Batch, E> {
                match word {
                    "each" => Ok(Batch::Each),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<Batch, D::Error> {
                Ok(Batch::Settings(Box::deserialize(map)?))
            }
        }

        deserializer.deserialize_newtype_struct(EITHER, EachOrSettings)
    }
}

impl JsonSchema for Batch {
    fn schema_name() -> Cow<'static, str> {
        "Batch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "const": "each", "description": "Every event is a run of its own; `overlap` and `budget` must be given." },
                generator.subschema_for::<BatchSettings>(),
            ]
        })
    }
}

/// Reads a scalar by a function of its text; numbers are read by a function of their own.
struct Scalar<T> {
    expected: &'static str,
    text: fn(&str) -> Option<T>,
    number: fn(u64) -> Option<T>,
}

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
        (self.number)(number).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            expected: "a length of time such as 90s, 5m, 1h30m or 2d",
            text: |text| text.parse().ok().map(Self),
            number: |_| None,
        })
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            expected: "a whole number of at least 1",
            text: |_| None,
            number: |number| (number > 0).then_some(Self(number)),
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            expected: "bytes, such as 1000000, 500MB or 2GiB, and at least 1",
            text: |text| bytes(text).map(Self),
            number: |number| (number > 0).then_some(Self(number)),
        })
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|bytes| *bytes > 0)
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time such as 90s, 5m, 1h30m or 2d.",
            "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
        })
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1 })
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes: a number, or such as 500MB or 2GiB.",
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "pattern": "^[0-9]+ *([kMGT]B|[KMGT]iB|B)$" },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_decimal_and_binary_units() {
        assert_eq!(bytes("500MB"), Some(500_000_000));
        assert_eq!(bytes("2 GiB"), Some(2 << 30));
        assert_eq!(bytes("7B"), Some(7));
        for wrong in ["", "MB", "0MB", "1.5GB", "5mb", "-1B", "99999999999TiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
