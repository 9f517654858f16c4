//! What a model holds: how many events, which class of service, which faults.

use std::collections::BTreeMap;

use refit_core::event::{DataRef, Event, Fact, Identity, ObjectChange, ObjectKind};
use refit_core::mutant::Mutant;
use refit_core::rules::{
    Budget, Idempotency, ObjectMatch, On, Overlap, Retry, Rules, RunRule, ServiceProfile, Trigger,
};
use refit_core::scope::RUN_VARIABLES;
use refit_core::template::Template;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use serde_json::json;

/// An instant: ticks since the model's beginning.
pub type Tick = u8;

/// The name of the only trigger.
pub const TRIGGER: &str = "t";
/// The revision of the only rules.
pub const REVISION: &str = "r1";
/// The tick at which exploration begins: early enough for names that lie before it.
pub const START: Tick = 3;
/// How far a wrong clock is off, in ticks: more than the grace.
pub const SKEW: Tick = 3;
/// How far from the store's time the time in an acknowledged name may be.
pub const NAME: Tick = 1;
/// How far back a full listing looks; also how old a state may be that is committed from.
pub const GRACE: Tick = 2;
/// How long the writer of an intent alone may call.
pub const LEASE: Tick = 1;
/// How long a call may take.
pub const CALL: Tick = 1;
/// How far apart two empty look-ups must be.
pub const SETTLE: Tick = 1;
/// How long an abandoned key is looked up.
pub const WATCH: Tick = 2;

/// The length of a tick. No length of time the model distinguishes is shorter.
const TICK: Span = Span::mins(30);

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Events, each of an object of its own.
    pub events: u8,
    /// Deliveries of each.
    pub deliveries: u8,
    /// The class of the service.
    pub class: Idempotency,
    /// Ticks that may pass while faults happen.
    pub ticks: Tick,
    /// Ticks a batch stays open after its last member.
    pub quiet: Tick,
    /// What a due batch does while a run is active.
    pub overlap: Overlap,
    /// Attempts of a run that fails; runs fail only if there are several.
    pub attempts: u32,
    /// Attempts in any hundred ticks.
    pub budget: u32,
    /// Ticks between two launches.
    pub cooldown: Tick,
    /// Whether processes crash.
    pub crashes: bool,
    /// Whether passes end early because a call to the store failed.
    pub errors: bool,
    /// Whether clocks of processes are wrong.
    pub skew: bool,
    /// Whether services refuse start calls.
    pub refusals: bool,
    /// Whether start calls of class B and C may take effect however late.
    pub late: bool,
    /// Whether a pass may leave segments unread.
    pub cuts: bool,
    /// The deliberate breakage, if any.
    pub mutant: Option<Mutant>,
}

impl Scope {
    /// One trigger, a class of service, so many events with so many deliveries each; crashes, errors and time.
    #[must_use]
    pub fn new(events: u8, deliveries: u8, class: Idempotency) -> Self {
        Self {
            events,
            deliveries,
            class,
            ticks: 3,
            quiet: 0,
            overlap: Overlap::Forbid,
            attempts: 1,
            budget: 100,
            cooldown: 0,
            crashes: true,
            errors: true,
            skew: false,
            refusals: false,
            late: false,
            cuts: false,
            mutant: None,
        }
    }

    /// The last tick at which faults happen.
    #[must_use]
    pub fn end(&self) -> Tick {
        START + self.ticks
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let manifest = Template::parse(&json!("${ batch.manifest }"), RUN_VARIABLES);
        let parameters = manifest.ok().map(|template| ("manifest".to_owned(), template));
        let run = RunRule {
            service: "s".to_owned(),
            target: json!({}),
            parameters: parameters.into_iter().collect(),
            cache: false,
            guard: None,
        };
        let on = ObjectMatch { bucket: "b".to_owned(), ..ObjectMatch::default() };
        let mut trigger = Trigger::new(vec![On::Objects(on)], run);
        trigger.batch.quiet = Some(ticks(self.quiet));
        trigger.batch.max_wait = Some(ticks(100));
        trigger.overlap = self.overlap;
        trigger.cooldown = ticks(self.cooldown);
        trigger.budget = Budget { runs: self.budget, per: ticks(100) };
        trigger.retry = Retry { attempts: self.attempts, backoff: ticks(1), max_backoff: ticks(1) };
        let profile = ServiceProfile { class: self.class, finds: true, cancels: true };
        Rules {
            revision: REVISION.to_owned(),
            services: BTreeMap::from([("s".to_owned(), profile)]),
            triggers: BTreeMap::from([(TRIGGER.to_owned(), trigger)]),
            receivers: BTreeMap::new(),
        }
    }
}

/// So many ticks.
#[must_use]
pub fn ticks(count: Tick) -> Span {
    TICK.times(i64::from(count))
}

/// The time of a tick.
#[must_use]
pub fn at(tick: Tick) -> Timestamp {
    begin() + ticks(tick)
}

fn begin() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// The first tick not before that time.
#[must_use]
pub fn tick_of(time: Timestamp) -> Tick {
    let millis = time.since(begin()).as_millis();
    let whole = millis.div_euclid(TICK.as_millis()) + i64::from(millis % TICK.as_millis() > 0);
    Tick::try_from(whole).unwrap_or(Tick::MAX)
}

/// The lengths of time of the model's ledger.
#[must_use]
pub fn timing() -> Timing {
    let never = Span::days(36_500);
    Timing {
        name: ticks(NAME),
        grace: ticks(GRACE),
        pass: Span::ZERO,
        lease: ticks(LEASE),
        margin: Span::ZERO,
        call: ticks(CALL),
        settle: ticks(SETTLE),
        ping: ticks(1),
        window: Span::days(35),
        slack: Span::days(1),
        poll: ticks(1),
        watch: ticks(WATCH),
        keep: never,
        garbage: never,
    }
}

/// The event of that number.
#[must_use]
pub fn event(number: u8) -> Event {
    let name = format!("o{number}");
    let object = DataRef {
        scheme: "gs".to_owned(),
        bucket: "b".to_owned(),
        name: name.clone(),
        generation: Some("1".to_owned()),
        size: Some(1),
        ..DataRef::default()
    };
    let kind = ObjectKind::Finalized;
    Event {
        identity: Identity(vec!["gs".to_owned(), "b".to_owned(), name, "1".to_owned()]),
        origin: "model".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Object(ObjectChange { kind, object, overwrote: None, overwritten_by: None }),
    }
}
