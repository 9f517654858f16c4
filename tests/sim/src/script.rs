//! A world in which a test says what happens when, to the millisecond: nothing is drawn and no call takes time.

use std::collections::BTreeMap;

use refit_core::commit::{Change, Commit, Decision};
use refit_core::event::{Command, DataRef, Event, ObjectKind};
use refit_core::member::{Member, read_manifest};
use refit_core::reason::Refusal;
use refit_core::rules::{Rules, Trigger};
use refit_core::state::{BatchId, State};
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::layout;
use refit_engine::ledger::begin;
use refit_engine::port::StoreClock;
use refit_engine::record::read_commit;
use refit_wire::listing::Buckets;
use serde_json::{Value, json};

use crate::draw::{apply, changed, command};
use crate::executor::Executor;
use crate::faults::Faults;
use crate::random::Random;
use crate::rules::{book, rules_of};
use crate::service::SimRun;
use crate::stage::{Machine, Setting, Stage};
use crate::store::PassCalls;
use crate::world::{BEGIN, Counts, Stored, World, wall};

/// Milliseconds of a second.
const SECOND: i64 = 1000;

/// A world under a test's control. Times are seconds since it began; rules `r0` are applied at 0.
#[expect(missing_debug_implementations, reason = "futures have nothing to print")]
pub struct Script {
    /// The world and its processes: one that takes events in at 0, those that reconcile from 1 on, and after them
    /// the others that take events in.
    pub stage: Stage,
    commands: i64,
}

/// What a script begins with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Revisions of the rules: `r0`, `r1`, ….
    pub revisions: Vec<Rules>,
    /// How many processes reconcile.
    pub ticks: usize,
    /// How many processes take events in.
    pub doors: usize,
    /// The lengths of time of the ledger.
    pub timing: Timing,
    /// What the order of simultaneous steps is drawn from.
    pub seed: u64,
    /// Objects in the watched bucket that are older than every trigger; where there are any, it is swept.
    pub older: usize,
}

/// A batch that became a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The batch.
    pub batch: BatchId,
    /// The trigger.
    pub trigger: String,
    /// When it was closed, in milliseconds since the world began.
    pub at: i64,
    /// The names and generations of its members, as its manifest lists them.
    pub members: Vec<String>,
    /// Members that joined, those overwritten or deleted meanwhile included.
    pub joined: u64,
}

impl Opening {
    /// One trigger `t`, one process that reconciles, the lengths of time ledgers have.
    #[must_use]
    pub fn with(trigger: Trigger) -> Self {
        Self::of(rules_of([("t", trigger)]))
    }

    /// These rules, one process that reconciles, the lengths of time ledgers have.
    #[must_use]
    pub fn of(rules: Rules) -> Self {
        let timing = Timing::default();
        Self { revisions: vec![rules], ticks: 1, doors: 1, timing, seed: 0, older: 0 }
    }

    /// The same with a further revision of the rules.
    #[must_use]
    pub fn then(mut self, rules: Rules) -> Self {
        self.revisions.push(rules);
        self
    }
}

/// An object of the bucket every trigger here watches, of generation 1 and with 10 bytes.
#[must_use]
pub fn object(name: &str) -> DataRef {
    DataRef {
        scheme: "gs".to_owned(),
        bucket: "b".to_owned(),
        name: name.to_owned(),
        generation: Some("1".to_owned()),
        size: Some(10),
        ..DataRef::default()
    }
}

/// An object from the day before the world began, as the service of its bucket lists it.
fn older(number: usize) -> Value {
    let created = wall(-Span::days(1).as_millis(), 0).to_string();
    json!({
        "bucket": "b", "name": format!("older-{number:06}"), "generation": "1", "size": "10",
        "timeCreated": created,
    })
}

/// The same of this generation, with a checksum of its own.
#[must_use]
pub fn generation(name: &str, number: u32, size: u64) -> DataRef {
    DataRef {
        generation: Some(number.to_string()),
        size: Some(size),
        checksum: Some(format!("md5:{number}")),
        ..object(name)
    }
}

/// The event that an object was uploaded.
#[must_use]
pub fn uploaded(object: DataRef) -> Event {
    changed(object, ObjectKind::Finalized)
}

impl Script {
    /// Begins with this trigger alone.
    #[must_use]
    pub fn new(trigger: Trigger) -> Self {
        Self::open(Opening::with(trigger))
    }

    /// Begins.
    #[must_use]
    pub fn open(opening: Opening) -> Self {
        let executor = Executor::default();
        let mut random = Random::new(opening.seed);
        let world =
            World::new(executor.time().clone(), Random::new(random.draw()), Faults::default());
        world.lock().bucket = (0..opening.older).map(older).collect();
        let mut books = BTreeMap::new();
        for (number, rules) in opening.revisions.into_iter().enumerate() {
            let revision = format!("r{number}");
            books.insert(revision.clone(), book(Rules { revision, ..rules }));
        }
        // Clones would share a clock, and an intake.
        let ticks = (0..opening.ticks).map(|_| Machine::new(true, 0));
        let doors = (1..opening.doors).map(|_| Machine::new(false, 0));
        let setting = Setting {
            world,
            machines: std::iter::once(Machine::new(false, 0)).chain(ticks).chain(doors).collect(),
            books,
            timing: opening.timing,
            store_clock: StoreClock::Service,
            buckets: (opening.older > 0).then(|| Buckets::stand_in("data").expect("it is a host")),
        };
        let mut script = Self { stage: Stage::new(setting, executor, random), commands: 0 };
        (0..opening.doors + opening.ticks).for_each(|at| script.stage.start(at));
        script.command(0.0, apply("r0", None, false));
        script
    }

