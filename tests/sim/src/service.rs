//! Services that really start runs: twice if they are asked twice, unless they promise otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_engine::port::Transport;
use refit_wire::call::{Call, Step};
use refit_wire::http::{Failure, Reply, Request, Response};
use refit_wire::pipeline::{Launch, PipelineService};
use serde_json::{Value, json};
use url::Url;

use crate::faults::Fault;
use crate::world::{Inner, World};

/// Below which path buckets of data are.
const BUCKETS: &str = "/storage/v1/b/";
/// Objects of one page of such a bucket.
const PAGE: usize = 1000;
/// How long after its end a run that failed may be started again at the earliest, and how long it takes then.
const AGAIN_AFTER: i64 = 30_000;

/// How a class of service is addressed at a place.
#[derive(Clone, Copy, Debug)]
pub struct SimService {
    /// How starting twice behaves.
    pub class: Idempotency,
    /// Where it is: what runs at another place is unknown here.
    pub place: Place,
}

/// Where a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where every service is at first.
    East,
    /// Where rules may move it.
    West,
}

impl Place {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::East => "east",
            Self::West => "west",
        }
    }
}

/// The runs of every service.
#[derive(Debug, Default)]
pub struct Services {
    /// Runs by id, in the order they began.
    pub runs: Vec<SimRun>,
    /// How long every run takes, in milliseconds; drawn where none is said.
    pub length: Option<i64>,
    /// Starts that take effect later: when, and of what.
    late: Vec<(i64, SimRun)>,
    count: u64,
}

/// A run that really exists.
#[derive(Clone, Debug)]
pub struct SimRun {
    /// Its id at the service.
    pub id: String,
    /// The key it was started under.
    pub key: String,
    /// The trigger.
    pub trigger: String,
    /// The manifest it was given.
    pub manifest: String,
    /// The class of the service.
    pub class: Idempotency,
    /// Where it runs.
    pub place: Place,
    /// When it began.
    pub began: i64,
    /// When it ends.
    pub ends: i64,
    /// When it can be found.
    pub visible: i64,
    /// Whether it ends well.
    pub succeeds: bool,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Whether a process was told that it was started again.
    pub seen_again: bool,
    /// The id of a run with the same key that was there before: harm done.
    pub shadows: Option<String>,
}

impl Services {
    /// Lets what was late take effect.
    pub fn settle(&mut self, now: i64) {
        while let Some(at) = self.late.iter().position(|(at, _)| *at <= now) {
            let (at, mut run) = self.late.remove(at);
            let length = run.ends - run.began;
            run.visible += at - run.began;
            (run.began, run.ends) = (at, at + length);
            self.begin(run);
        }
    }

    /// Begins a run, unless the class says that it is there already.
    fn begin(&mut self, mut run: SimRun) -> String {
        let known = self.at(run.place).find(|known| known.key == run.key);
        let known = known.map(|known| known.id.clone());
        match (run.class, known) {
            (Idempotency::A, Some(id)) => return id,
            (_, known) => run.shadows = known,
        }
        let id = run.id.clone();
        self.runs.push(run);
        id
    }

    fn at(&self, place: Place) -> impl Iterator<Item = &SimRun> {
        self.runs.iter().filter(move |run| run.place == place)
    }

    fn visible(&self, (place, key): (Place, &str), now: i64) -> Option<&SimRun> {
        self.at(place).find(|run| run.key == key && run.visible <= now)
    }
}

impl SimRun {
    /// From when until when a person lets it run again after it failed, and whether it ends well then. It follows from its
    /// key, so that nothing else in the world is drawn otherwise for it.
    fn again(&self) -> Option<(i64, i64, bool)> {
        let drawn = self.key.bytes().map(i64::from).sum::<i64>();
        let from = self.ends + AGAIN_AFTER * (1 + drawn % 5);
        let is_again = !self.succeeds && !self.cancelled && drawn % 2 == 0;
        is_again.then_some((from, from + AGAIN_AFTER, drawn % 4 == 0))
    }

    /// Whether it was started again.
    fn is_again(&self, now: i64) -> bool {
        self.again().is_some_and(|(from, ..)| from <= now)
    }

    /// How it stands.
    #[must_use]
    pub fn phase(&self, now: i64) -> Phase {
        if let Some((_, until, succeeds)) = self.again().filter(|(from, ..)| *from <= now) {
            return match (now < until, succeeds) {
                (true, _) => Phase::Running,
                (false, true) => Phase::Succeeded,
                (false, false) => Phase::Failed,
            };
        }
        match (now < self.ends, self.cancelled, self.succeeds) {
            (true, ..) => Phase::Running,
            // As with Kubeflow, a run that is ended counts as failed.
            (false, true, _) => Phase::Failed,
            (false, false, true) => Phase::Succeeded,
            (false, false, false) => Phase::Failed,
        }
    }
}

