//! Any service that starts runs over HTTP, as the rule file describes it.
//!
//! Requests are templates: `{key}` and other names in braces stand for values of the run. What an answer says is
//! found by JSON pointers. Everything is asked below one endpoint; nothing an event says can lead elsewhere.

mod template;

use std::collections::BTreeMap;

use ::http::Method;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::template::{Path, Pointer, Values, body, check_body};
use super::answer::{self, clip};
use super::auth::Auth;
use super::endpoint::Endpoint;
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{self, Reply, Request};

/// A service that starts runs over HTTP. In paths and bodies `{key}` is the run key, `{batch}` the batch, `{trigger}`
/// the trigger, `{parameters}` the parameters, `{run}` the service's id of a run, and other names in braces are those
/// of `with` in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Http")]
pub struct Config {
    /// Where it answers. Everything is asked below it, and nothing elsewhere.
    pub endpoint: Endpoint,
    /// The credential to ask with. Default: `google` for hosts of Google, `none` for plain http.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Whether a second start under the same `{key}` starts nothing: it is answered with the same run, or with 409.
    /// Default: false, so that every start is sent once and looked for by `find`.
    #[serde(default)]
    pub repeatable: bool,
    /// How a run is started.
    pub start: Start,
    /// How a run is found whose start was not answered. Default: it cannot be, and a person decides.
    #[serde(default)]
    pub find: Option<Find>,
    /// How a run is followed.
    pub status: Status,
    /// How a run is ended before its time. Default: it cannot be.
    #[serde(default)]
    pub cancel: Option<Cancel>,
    /// Where an error of the service has its message, as a JSON pointer. Without it any JSON object is an error of
    /// the service's own, but for a 404, which a gateway may have said that knows no way to it: a run is then never
    /// known to be missing, and is followed until it is cancelled and settled.
    #[serde(default)]
    pub error: Option<Pointer>,
}

/// How a run is started: a POST, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpStart")]
pub struct Start {
    /// The method. Default: `POST`.
    #[serde(default)]
    pub method: Verb,
    /// The path below the endpoint, such as `/pipelines/{pipeline}/runs`.
    pub path: Path,
    /// The body, as JSON. Text that is one name in braces keeps the type of what it stands for.
    #[serde(default)]
    pub body: Option<Value>,
    /// Where the answer has the id of the run, as a JSON pointer such as `/run/id`.
    pub run: Pointer,
    /// Where the answer has a page to look at, as a JSON pointer.
    #[serde(default)]
    pub page: Option<Pointer>,
}

/// How a run is found by its key: one GET, answered with the run, 404, or a list. That nothing is found counts only where
/// `path` has `{key}`, or a start is `repeatable`: without the key a run may be on a page that was not asked for. A 404
/// counts where `error` says that it is the service's own, or a start is `repeatable`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpFind")]
pub struct Find {
    /// The path below the endpoint, such as `/runs?label={key}`. Without `{key}` in it a run can be found, and never be
    /// told to be missing: a person settles.
    pub path: Path,
    /// Where the answer has the list of runs, as a JSON pointer. Default: the answer is one run.
    #[serde(default)]
    pub list: Option<Pointer>,
    /// Where a run has the key it was started under, as a JSON pointer. Runs with another are passed over.
    pub key: Pointer,
    /// Where a run has its id, as a JSON pointer.
    pub run: Pointer,
}

/// How a run is followed: by a GET.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpStatus")]
pub struct Status {
    /// The path below the endpoint, such as `/runs/{run}`.
    pub path: Path,
    /// Where the answer has the state, as a JSON pointer.
    pub state: Pointer,
    /// The service's words for each state. A word that is in none is taken for `running`, with a warning.
    pub states: States,
    /// Where the answer has a message, as a JSON pointer.
    #[serde(default)]
    pub message: Option<Pointer>,
}

