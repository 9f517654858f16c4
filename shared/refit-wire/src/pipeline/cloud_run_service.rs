//! Services of Cloud Run: a run is a new revision, such as one that serves another version of a model.
//!
//! A service is given the parameters as variables of its environment, and the run key as label `refit-key` of its
//! revisions, by which a run is found. It is changed only as it was read, by its `etag`: of two changes that rest on the
//! same reading the service refuses one, so that a start that is made twice makes one revision.

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{self, Fault, clip};
use super::container::{check_name, check_target, chosen, variables};
use super::endpoint::Endpoint;
use super::google::{self, Site, words};
use super::pages::{self, Listing, Page, is_older};
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{Reply, Request};

const HOST: &str = "run.googleapis.com";
/// The label that holds the run key.
const LABEL: &str = "refit-key";

/// What is read of a service before it is used.
const SHAPE: [(&str, &str); 1] = [("fields", "template/containers/name,traffic(type,percent)")];
/// What is read of a service before it is changed.
const WHOLE: [(&str, &str); 1] = [("fields", "etag,template")];
/// What is read of a service while a revision is made.
const STANDING: [(&str, &str); 1] =
    [("fields", "generation,observedGeneration,reconciling,template/labels,terminalCondition")];
/// What is read of a page of revisions.
const LISTED: (&str, &str) = ("fields", "revisions(name,labels,createTime),nextPageToken");

