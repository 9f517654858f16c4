//! Endpoints of Vertex AI: a run is a deployment of a version of a model, which is given all of the endpoint's requests.
//!
//! A deployment has the run key for its display name, by which it is found, and an id that is made of the key, which one
//! deployment of an endpoint can have. Nothing says what a second start under one id is answered, so every start is looked
//! up first. An endpoint may not list what is being deployed, so nothing is taken for absent while a deployment is under
//! way there that may be it.
//!
//! What refit deployed before, and what is asked nothing any more, is undeployed once a deployment is seen to have the
//! requests: it is taken out by id, and doing it twice is harmless.

use std::collections::VecDeque;

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_core::template;
use refit_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Fault, clip};
use super::endpoint::Endpoint;
use super::google::{self, Site, words};
use super::pages::{self, Listing, Page, is_older};
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{Reply, Request};

/// The parameter that names what is deployed.
const MODEL: &str = "model";
/// What is read of an endpoint.
const SEEN: [(&str, &str); 1] =
    [("fields", "deployedModels(id,displayName,createTime),trafficSplit")];
/// What is read of an operation, and of a page of them.
const PROGRESS: [(&str, &str); 1] = [("fields", "done,error(code,message)")];
const LISTED: (&str, &str) = ("fields", "operations(done,metadata),nextPageToken");
/// What the type of what is told of a deployment ends with.
const DEPLOYS: &str = ".DeployModelOperationMetadata";
/// The code of an operation that was cancelled.
const CANCELLED: i64 = 1;
/// The status of what cannot be done as things are.
const NOT_NOW: &str = "FAILED_PRECONDITION";

/// Endpoints of Vertex AI, to which each run deploys a version of a model. The function's account needs
/// `roles/aiplatform.user`, and `iam.serviceAccounts.actAs` on the account of the containers, where one is named.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VertexEndpoint")]
pub struct Config {
    /// The project of the endpoints and of the models, by its id.
    pub project: String,
    /// The region, such as `europe-west4`.
    pub location: String,
    /// Where it answers. Default: `https://<location>-aiplatform.googleapis.com`.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
}