/// The service's words for each state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpStates")]
pub struct States {
    /// It has not begun.
    #[serde(default)]
    pub pending: Vec<String>,
    /// It runs.
    #[serde(default)]
    pub running: Vec<String>,
    /// It ended well.
    pub succeeded: Vec<String>,
    /// It ended badly.
    pub failed: Vec<String>,
    /// It was ended before its time.
    #[serde(default)]
    pub cancelled: Vec<String>,
}

/// How a run is ended before its time: a POST, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpCancel")]
pub struct Cancel {
    /// The method. Default: `POST`.
    #[serde(default)]
    pub method: Verb,
    /// The path below the endpoint, such as `/runs/{run}/cancel`.
    pub path: Path,
    /// The body, as JSON.
    #[serde(default)]
    pub body: Option<Value>,
}

/// A method that changes something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "HttpVerb")]
pub enum Verb {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// What a run is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpRun")]
pub struct Target {
    /// Values for the names in braces that are the rule's to say, such as `{ pipeline: churn }`.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
}

/// Names in braces that every start knows.
const OF_START: [&str; 4] = ["key", "batch", "trigger", "parameters"];

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "C; `repeatable: true`: A",
        start: "as `start` says",
        find: "as `find` says; without it a person settles, as where nothing is found by a `find` without `{key}`",
        status: "as `status` says",
        cancel: "as `cancel` says",
        again: "followed where it keeps the id, for a day also where the run was over",
        push: "none",
        specs: &[],
        proof: "fault matrix in `shared/refit-testkit/tests/services`",
    };

    fn without_auth(&self) -> Self {
        Self { auth: None, ..self.clone() }
    }

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let auth = Auth::resolve(self.auth.as_ref(), &self.endpoint)?;
        self.fault()
            .map_or_else(|| Ok(Box::new(Described { config: self.clone(), auth }) as _), Err)
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        let wanted = self.names();
        let missing = wanted.iter().find(|name| !target.with.contains_key(**name));
        let unused = target.with.keys().find(|name| !wanted.contains(&name.as_str()));
        match (missing, unused) {
            (Some(name), _) => {
                Err(format!("the service wants a value: say `with: {{ {name}: … }}`"))
            }
            (None, Some(name)) => Err(format!("the service has no use for `with.{name}`")),
            (None, None) => Ok(()),
        }
    }

    fn doubt(&self) -> Option<String> {
        let find = self.find.as_ref().filter(|_| !self.repeatable)?;
        let why = if !find.asks_by_key() {
            "`find.path` does not send `{key}`, and a run may be on a page that was not asked for"
        } else if find.list.is_none() && self.error.is_none() {
            "`find` is answered with one run or a 404, which says nothing without `error`"
        } else {
            return None;
        };
        Some(format!("a run can be found, and never be told to be missing: {why}"))
    }

    fn hosts(&self) -> Vec<String> {
        vec![self.endpoint.host().to_owned()]
    }
}

impl Find {
    fn asks_by_key(&self) -> bool {
        self.path.names().any(|name| name == "key")
    }
}

impl Config {
    /// The names in braces that a rule has to give values for.
    fn names(&self) -> Vec<&str> {
        let of_find = self.find.iter().flat_map(|find| find.path.names());
        let of_body = self.start.body.iter().flat_map(template::names_of);
        let names = self.start.path.names().chain(of_find).chain(of_body);
        names.filter(|name| !OF_START.contains(name)).collect()
    }