/// Services of Cloud Run, of which each run is a new revision. The function's account needs `roles/run.developer` on each
/// service, `roles/iam.serviceAccountUser` on the account it runs as, and `roles/artifactregistry.reader` on the repository
/// of its image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CloudRunService")]
pub struct Config {
    /// The project, by its id.
    pub project: String,
    /// The region of the services.
    pub location: String,
    /// Where it answers. Default: `https://run.googleapis.com`.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CloudRunServiceRun")]
pub struct Target {
    /// The service of Cloud Run, by name. Its requests, or some of them, go to its newest revision.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The container that is given the parameters. Default: the service's only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "A",
        start: "`services.patch` of the service as it was read, by its `etag`, with the run key as label `refit-key`; one that has it is adopted",
        find: "`services.get`, then `revisions.list` since the intent, by label `refit-key`",
        status: "`services.get`, until it has settled",
        cancel: "none",
        again: "a run whose label another change replaced counts as cancelled",
        push: "none: what its audit log says is not read",
        specs: &["google-run-v2.trimmed.json"],
        proof: "of services only parts are in that description, so containers and conditions are what is checked; fault matrix in `shared/refit-testkit/tests/services`",
    };

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let site = Site::open(self.endpoint.as_ref(), HOST, ("v2", &self.project, &self.location))?;
        Ok(Box::new(Services { config: self.clone(), site }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        check_target("name", &target.name, target.container.as_deref())
    }

    fn check_parameters(&self, _: &Target, names: &[&str]) -> Result<(), String> {
        names.iter().try_for_each(|name| check_name(name))
    }

    fn hosts(&self) -> Vec<String> {
        vec![google::host(self.endpoint.as_ref(), HOST)]
    }
}

#[derive(Clone, Debug)]
struct Services {
    config: Config,
    site: Site,
}

/// A service as it was found.
enum Seen {
    /// It was given the revision already.
    Changed,
    /// It was not; this is what it is like.
    Unchanged(Value),
}

impl PipelineService for Services {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::A, finds: true, cancels: false }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = match Target::deserialize(target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        let request = self.site.request(Method::GET, &["services", &target.name], &SHAPE);
        Step::Send(Call::once(request, move |reply| {
            let shape = answer::read(reply, words);
            let prepared = match shape {
                Ok(service) => check_shape(&target, &service),
                Err(Fault::Missing) => Err("there is no such service".to_owned()),
                Err(fault) => return Err(fault.to_string()),
            };
            let of_service = |fault| format!("{fault}: name=`{}`", target.name);
            prepared.map_err(of_service)?;
            Ok(Prepared { target: json!(target), parameters: None })
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let read = Target::deserialize(launch.target).map_err(|error| error.to_string());
        let read = read.and_then(|target| Ok((variables(launch.parameters)?, target)));
        let (variables, target) = match read {
            Ok(read) => read,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let (services, key) = (self.clone(), launch.key);
        let run = self.external(&target.name, key);
        Step::Send(self.look(&target.name, launch).then(move |seen| match seen {
            Ok(Seen::Changed) => Step::Done(Outcome::Found(run)),
            Ok(Seen::Unchanged(service)) => match changed(service, &target, key, variables) {
                Ok(body) => Step::Send(services.patch(&target.name, &body, run)),
                Err(message) => Step::Done(Outcome::Rejected(message)),
            },
            Err(fault) => Step::Done(fault.before_start()),
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Target { name, .. } = Target::deserialize(launch.target).ok()?;
        let run = self.external(&name, launch.key);
        Some(self.look(&name, launch).then(|seen| {
            Step::Done(match seen {
                Ok(Seen::Changed) => Some(Outcome::Found(run)),
                // Where the service is gone, a start will be refused and say so.
                Ok(Seen::Unchanged(_)) | Err(Fault::Missing) => Some(Outcome::Absent),
                Err(_) => None,
            })
        }))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let (name, key) = run.id.split_once('/').unwrap_or((&run.id, ""));
        let (request, key) =
            (self.site.request(Method::GET, &["services", name], &STANDING), key.to_owned());
        Call::once(request, move |reply| {
            answer::status(reply, words, |service| standing(service, &key))
        })
    }

    fn cancel(&self, _: &ExternalRun) -> Option<Call<Result<(), String>>> {
        None
    }
}

impl Services {
    fn external(&self, name: &str, key: RunKey) -> ExternalRun {
        let Config { project, location, .. } = &self.config;
        let url = format!(
            "https://console.cloud.google.com/run/detail/{location}/{name}/revisions?project={project}"
        );
        ExternalRun { id: format!("{name}/{key}"), url: Some(url) }
    }

    /// What the service is like, and whether it was given the revision of that key, be it that others came after it.
    fn look(&self, name: &str, launch: &Launch<'_>) -> Call<Result<Seen, Fault>> {
        let request = self.site.request(Method::GET, &["services", name], &WHOLE);
        let (key, since) = (launch.key, launch.since);
        let listing = Revisions { services: self.clone(), name: name.to_owned(), key, since };
        Call::new(request, move |reply| match read_whole(reply) {
            Ok(service) if is_of(&service["template"], key) => Step::Done(Ok(Seen::Changed)),
            Ok(service) => Step::Send(pages::search(listing, words)).then(|found| {
                Step::Done(match found {
                    Some(Outcome::Found(_)) => Ok(Seen::Changed),
                    Some(_) => Ok(Seen::Unchanged(service)),
                    None => Err(Fault::Unavailable("its revisions cannot be read".to_owned())),
                })
            }),
            Err(fault) => Step::Done(Err(fault)),
        })
    }

    /// The start.
    fn patch(&self, name: &str, body: &Value, run: ExternalRun) -> Call<Outcome> {
        let query = [("updateMask", "template"), ("fields", "name")];
        let request = self.site.request(Method::PATCH, &["services", name], &query).json(body);
        Call::once(request, |reply| {
            // It is no longer as it was read: nothing was changed.
            if let Ok(response) = &reply
                && response.status == 409
            {
                let message = "the service was changed meanwhile: status=`409`".to_owned();
                return Outcome::NotStarted { after: None, message };
            }
            answer::started(reply, words, |operation| {
                answer::text_at(operation, "/name").map(|_| run)
            })
        })
    }
}

/// Reads a service that may be changed: what has no `etag` would be overwritten blindly.
fn read_whole(reply: Reply) -> Result<Value, Fault> {
    let service = answer::read(reply, words)?;
    match answer::text_at(&service, "/etag") {
        Some(_) => Ok(service),
        None => Err(Fault::Unavailable("the service was answered without its etag".to_owned())),
    }
}

/// Whether a run can be of the service: its container is known, and a new revision is asked for something.
fn check_shape(target: &Target, service: &Value) -> Result<(), String> {
    chosen(service.pointer("/template/containers"), target.container.as_deref())?;
    let traffic = service.get("traffic").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let goes_to_newest = |it: &Value| {
        let kind = it.get("type").is_some_and(|it| it == "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST");
        kind && it.get("percent").and_then(Value::as_i64).is_some_and(|percent| percent > 0)
    };
    match traffic.is_empty() || traffic.iter().any(goes_to_newest) {
        true => Ok(()),
        false => Err("no requests go to the service's newest revision, so nothing would be \
                      redeployed: have its traffic go to the latest"
            .to_owned()),
    }
}

/// What the service is to be like.
fn changed(
    mut service: Value,
    target: &Target,
    key: RunKey,
    variables: Vec<Value>,
) -> Result<Value, String> {
    let strange = || "the service is not described as services are".to_owned();
    let template =
        service.get_mut("template").and_then(Value::as_object_mut).ok_or_else(strange)?;
    let at = chosen(template.get("containers"), target.container.as_deref())?;
    let container = template["containers"][at].as_object_mut().ok_or_else(strange)?;
    for variable in variables {
        set(container, variable);
    }
    let labels = template.entry("labels").or_insert_with(|| json!({}));
    labels.as_object_mut().ok_or_else(strange)?.insert(LABEL.to_owned(), json!(key));
    // The name that somebody gave the last revision is taken.
    template.remove("revision");
    Ok(json!({ "etag": service["etag"], "template": service["template"] }))
}

/// Sets a variable of a container, which may have it already.
fn set(container: &mut Map<String, Value>, variable: Value) {
    let Some(all) = container.get_mut("env").and_then(Value::as_array_mut) else {
        container.insert("env".to_owned(), json!([variable]));
        return;
    };
    match all.iter_mut().find(|it| it.get("name") == variable.get("name")) {
        Some(known) => *known = variable,
        None => all.push(variable),
    }
}

/// Whether something with labels has that of the key.
fn is_of(labelled: &Value, key: RunKey) -> bool {
    labelled["labels"][LABEL] == json!(key)
}

/// The revisions of a service, of which one is looked for.
struct Revisions {
    services: Services,
    name: String,
    key: RunKey,
    since: Timestamp,
}

impl Listing for Revisions {
    fn request(&self, token: Option<&str>) -> Request {
        self.services.site.page(&["services", &self.name, "revisions"], &[LISTED], token)
    }

    fn read(&self, page: &Value, _: Option<&str>) -> Page {
        let all = page.get("revisions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let ours = all.iter().find(|revision| is_of(revision, self.key));
        let run = ours.map(|_| self.services.external(&self.name, self.key));
        let goes_on = !all.iter().any(|it| is_older(it, "createTime", self.since));
        Page::of(run, answer::text_at(page, "/nextPageToken").filter(|_| goes_on))
    }
}

fn standing(service: &Value, key: &str) -> Option<(Phase, Option<String>)> {
    let generation = service.get("generation")?;
    if service["template"]["labels"][LABEL] != *key {
        let message = "another change of the service has taken its place".to_owned();
        return Some((Phase::Cancelled, Some(message)));
    }
    let ready = &service["terminalCondition"];
    let state = ready["state"].as_str().unwrap_or_default();
    let reason = ["/revisionReason", "/reason"];
    let reason = reason.into_iter().find_map(|place| answer::text_at(ready, place));
    let said = answer::text_at(ready, "/message").or(reason).map(clip);
    let is_settled = service["reconciling"] != true;
    let is_observed = service.get("observedGeneration") == Some(generation);
    Some(match state {
        "CONDITION_SUCCEEDED" if is_settled && is_observed => (Phase::Succeeded, None),
        "CONDITION_FAILED" if is_settled => (Phase::Failed, said),
        "CONDITION_SUCCEEDED" | "CONDITION_FAILED" | "CONDITION_RECONCILING" => {
            (Phase::Running, None)
        }
        "CONDITION_PENDING" | "STATE_UNSPECIFIED" | "" => (Phase::Running, said),
        _ => answer::unknown_state(state),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_described_otherwise_than_services_are_is_left_alone() {
        let key = "rf-00112233445566778899aabbccddeeff".parse().unwrap();
        let target = Target { name: "churn-api".to_owned(), container: None };
        for template in [
            json!({ "labels": "x", "containers": [{ "name": "api" }] }),
            json!({ "containers": ["x"] }),
            json!("x"),
            json!(null),
        ] {
            let service = json!({ "etag": "e", "template": template });
            let told = changed(service, &target, key, vec![json!({ "name": "A", "value": "1" })]);
            assert_eq!(told.unwrap_err(), "the service is not described as services are");
        }
    }
}
