//! Airflow 3, by its DAGs.
//!
//! A run is created under the run key as its id. A second one under an id is refused with 409, and the run that is there
//! is ours: nobody else makes such ids.

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Fault};
use super::auth::Auth;
use super::endpoint::Endpoint;
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{self, Request};

/// Airflow, by its DAGs. Whoever is asked as needs to create, read and edit runs of each DAG.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Airflow")]
pub struct Config {
    /// Where its web server answers, such as `https://airflow.acme.example`.
    pub endpoint: Endpoint,
    /// What it is asked with.
    #[serde(default)]
    pub auth: Option<Auth>,
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AirflowRun")]
pub struct Target {
    /// The DAG, by its id.
    #[schemars(length(min = 1))]
    pub dag: String,
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "A",
        start: "`POST …/dagRuns` under the run key; 409 is read and adopted",
        find: "`GET …/dagRuns/KEY`",
        status: "`GET …/dagRuns/KEY`",
        cancel: "`PATCH …/dagRuns/KEY` with state `failed`",
        again: "`clear` keeps the id, and is followed",
        push: "none",
        specs: &["airflow-3-api-v2.trimmed.json"],
        proof: "`shared/refit-wire/src/pipeline/exercise.rs`",
    };

    fn without_auth(&self) -> Self {
        Self { auth: None, ..self.clone() }
    }

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let auth = Auth::resolve(self.auth.as_ref(), &self.endpoint)?;
        Ok(Box::new(Airflow { endpoint: self.endpoint.clone(), auth }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        match target.dag.is_empty() {
            false => Ok(()),
            true => Err("`dag` is empty".to_owned()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![self.endpoint.host().to_owned()]
    }
}

#[derive(Clone, Debug)]
struct Airflow {
    endpoint: Endpoint,
    auth: http::Auth,
}

impl PipelineService for Airflow {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::A, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = match Target::deserialize(target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        let request = self.request(Method::GET, &[&target.dag]);
        Step::Send(Call::once(request, move |reply| match answer::read(reply, words) {
            // Its runs would be queued and never begin.
            Ok(dag) if dag["is_paused"] == true => {
                Err(format!("the DAG is paused: dag=`{}`", target.dag))
            }
            Ok(_) => Ok(Prepared { target: json!(target), parameters: None }),
            Err(Fault::Missing) => Err(format!("there is no such DAG: dag=`{}`", target.dag)),
            Err(fault) => Err(fault.to_string()),
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let dag = match Target::deserialize(launch.target) {
            Ok(target) => target.dag,
            Err(error) => return Step::Done(Outcome::Rejected(error.to_string())),
        };
        let body = json!({
            "dag_run_id": launch.key,
            "logical_date": null,
            "conf": launch.parameters,
            "note": format!("{} {}", launch.trigger, launch.batch),
        });
        let request = self.request(Method::POST, &[&dag, "dagRuns"]).json(&body);
        let (look, key) = (self.look(&dag, launch.key), launch.key);
        Step::Send(Call::new(request, move |reply| match &reply {
            Ok(response) if response.status == 409 => Step::Send(look.then(|found| {
                let unread = || Outcome::Unclear("the run cannot be read".to_owned());
                let found = found.filter(|found| *found != Outcome::Absent);
                Step::Done(found.unwrap_or_else(unread))
            })),
            _ => Step::Done(answer::started(reply, words, |run| external(run, &dag, key))),
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Target { dag } = Target::deserialize(launch.target).ok()?;
        Some(self.look(&dag, launch.key))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        Call::once(self.run(Method::GET, run), |reply| answer::status(reply, words, standing))
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let mut request = self.run(Method::PATCH, run).json(&json!({ "state": "failed" }));
        request.url.query_pairs_mut().append_pair("update_mask", "state");
        Some(Call::once(request, |reply| answer::cancelled(reply, words, 409)))
    }
}

impl Airflow {
    fn request(&self, method: Method, rest: &[&str]) -> Request {
        let root = ["api", "v2", "dags"];
        let path: Vec<&str> = root.into_iter().chain(rest.iter().copied()).collect();
        Request::new(method, self.endpoint.at(&path)).auth(self.auth.clone())
    }

    fn run(&self, method: Method, run: &ExternalRun) -> Request {
        let (dag, key) = run.id.rsplit_once('/').unwrap_or((&run.id, ""));
        self.request(method, &[dag, "dagRuns", key])
    }

    fn look(&self, dag: &str, key: RunKey) -> Call<Option<Outcome>> {
        let request = self.request(Method::GET, &[dag, "dagRuns", &key.to_string()]);
        let dag = dag.to_owned();
        Call::once(request, move |reply| match answer::read(reply, words) {
            Ok(run) => external(&run, &dag, key).map(Outcome::Found),
            Err(Fault::Missing) => Some(Outcome::Absent),
            Err(_) => None,
        })
    }
}

/// The run of that key; none where the answer is of no such run.
fn external(run: &Value, dag: &str, key: RunKey) -> Option<ExternalRun> {
    let is_it = answer::text_at(run, "/dag_run_id") == Some(&key.to_string());
    is_it.then(|| ExternalRun { id: format!("{dag}/{key}"), url: None })
}

fn standing(run: &Value) -> Option<(Phase, Option<String>)> {
    Some(match answer::text_at(run, "/state")? {
        "queued" => (Phase::Pending, None),
        "running" => (Phase::Running, None),
        "success" => (Phase::Succeeded, None),
        // Also one that was cancelled: it has no word for that, and the planner knows what it has asked for.
        "failed" => (Phase::Failed, None),
        state => answer::unknown_state(state),
    })
}

/// A service's own words: what is wrong, or a list of it.
fn words(body: &Value) -> Option<&str> {
    body.get("detail").map(|detail| detail.as_str().unwrap_or_default())
}