    fn fault(&self) -> Option<String> {
        let States { succeeded, failed, .. } = &self.status.states;
        if succeeded.is_empty() || failed.is_empty() {
            return Some("`status.states` must say how a run ends well and how badly".to_owned());
        }
        let word = self.status.states.twice();
        if let Some(word) = word {
            return Some(format!("a word stands for two states: word=`{word}`"));
        }
        let after = [Some(&self.status.path), self.cancel.as_ref().map(|cancel| &cancel.path)];
        let stray = after.into_iter().flatten().flat_map(Path::names).find(|name| *name != "run");
        if let Some(name) = stray {
            return Some(format!("a run is followed by `{{run}}` alone: name=`{name}`"));
        }
        let places = [Some(&self.start.path), self.find.as_ref().map(|find| &find.path)];
        let early = places.into_iter().flatten().flat_map(Path::names);
        if early.chain(self.start.body.iter().flat_map(template::names_of)).any(|it| it == "run") {
            return Some("`{run}` is not known before a run is started".to_owned());
        }
        if !self
            .start
            .path
            .names()
            .chain(self.start.body.iter().flat_map(template::names_of))
            .any(|it| it == "key")
        {
            return Some(
                "`start` does not send `{key}`, so a run could never be told from others"
                    .to_owned(),
            );
        }
        let bodies =
            [self.start.body.as_ref(), self.cancel.as_ref().and_then(|it| it.body.as_ref())];
        bodies.into_iter().flatten().find_map(|body| check_body(body).err())
    }
}

impl States {
    fn all(&self) -> [(Phase, &[String]); 5] {
        [
            (Phase::Pending, &self.pending),
            (Phase::Running, &self.running),
            (Phase::Succeeded, &self.succeeded),
            (Phase::Failed, &self.failed),
            (Phase::Cancelled, &self.cancelled),
        ]
    }

    fn phase(&self, word: &str) -> Option<Phase> {
        let known = |(_, words): &(Phase, &[String])| words.iter().any(|known| known == word);
        self.all().into_iter().find(known).map(|(phase, _)| phase)
    }

    /// A word that stands for two states.
    fn twice(&self) -> Option<&str> {
        let words: Vec<&String> = self.all().into_iter().flat_map(|(_, words)| words).collect();
        let again = |at: usize| words[..at].contains(&words[at]);
        (0..words.len()).find(|at| again(*at)).map(|at| words[at].as_str())
    }
}

#[derive(Clone, Debug)]
struct Described {
    config: Config,
    auth: http::Auth,
}

impl Described {
    fn request(&self, method: Method, path: &Path, values: &Values<'_>) -> Request {
        Request::new(method, path.below(&self.config.endpoint, values)).auth(self.auth.clone())
    }

    fn external(
        &self,
        answer: &Value,
        run: &Pointer,
        page: Option<&Pointer>,
    ) -> Option<ExternalRun> {
        let id = run.text(answer)?;
        Some(ExternalRun { id, url: page.and_then(|page| page.text(answer)) })
    }

    /// The service's own words: where it says they are, else anything in an object that is no 404.
    fn read(&self, reply: Reply) -> Result<Value, answer::Fault> {
        answer::read(self.owned(reply), words)
    }

    /// Marks errors that are the service's own, so that a proxy's are not taken for them.
    fn owned(&self, reply: Reply) -> Reply {
        let mut response = reply?;
        if !response.is_success()
            && let Some(body) = response.json()
        {
            let said = match &self.config.error {
                Some(pointer) => pointer.text(&body),
                None => (body.is_object() && response.status != 404).then(String::new),
            };
            response.body = json!({ "own": said }).to_string().into();
        }
        Ok(response)
    }
}

fn words(body: &Value) -> Option<&str> {
    body.get("own")?.as_str()
}

impl PipelineService for Described {
    fn profile(&self) -> ServiceProfile {
        let Config { repeatable, find, cancel, .. } = &self.config;
        let class = if *repeatable { Idempotency::A } else { Idempotency::C };
        ServiceProfile { class, finds: find.is_some(), cancels: cancel.is_some() }
    }