/// What a run is of. Its one parameter, `model`, says what is deployed: `churn@3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VertexEndpointRun")]
pub struct Target {
    /// The endpoint, by its id.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The type of the machines, such as `n1-standard-4`. Default: Vertex AI's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// Machines at the least. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub min_replicas: u32,
    /// Machines at the most. Default: no more than at the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
    /// The service account the model's container runs as. Default: one without access to the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}

fn one() -> u32 {
    1
}

impl Config {
    fn host(&self) -> String {
        format!("{}-aiplatform.googleapis.com", self.location)
    }
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "B",
        start: "`endpoints.deployModel` with the run key as display name and an id made of it, and all of the traffic, after a look-up",
        find: "`endpoints.get`, by display name; while a deployment is under way that may be it, nothing is said",
        status: "the operation of the start, else those of the endpoint; then `endpoints.get`, and `endpoints.undeployModel` of what refit deployed before",
        cancel: "the operation of the start; what is deployed by `endpoints.undeployModel`, which gives its traffic back",
        again: "not possible: another deployment is another run; one that another has the traffic of counts as cancelled",
        push: "none",
        specs: &["aiplatform.v1.json"],
        proof: "fault matrix in `shared/refit-testkit/tests/services`",
    };

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let site = Site::open(
            self.endpoint.as_ref(),
            &self.host(),
            ("v1", &self.project, &self.location),
        )?;
        Ok(Box::new(Endpoints { config: self.clone(), site }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        let Target { name, min_replicas, max_replicas, .. } = target;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err("`name` is the id of an endpoint, such as `4567890123456789012`".to_owned());
        }
        match (*min_replicas, *max_replicas) {
            (0, _) => Err("`min_replicas` is 1 at the least".to_owned()),
            (min, Some(max)) if max < min => {
                Err("`max_replicas` is below `min_replicas`".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_parameters(&self, _: &Target, names: &[&str]) -> Result<(), String> {
        match names {
            [MODEL] => Ok(()),
            _ => Err(format!(
                "a deployment has one parameter, such as `{MODEL}: \"churn@${{ model.version }}\"`"
            )),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![google::host(self.endpoint.as_ref(), &self.host())]
    }
}

#[derive(Clone, Debug)]
struct Endpoints {
    config: Config,
    site: Site,
}

/// A model as an endpoint lists it.
#[derive(Clone, Debug)]
struct Deployed {
    id: String,
    name: String,
    since: Option<Timestamp>,
    traffic: i64,
}

/// Which deployment a run is: the endpoint, the operation where it is known, and the key.
#[derive(Clone, Debug)]
struct Place {
    name: String,
    operation: Option<String>,
    key: String,
}

impl Place {
    fn of(run: &ExternalRun) -> Self {
        let (name, rest) = run.id.split_once('/').unwrap_or((&run.id, ""));
        let (operation, key) = match rest.split_once('/') {
            Some((operation, key)) => (Some(operation.to_owned()), key),
            None => (None, rest),
        };
        Self { name: name.to_owned(), operation, key: key.to_owned() }
    }
}

impl PipelineService for Endpoints {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::B, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = match Target::deserialize(target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        Step::Send(self.look(&target.name).then(move |seen| {
            Step::Done(match seen {
                Ok(_) => Ok(Prepared { target: json!(target), parameters: None }),
                Err(Fault::Missing) => {
                    Err(format!("there is no such endpoint: name=`{}`", target.name))
                }
                Err(fault) => Err(fault.to_string()),
            })
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let read = Target::deserialize(launch.target).map_err(|error| error.to_string());
        let read = read.and_then(|target| Ok((self.body(&target, launch)?, target)));
        let (body, target) = match read {
            Ok(read) => read,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let (endpoints, key) = (self.clone(), launch.key);
        Step::Send(self.look(&target.name).then(move |seen| match seen {
            Ok(all) if all.iter().any(|it| it.name == key.to_string()) => {
                Step::Done(Outcome::Found(endpoints.external(&target.name, None, key)))
            }
            Ok(_) => Step::Send(endpoints.deploy(&target.name, key, &body)),
            Err(fault) => Step::Done(fault.before_start()),
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Target { name, .. } = Target::deserialize(launch.target).ok()?;
        let (endpoints, key) = (self.clone(), launch.key);
        Some(self.under_way(&name, launch.since).then(move |under_way| {
            Step::Send(endpoints.look(&name).then(move |seen| {
                Step::Done(match (seen, under_way) {
                    (Ok(all), _) if all.iter().any(|it| it.name == key.to_string()) => {
                        Some(Outcome::Found(endpoints.external(&name, None, key)))
                    }
                    // Where the endpoint is gone, a start will be refused and say so.
                    (Ok(_), Some(false)) | (Err(Fault::Missing), _) => Some(Outcome::Absent),
                    _ => None,
                })
            }))
        }))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let (endpoints, place) = (self.clone(), Place::of(run));
        match &place.operation {
            Some(operation) => {
                let path = ["endpoints", &place.name, "operations", operation];
                let request = self.site.request(Method::GET, &path, &PROGRESS);
                Call::new(request, move |reply| match answer::read(reply, words) {
                    Ok(operation) => match ended(&operation) {
                        Some(outcome) => Step::Done(Some(outcome)),
                        None => endpoints.judge(place),
                    },
                    // Operations are forgotten sooner than what came of them.
                    Err(Fault::Missing) => endpoints.judge(place),
                    Err(fault) => Step::Done(fault.of_run()),
                })
            }
            None => {
                self.under_way(&place.name, Timestamp::EPOCH).then(move |under_way| match under_way
                {
                    Some(true) => Step::Done(Some(goes_on())),
                    Some(false) => endpoints.judge(place),
                    None => endpoints.only_gone(&place.name),
                })
            }
        }
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let (endpoints, place) = (self.clone(), Place::of(run));
        Some(self.look(&place.name).then(move |seen| match seen {
            Ok(all) => endpoints.take_out(&place, &all),
            Err(Fault::Missing) => Step::Done(Ok(())),
            Err(fault) => Step::Done(Err(fault.to_string())),
        }))
    }
}

impl Endpoints {
    fn external(&self, name: &str, operation: Option<&str>, key: RunKey) -> ExternalRun {
        let Config { project, location, .. } = &self.config;
        let parts = [Some(name), operation].into_iter().flatten();
        let parts: Vec<String> = parts.map(str::to_owned).chain([key.to_string()]).collect();
        let url = format!(
            "https://console.cloud.google.com/vertex-ai/locations/{location}/endpoints/{name}?project={project}"
        );
        ExternalRun { id: parts.join("/"), url: Some(url) }
    }

    /// What an endpoint lists.
    fn look(&self, name: &str) -> Call<Result<Vec<Deployed>, Fault>> {
        let request = self.site.request(Method::GET, &["endpoints", name], &SEEN);
        Call::once(request, |reply| answer::read(reply, words).map(|endpoint| deployed(&endpoint)))
    }

    /// Whether a deployment is under way that may be that of an intent; nothing where that cannot be told.
    fn under_way(&self, name: &str, since: Timestamp) -> Call<Option<bool>> {
        let listing = Operations { endpoints: self.clone(), name: name.to_owned(), since };
        pages::search(listing, words)
            .then(|found| Step::Done(found.map(|outcome| matches!(outcome, Outcome::Found(_)))))
    }

    fn body(&self, target: &Target, launch: &Launch<'_>) -> Result<Value, String> {
        let Config { project, location, .. } = &self.config;
        let model = launch.parameters.get(MODEL).map(template::text).unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_@".contains(c);
        if model.is_empty() || !model.chars().all(legal) {
            return Err(format!("a model is named such as `churn@3`: {MODEL}=`{}`", clip(&model)));
        }
        let machine = target
            .machine_type
            .as_ref()
            .map_or_else(|| json!({}), |kind| json!({ "machineType": kind }));
        let mut deployed = json!({
            "id": id_of(launch.key),
            "displayName": launch.key,
            "model": format!("projects/{project}/locations/{location}/models/{model}"),
            "dedicatedResources": {
                "machineSpec": machine,
                "minReplicaCount": target.min_replicas,
                "maxReplicaCount": target.max_replicas.unwrap_or(target.min_replicas),
            },
        });
        if let Some(account) = &target.service_account {
            deployed["serviceAccount"] = json!(account);
        }
        Ok(json!({ "deployedModel": deployed, "trafficSplit": { "0": 100 } }))
    }

    /// The start.
    fn deploy(&self, name: &str, key: RunKey, body: &Value) -> Call<Outcome> {
        let verb = format!("{name}:deployModel");
        let request = self
            .site
            .request(Method::POST, &["endpoints", &verb], &[("fields", "name")])
            .json(body);
        let (endpoints, name) = (self.clone(), name.to_owned());
        Call::once(request, move |reply| {
            if let Some(message) = refused_for_now(&reply) {
                return Outcome::NotStarted { after: None, message };
            }
            answer::started(reply, words, |operation| {
                let (_, operation) = answer::text_at(operation, "/name")?.rsplit_once('/')?;
                Some(endpoints.external(&name, Some(operation), key))
            })
        })
    }

    /// What can be said where the operations cannot be read, as they cannot where the endpoint is gone.
    fn only_gone(&self, name: &str) -> Step<Option<Outcome>> {
        Step::Send(self.look(name).then(|seen| {
            Step::Done(matches!(seen, Err(Fault::Missing)).then_some(Outcome::Vanished))
        }))
    }

    /// What became of a deployment of which nothing is under way.
    fn judge(self, place: Place) -> Step<Option<Outcome>> {
        let look = self.look(&place.name);
        Step::Send(look.then(move |seen| {
            let all = match seen {
                Ok(all) => all,
                Err(fault) => return Step::Done(fault.of_run()),
            };
            let cancelled = |message: &str| {
                let message = Some(message.to_owned());
                Step::Done(Some(Outcome::Status { phase: Phase::Cancelled, message }))
            };
            match all.iter().find(|it| it.name == place.key) {
                Some(ours) if ours.traffic > 0 => self.clear(&place.name, before(&all, ours), None),
                Some(_) => cancelled("another deployment has taken its place"),
                None if place.operation.is_some() => cancelled("it was undeployed"),
                None => Step::Done(Some(Outcome::Vanished)),
            }
        }))
    }

    /// Undeploys what came before a deployment that has succeeded, one after the other.
    fn clear(
        self,
        name: &str,
        mut former: VecDeque<Deployed>,
        message: Option<String>,
    ) -> Step<Option<Outcome>> {
        let Some(next) = former.pop_front() else {
            return Step::Done(Some(Outcome::Status { phase: Phase::Succeeded, message }));
        };
        let (request, name) = (self.undeploy(name, &next.id, None), name.to_owned());
        Step::Send(Call::new(request, move |reply| match answer::read(reply, words) {
            Ok(_) | Err(Fault::Missing) => self.clear(&name, former, message),
            Err(fault @ (Fault::Refused { .. } | Fault::Unauthorized(_))) => {
                let message = format!("the one before it is still deployed: {fault}");
                self.clear(&name, former, Some(message))
            }
            Err(Fault::Throttled { .. } | Fault::Unavailable(_)) => Step::Done(None),
        }))
    }

    /// A request to undeploy, which may give the traffic to another.
    fn undeploy(&self, name: &str, id: &str, heir: Option<&Deployed>) -> Request {
        let mut body = json!({ "deployedModelId": id });
        if let Some(heir) = heir {
            body["trafficSplit"] = json!({ heir.id.as_str(): 100 });
        }
        let verb = format!("{name}:undeployModel");
        self.site.request(Method::POST, &["endpoints", &verb], &[("fields", "name")]).json(&body)
    }

    /// Ends a deployment: what it has of the endpoint's requests goes to the newest other one.
    fn take_out(self, place: &Place, all: &[Deployed]) -> Step<Result<(), String>> {
        let (ours, others): (Vec<_>, Vec<_>) = all.iter().partition(|it| it.name == place.key);
        let heir = others.into_iter().max_by_key(|it| (is_of_refit(it), it.since));
        let request = match (ours.first(), &place.operation) {
            (Some(ours), _) if ours.traffic == 0 => self.undeploy(&place.name, &ours.id, None),
            (Some(ours), _) if heir.is_some() => self.undeploy(&place.name, &ours.id, heir),
            (Some(_), _) => {
                let message = "the endpoint has nothing else to answer with: undeploy it there";
                return Step::Done(Err(message.to_owned()));
            }
            (None, Some(operation)) => {
                let verb = format!("{operation}:cancel");
                let path = ["endpoints", &place.name, "operations", &verb];
                self.site.request(Method::POST, &path, &[])
            }
            (None, None) => return Step::Done(Ok(())),
        };
        // What is being deployed, or has ended already, is refused with 400.
        Step::Send(Call::once(request, |reply| answer::cancelled(reply, words, 400)))
    }
}

/// The id of a deployment: ten digits, as many as there can be.
fn id_of(key: RunKey) -> String {
    let RunKey(hash) = key;
    (1_000_000_000 + hash.0 % 9_000_000_000).to_string()
}

fn deployed(endpoint: &Value) -> Vec<Deployed> {
    let all = endpoint.get("deployedModels").and_then(Value::as_array).into_iter().flatten();
    let read = |it: &Value| {
        let id = answer::text_at(it, "/id")?.to_owned();
        let traffic = endpoint["trafficSplit"][&id].as_i64().unwrap_or(0);
        let name = answer::text_at(it, "/displayName").unwrap_or_default().to_owned();
        let since = answer::text_at(it, "/createTime").and_then(|text| text.parse().ok());
        Some(Deployed { id, name, since, traffic })
    };
    all.filter_map(read).collect()
}

fn is_of_refit(deployed: &Deployed) -> bool {
    deployed.name.parse::<RunKey>().is_ok()
}

/// What refit deployed before, and what is asked nothing any more.
fn before(all: &[Deployed], ours: &Deployed) -> VecDeque<Deployed> {
    let is_older = |it: &Deployed| it.since.zip(ours.since).is_some_and(|(it, ours)| it < ours);
    let is_idle = |it: &&Deployed| is_of_refit(it) && it.traffic == 0 && is_older(it);
    all.iter().filter(is_idle).cloned().collect()
}

/// How a deployment ended by its operation; nothing where that is over and went well.
fn ended(operation: &Value) -> Option<Outcome> {
    if operation.get("done") != Some(&json!(true)) {
        return Some(goes_on());
    }
    let error = operation.get("error")?;
    let phase = match error.get("code").and_then(Value::as_i64) {
        Some(CANCELLED) => Phase::Cancelled,
        _ => Phase::Failed,
    };
    let message = answer::text_at(error, "/message").map(clip);
    Some(Outcome::Status { phase, message })
}

fn goes_on() -> Outcome {
    Outcome::Status { phase: Phase::Running, message: None }
}

/// Why a start cannot be made as things are, such as while something else is done to the endpoint.
fn refused_for_now(reply: &Reply) -> Option<String> {
    let response = reply.as_ref().ok().filter(|response| response.status == 400)?;
    let body = response.json()?;
    let said = words(&body).filter(|_| answer::text_at(&body, "/error/status") == Some(NOT_NOW));
    said.map(|said| format!("the endpoint does not take it now: {}", clip(said)))
}

/// The operations of an endpoint, of which a deployment under way is looked for.
struct Operations {
    endpoints: Endpoints,
    name: String,
    since: Timestamp,
}

impl Listing for Operations {
    fn request(&self, token: Option<&str>) -> Request {
        self.endpoints.site.page(&["endpoints", &self.name, "operations"], &[LISTED], token)
    }

    fn read(&self, page: &Value, _: Option<&str>) -> Page {
        let all = page.get("operations").and_then(Value::as_array).into_iter().flatten();
        let deploys = |it: &&Value| {
            let ty = answer::text_at(it, "/metadata/@type").unwrap_or_default();
            let told = &it["metadata"]["genericMetadata"];
            ty.ends_with(DEPLOYS) && it["done"] != true && !is_older(told, "createTime", self.since)
        };
        let run =
            all.into_iter().find(deploys).map(|_| ExternalRun { id: self.name.clone(), url: None });
        Page::of(run, answer::text_at(page, "/nextPageToken"))
    }
}