/// Where the services answer, by what is asked of them.
static URLS: LazyLock<BTreeMap<&str, Url>> = LazyLock::new(|| {
    let paths = ["prepare", "start", "find", "status", "cancel"];
    let url = |path| format!("http://sim.invalid/{path}").parse().expect("these paths are plain");
    paths.into_iter().map(|path| (path, url(path))).collect()
});

fn request(method: Method, path: &str, body: &Value) -> Request {
    Request::new(method, URLS[path].clone()).json(body)
}

fn external(value: &Value) -> Option<ExternalRun> {
    Some(ExternalRun { id: value.get("id")?.as_str()?.to_owned(), url: None })
}

impl PipelineService for SimService {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: self.class, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let prepared = Prepared { target: target.clone(), parameters: None };
        Step::Send(Call::once(request(Method::GET, "prepare", &Value::Null), |reply| match reply {
            Ok(response) if response.is_success() => Ok(prepared),
            Ok(response) => Err(format!("status=`{}`", response.status)),
            Err(failure) => Err(failure.to_string()),
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let body = json!({
            "key": launch.key.to_string(), "trigger": launch.trigger, "class": self.class,
            "place": self.place.name(),
            "manifest": launch.parameters["manifest"],
        });
        Step::Send(Call::once(request(Method::POST, "start", &body), |reply| match reply {
            Ok(response) if response.is_success() => {
                let found = response.json().and_then(|value| external(&value));
                found.map_or(Outcome::Unclear("no id".to_owned()), Outcome::Started)
            }
            Ok(response) if response.status == 429 => {
                Outcome::NotStarted { after: None, message: "busy".to_owned() }
            }
            Ok(response) => Outcome::Unclear(format!("status=`{}`", response.status)),
            Err(Failure::NotSent(message)) => Outcome::NotStarted { after: None, message },
            Err(Failure::Unclear(message)) => Outcome::Unclear(message),
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let body = json!({"key": launch.key.to_string(), "place": self.place.name()});
        Some(Call::once(request(Method::GET, "find", &body), |reply| {
            let response = reply.ok()?;
            match response.status {
                200 => external(&response.json()?).map(Outcome::Found),
                404 => Some(Outcome::Absent),
                _ => None,
            }
        }))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let body = json!({"id": run.id, "place": self.place.name()});
        Call::once(request(Method::GET, "status", &body), |reply| {
            let response = reply.ok()?;
            if response.status == 404 {
                return Some(Outcome::Vanished);
            }
            let value = Some(response).filter(Response::is_success)?.json()?;
            let phase = serde_json::from_value(value.get("phase")?.clone()).ok()?;
            Some(Outcome::Status { phase, message: None })
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let body = json!({"id": run.id, "place": self.place.name()});
        Some(Call::once(request(Method::POST, "cancel", &body), |_| Ok(())))
    }
}

/// The way to the services, with the faults of the schedule.
#[derive(Debug)]
pub struct SimTransport {
    world: World,
    who: Arc<str>,
}

impl SimTransport {
    /// The way from the process of that name.
    #[must_use]
    pub fn new(world: World, who: Arc<str>) -> Self {
        Self { world, who }
    }

    /// What a start call is to begin, should it do so.
    fn run(&self, body: &Value) -> SimRun {
        let now = self.world.time().now();
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let class = serde_json::from_value(body["class"].clone()).unwrap_or(Idempotency::C);
        let mut guard = self.world.lock();
        let Inner { random, faults, services, .. } = &mut *guard;
        services.count += 1;
        let key = text("key");
        let id = match class {
            Idempotency::A | Idempotency::B => key.replace("rf-", "id-"),
            Idempotency::C => format!("run-{}", services.count),
        };
        let drawn = random.between(5_000, 90_000);
        SimRun {
            id,
            key,
            trigger: text("trigger"),
            manifest: text("manifest"),
            class,
            place: place(body),
            began: now,
            ends: now + services.length.unwrap_or(drawn),
            visible: now + random.between(0, faults.hidden_max),
            succeeds: !random.per_mille(faults.runs_fail),
            cancelled: false,
            seen_again: false,
            shadows: None,
        }
    }

    fn start(&self, body: &Value) -> Reply {
        let run = self.run(body);
        let (refused, lost, late) = {
            let mut guard = self.world.lock();
            let Inner { random, faults, .. } = &mut *guard;
            let late = random.per_mille(faults.start_late);
            let by = late.then(|| random.between(1, faults.hidden_max.max(20_000)));
            (random.per_mille(faults.start_refused), random.per_mille(faults.start_lost), by)
        };
        if refused {
            return self.refuse();
        }
        let key = run.key.clone();
        if run.visible > run.began {
            self.world.inject(Fault::RunHidden);
        }
        if !run.succeeds {
            self.world.inject(Fault::RunFails);
        }
        if let Some(by) = late {
            self.world.inject(Fault::StartLate);
            self.world.note(&self.who, "sends a start that arrives late", &key);
            self.world.lock().services.late.push((run.began + by, run));
            return Err(Failure::Unclear("no answer".to_owned()));
        }
        let id = self.world.lock().services.begin(run);
        self.world.note(&self.who, "starts", &key);
        if lost {
            self.world.inject(Fault::StartAnswerLost);
            return Err(Failure::Unclear("the answer was lost".to_owned()));
        }
        Ok(answer(200, &json!({"id": id})))
    }

    /// Nothing was started: the connection was refused, or the service said that it is busy.
    fn refuse(&self) -> Reply {
        self.world.inject(Fault::StartRefused);
        match self.world.lock().random.per_mille(500) {
            true => Err(Failure::NotSent("refused".to_owned())),
            false => Ok(answer(429, &Value::Null)),
        }
    }

    /// A page of the bucket of data.
    fn list(&self, url: &Url) -> Reply {
        let token = url.query_pairs().find(|(name, _)| name == "pageToken");
        let from = token.and_then(|(_, token)| token.parse().ok()).unwrap_or(0);
        let mut guard = self.world.lock();
        let Inner { bucket, counts, .. } = &mut *guard;
        counts.data_lists += 1;
        let items: Vec<&Value> = bucket.iter().skip(from).take(PAGE).collect();
        let next = Some(from + PAGE).filter(|next| *next < bucket.len());
        Ok(answer(
            200,
            &json!({"items": items, "nextPageToken": next.map(|next| next.to_string())}),
        ))
    }

    fn ask(&self, path: &str, body: &Value) -> Reply {
        let now = self.world.time().now();
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let place = place(body);
        let mut guard = self.world.lock();
        let Inner { services, trace, injected, .. } = &mut *guard;
        match path {
            "/find" => Ok(match services.visible((place, &text("key")), now) {
                Some(run) => answer(200, &json!({"id": run.id})),
                None => answer(404, &Value::Null),
            }),
            "/status" => {
                let id = text("id");
                let here = |run: &&mut SimRun| run.place == place && run.id == id;
                let Some(run) = services.runs.iter_mut().find(here) else {
                    return Ok(answer(404, &Value::Null));
                };
                if run.is_again(now) && !std::mem::replace(&mut run.seen_again, true) {
                    injected.count(Fault::RunAgain);
                }
                Ok(answer(200, &json!({"phase": run.phase(now)})))
            }
            "/cancel" => {
                let id = text("id");
                let here = |run: &&mut SimRun| run.place == place && run.id == id;
                for run in services.runs.iter_mut().filter(here).filter(|run| run.ends > now) {
                    run.cancelled = true;
                    run.ends = now + 1_000;
                    trace.note(now, "", "cancels", &run.key);
                }
                Ok(answer(200, &Value::Null))
            }
            _ => Ok(answer(200, &Value::Null)),
        }
    }
}

#[async_trait]
impl Transport for SimTransport {
    async fn send(&self, request: Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (before, after, fails) = {
            let mut guard = self.world.lock();
            let Inner { random, faults, injected, .. } = &mut *guard;
            let fails = request.url.path() != "/start" && random.per_mille(faults.asks_fail);
            if fails {
                injected.count(Fault::AskFails);
            }
            let least = faults.call_max.min(1);
            let mut half = || random.between(least, faults.call_max);
            (half(), half(), fails)
        };
        self.world.time().after(before).await;
        if fails {
            return Err(Failure::Unclear("no answer".to_owned()));
        }
        let reply = match request.url.path() {
            "/start" => self.start(&body),
            path if path.starts_with(BUCKETS) => self.list(&request.url),
            path => self.ask(path, &body),
        };
        self.world.time().after(after).await;
        reply
    }
}

/// The place a request goes to.
fn place(body: &Value) -> Place {
    let is_west = body["place"] == Place::West.name();
    if is_west { Place::West } else { Place::East }
}

fn answer(status: u16, body: &Value) -> Response {
    Response { status, headers: HeaderMap::new(), body: Bytes::from(body.to_string()) }
}

/// Every service of the simulation at a place, by name.
#[must_use]
pub fn services(place: Place) -> BTreeMap<String, SimService> {
    let all = [("a", Idempotency::A), ("b", Idempotency::B), ("c", Idempotency::C)];
    all.into_iter().map(|(name, class)| (name.to_owned(), SimService { class, place })).collect()
}