    /// Nothing is asked: what is wrong is said by the start.
    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = Target::deserialize(target).map_err(|error| error.to_string());
        Step::Done(target.map(|target| Prepared { target: json!(target), parameters: None }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let target = match Target::deserialize(launch.target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Outcome::Rejected(error.to_string())),
        };
        let values = Values::of_start(launch, &target.with);
        let start = &self.config.start;
        let mut request = self.request(start.method.into(), &start.path, &values);
        if let Some(template) = &start.body {
            request = request.json(&body(template, &values));
        }
        let again = self.config.repeatable.then(|| self.find(launch)).flatten();
        let service = self.clone();
        Step::Send(Call::new(request, move |reply| match (&reply, again) {
            (Ok(response), again) if response.status == 409 && service.config.repeatable => {
                adopt(again)
            }
            (Ok(response), _) if [301, 302].contains(&response.status) => {
                Step::Done(elsewhere(response.status))
            }
            _ => Step::Done(answer::started(service.owned(reply), words, |answer| {
                let Start { run, page, .. } = &service.config.start;
                service.external(answer, run, page.as_ref())
            })),
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let target = Target::deserialize(launch.target).ok()?;
        let find = self.config.find.clone()?;
        let values = Values::of_start(launch, &target.with);
        let request = self.request(Method::GET, &find.path, &values);
        let (service, key) = (self.clone(), launch.key.to_string());
        // Where a start is repeatable, one that was there starts nothing.
        let counts = self.config.repeatable || find.asks_by_key();
        let absent = counts.then_some(Outcome::Absent);
        Some(Call::once(request, move |reply| {
            let no_such = matches!(&reply, Ok(response) if response.status == 404);
            match service.read(reply) {
                Ok(answer) => {
                    let runs = match &find.list {
                        Some(list) => list.of(&answer)?.as_array()?.clone(),
                        None => vec![answer],
                    };
                    let ours = runs.iter().find(|run| find.key.text(run).as_deref() == Some(&key));
                    match ours {
                        Some(run) => service.external(run, &find.run, None).map(Outcome::Found),
                        None => absent,
                    }
                }
                Err(answer::Fault::Missing) => absent,
                Err(_) if no_such && service.config.repeatable => absent,
                Err(_) => None,
            }
        }))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let values = Values::of_run(run);
        let request = self.request(Method::GET, &self.config.status.path, &values);
        let service = self.clone();
        Call::once(request, move |reply| {
            let standing = |answer: &Value| service.standing(answer);
            answer::status(service.owned(reply), words, standing)
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let cancel = self.config.cancel.as_ref()?;
        let values = Values::of_run(run);
        let mut request = self.request(cancel.method.into(), &cancel.path, &values);
        if let Some(template) = &cancel.body {
            request = request.json(&body(template, &values));
        }
        let service = self.clone();
        Some(Call::once(request, move |reply| answer::cancelled(service.owned(reply), words, 409)))
    }
}

impl Described {
    fn standing(&self, answer: &Value) -> Option<(Phase, Option<String>)> {
        let Status { state, states, message, .. } = &self.config.status;
        let word = state.text(answer)?;
        let said = message.as_ref().and_then(|message| message.text(answer));
        let said = said.filter(|said| !said.is_empty()).map(|said| clip(&said));
        Some(match states.phase(&word) {
            Some(phase) => (phase, said),
            None => answer::unknown_state(&word),
        })
    }
}

/// A key that is taken is our own: an answer was lost.
fn adopt(find: Option<Call<Option<Outcome>>>) -> Step<Outcome> {
    let unclear = || Outcome::Unclear("the key is taken, by which run cannot be read".to_owned());
    match find {
        Some(find) => Step::Send(find.then(move |found| {
            Step::Done(match found {
                Some(Outcome::Found(run)) => Outcome::Found(run),
                _ => unclear(),
            })
        })),
        None => Step::Done(unclear()),
    }
}

/// A login answers so before a start, and a service after it, which leads to the page of the run it has started.
fn elsewhere(status: u16) -> Outcome {
    Outcome::Unclear(format!("a start was answered with a way elsewhere: status=`{status}`"))
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
        }
    }
}