    /// An object is uploaded.
    pub fn upload(&mut self, at: f64, object: DataRef) {
        let created = Some(object.created.unwrap_or(wall(millis(at), 0)));
        self.send(at, vec![uploaded(DataRef { created, ..object })]);
    }

    /// Objects of these names are uploaded.
    pub fn uploads(&mut self, at: f64, names: &[&str]) {
        for name in names {
            self.upload(at, object(name));
        }
    }

    /// Events arrive in one request.
    pub fn send(&mut self, at: f64, events: Vec<Event>) {
        self.stage.deliver(millis(at), events);
    }

    /// A person asks for something; answers with its number.
    pub fn command(&mut self, at: f64, asked: Command) -> i64 {
        self.commands += 1;
        self.send(at, vec![command(self.commands, asked)]);
        self.commands
    }

    /// What a person was told, and whether it was obeyed; none while it waits.
    #[must_use]
    pub fn answer(&self, number: i64) -> Option<(bool, String)> {
        let id = command(number, apply("", None, false)).id();
        let commits = self.commits();
        let mut answers = commits.iter().filter_map(|commit| commit.answer(id));
        answers.next().map(|(ok, message)| (ok, message.to_owned()))
    }

    /// Lets the world go on until then.
    pub fn play(&mut self, until: f64) -> &mut Self {
        self.stage.play_until(millis(until));
        self
    }

    /// From now on runs take so many seconds.
    pub fn runs_take(&mut self, seconds: f64) {
        self.stage.world.lock().services.length = Some(millis(seconds));
    }

    /// From now on this goes wrong.
    pub fn faults(&mut self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.stage.world.lock().faults);
    }

    /// The calls to the store so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.stage.world.lock().counts
    }

    /// The most calls any pass has made so far, kind by kind.
    #[must_use]
    pub fn longest_pass(&self) -> PassCalls {
        self.stage.world.lock().longest
    }

    /// The runs that really began.
    #[must_use]
    pub fn runs(&self) -> Vec<SimRun> {
        self.stage.world.lock().services.runs.clone()
    }

    /// The whole log but its first entry.
    #[must_use]
    pub fn commits(&self) -> Vec<Commit> {
        let commits = (1..).map_while(|seq| self.commit(seq));
        commits.collect()
    }

    fn commit(&self, seq: u64) -> Option<Commit> {
        let body = self.read(&layout::commit(seq))?;
        Some(read_commit(seq, &body).expect("the log can be read"))
    }

    fn read(&self, name: &str) -> Option<bytes::Bytes> {
        let inner = self.stage.world.lock();
        inner.objects.get(name).map(|stored| stored.body.clone())
    }

    /// The state after the last commit.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = begin(&self.commit(0).expect("the ledger was founded"));
        for commit in self.commits() {
            refit_core::fold::fold(&mut state, &commit);
        }
        state
    }

    /// Every batch that became a run, in order.
    #[must_use]
    pub fn launched(&self) -> Vec<Launched> {
        let commits = self.commits();
        let closed = commits.iter().flat_map(|commit| {
            commit.changes.iter().filter_map(move |change| {
                let Change::Closed(closed) = change else { return None };
                Some((commit.now.as_millis() - BEGIN, closed))
            })
        });
        let launched = closed.map(|(at, closed)| Launched {
            batch: closed.batch,
            trigger: closed.trigger.clone(),
            at,
            members: self.members(&closed.manifest),
            joined: closed.facts.joined,
        });
        launched.collect()
    }

    fn members(&self, manifest: &str) -> Vec<String> {
        let body = self.read(manifest).expect("the manifest is stored");
        let members = read_manifest(&body).expect("the manifest can be read");
        let name = |member: &Member| {
            let uri = member.uri.as_deref().unwrap_or_default();
            let name = uri.strip_prefix("gs://b/").unwrap_or(uri);
            match member.generation.as_deref() {
                None | Some("1") => name.to_owned(),
                Some(generation) => format!("{name}#{generation}"),
            }
        };
        let mut names: Vec<String> = members.iter().map(name).collect();
        names.sort_unstable();
        names
    }

    /// How many events were refused for this reason.
    #[must_use]
    pub fn refused(&self, reason: Refusal) -> u64 {
        let commits = self.commits();
        let decisions = commits.iter().flat_map(|commit| &commit.decisions);
        let refused = decisions.filter_map(|decision| match decision {
            Decision::Refused { reason: why, events, .. } if *why == reason => Some(events.len()),
            Decision::Refused { .. } | Decision::Accepted { .. } | Decision::Answered { .. } => {
                None
            }
        });
        refused.sum()
    }

    /// Everything that is wrong in this world as it is.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        self.stage.check(0).violations
    }

    /// Puts an object into the store past the product, as created now.
    pub fn put(&self, name: &str, body: bytes::Bytes) {
        let now = self.stage.world.time().now();
        let mut inner = self.stage.world.lock();
        let created = inner.store_now(now);
        inner.objects.insert(name.to_owned(), Stored { created, body });
    }
}

/// Seconds as milliseconds.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a script lasts no longer than years")]
pub fn millis(seconds: f64) -> i64 {
    (seconds * SECOND as f64).round() as i64
}
