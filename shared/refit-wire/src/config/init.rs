//! The first rule file.

use serde_json::json;

use super::scalar::{Plain, plain};
use crate::pipeline::ServiceConfig;

/// What `refit init` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Where the ledger is; left to the command line if absent.
    pub ledger: Option<String>,
    /// The bucket data arrives in.
    pub bucket: String,
    /// What the names of its data begin with; may be empty.
    pub prefix: String,
    /// Where pipelines run, and which is to run.
    pub pipelines: Pipelines,
}

/// Where pipelines run, and which is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pipelines {
    /// On a server of Kubeflow Pipelines.
    Kubeflow {
        /// Where it answers.
        endpoint: String,
        /// The pipeline, by name.
        pipeline: String,
    },
    /// On this machine, by `refit dev`.
    Local {
        /// The pipeline, by name.
        pipeline: String,
    },
    /// On a service whose settings are those of its example, for a person to change.
    Shown(Shown),
}

/// The services whose examples a first file is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Vertex AI Pipelines.
    Vertex,
    /// Cloud Build.
    CloudBuild,
    /// Cloud Run jobs.
    CloudRun,
    /// GitHub Actions.
    GithubActions,
    /// Mage.
    Mage,
    /// Any service over HTTP.
    Http,
}

impl Shown {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Vertex,
        Self::CloudBuild,
        Self::CloudRun,
        Self::GithubActions,
        Self::Mage,
        Self::Http,
    ];

    fn example(self) -> &'static str {
        match self {
            Self::Vertex => include_str!("../../../../examples/vertex/refit.yaml"),
            Self::CloudBuild => include_str!("../../../../examples/cloud-build/refit.yaml"),
            Self::CloudRun => include_str!("../../../../examples/cloud-run/refit.yaml"),
            Self::GithubActions => include_str!("../../../../examples/github-actions/refit.yaml"),
            Self::Mage => include_str!("../../../../examples/mage/refit.yaml"),
            Self::Http => include_str!("../../../../examples/http/refit.yaml"),
        }
    }
}

/// A rule file to start from, with a word on every setting that is often changed.
///
/// It holds no mistake unless an answer is one, such as an endpoint that is no URL.
#[must_use]
pub fn init(answers: &Answers) -> String {
    let Answers { bucket, prefix, .. } = answers;
    let ledger = answers.ledger.as_ref().map_or_else(
        || "# ledger: gs://BUCKET/FOLDER   # where everything is recorded".to_owned(),
        |ledger| format!("ledger: {}   # where everything is recorded", scalar(ledger)),
    );
    let prefix = match prefix.is_empty() {
        true => String::new(),
        false => format!(", prefix: {}", scalar(prefix)),
    };
    format!(
        "\
# Which new data retrains which model. Check this file with `refit check`, put it in force with `refit apply`.
{ledger}

services:   # where pipelines run
{service}
triggers:
  new-data:
    # Every new object there, empty ones and uploads of the same bytes excepted.
    on:
      objects: {{ bucket: {bucket}{prefix} }}
    # A condition in CEL: when: object.name.endsWith('.parquet') && object.size > 1000

    # One run for all that arrives together: when nothing arrived for five minutes, two hours after the first at
    # the latest.
    batch: {{ quiet: 5m, max_wait: 2h }}
    # While a run is active, what is new waits for the next one.
    overlap: forbid
    # More runs than these are held back, so that nothing runs away. Every attempt counts.
    budget: {{ runs: 4, per: 24h }}
    run:
{run}    # How long a run may take, and what is done when it fails.
    timeout: 8h
    retry: {{ attempts: 2, backoff: 5m }}
",
        service = service(&answers.pipelines),
        bucket = scalar(bucket),
        run = run(&answers.pipelines),
    )
}

/// A rule file as the documentation shows it.
#[must_use]
pub fn example() -> String {
    init(&Answers {
        ledger: Some("gs://acme-refit/prod".to_owned()),
        bucket: "acme-data".to_owned(),
        prefix: "churn/".to_owned(),
        pipelines: Pipelines::Kubeflow {
            endpoint: "http://ml-pipeline.kubeflow.svc:8888".to_owned(),
            pipeline: "churn".to_owned(),
        },
    })
}

fn service(pipelines: &Pipelines) -> String {
    match pipelines {
        Pipelines::Local { .. } => {
            "  local:\n    local: {}   # `refit dev`, on this machine\n".to_owned()
        }
        Pipelines::Shown(shown) => {
            let lines = between(shown.example(), "services:\n", "\n\n");
            format!("  # Of an example: change what is acme's.\n{lines}\n")
        }
        Pipelines::Kubeflow { endpoint, .. } => {
            let auth = match needs_auth(endpoint) {
                true => {
                    "\n      auth: { bearer: { env: KUBEFLOW_TOKEN } }   # the name of a variable, never a secret"
                }
                false => "",
            };
            format!("  kubeflow:\n    kubeflow:\n      endpoint: {}{auth}\n", scalar(endpoint))
        }
    }
}

/// The run: the service, and what it is to run.
fn run(pipelines: &Pipelines) -> String {
    let (name, pipeline) = match pipelines {
        Pipelines::Kubeflow { pipeline, .. } => ("kubeflow", pipeline),
        Pipelines::Local { pipeline } => ("local", pipeline),
        Pipelines::Shown(shown) => {
            return between(shown.example(), "    run:\n", "    timeout:").to_owned();
        }
    };
    format!(
        "      service: {name}
      pipeline: {}
      # Parameters of the pipeline, by name. A computed one keeps its type:
      # parameters:
      #   data: ${{ batch.manifest }}     # the URI of a list of the new objects, one JSON object per line
      #   files: ${{ batch.count }}
      #   learning_rate: 0.1
",
        scalar(pipeline)
    )
}

/// What stands between two texts; nothing where they do not stand there.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let rest = text.split_once(from).map_or("", |(_, rest)| rest);
    rest.split_once(to).map_or("", |(found, _)| found)
}

/// Whether the endpoint is one that is asked with no credential of its own accord.
fn needs_auth(endpoint: &str) -> bool {
    let config = serde_json::from_value(json!({ "kubeflow": { "endpoint": endpoint } }));
    config.is_ok_and(|config: ServiceConfig| config.open().is_err())
}

/// A text as a scalar: bare where that is safe, and else in quotes.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let url = text.split_once("://").map_or(text, |(_, rest)| rest);
    let colons = url.split(':').skip(1).all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    match begins && colons && url.chars().all(|c| safe(c) || c == ':') && plain(text) == Plain::Text
    {
        true => text.to_owned(),
        // A JSON string is a YAML scalar in double quotes.
        false => json!(text).to_string(),
    }
}
