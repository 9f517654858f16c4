//! Replays and sweeps, told to the second: no schedule draws them, so the mutants that break them show here.

use refit_core::event::{Command, DataRef, Event, Held, Identity, PauseMode, Replay, ReplayMode};
use refit_core::mutant::{Mutant, activate};
use refit_core::reason::Refusal;

use crate::draw::apply;
use crate::rules::{after_a_minute, rules_of};
use crate::script::{Opening, Script, object, uploaded};
use crate::world::wall;

/// A batch as it is expected: its trigger, the second it closes at, its members.
pub type Expected = (&'static str, i64, &'static [&'static str]);

/// A world that is told, and what is to come of it.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Plays it.
    play: fn() -> Script,
    /// The batches, in the order they close.
    batches: &'static [Expected],
    /// How many events are refused, and why.
    refused: (Refusal, u64),
}

/// Two triggers watch the same objects; `b` is paused and ignores three, which are then replayed for it alone, twice,
/// and once more by force.
pub const REPLAYED: Told = Told {
    play: replayed_for_one,
    batches: &[("a", 70, XYZ), ("b", 1060, XYZ), ("b", 4060, XYZ)],
    refused: (Refusal::Duplicate, 6),
};
/// A trigger is added; a sweep then finds an object that is older than it, and one that is not.
pub const SWEPT: Told = Told {
    play: swept,
    batches: &[("t", 2060, &["older", "younger"]), ("u", 2060, &["younger"])],
    refused: (Refusal::BeforeTrigger, 1),
};
const XYZ: &[&str] = &["x", "y", "z"];

impl Told {
    /// Plays it, and says what is not as it should be.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let script = (self.play)();
        let mut wrong = script.wrong();
        let launched = script.launched().into_iter();
        let found: Vec<_> =
            launched.map(|batch| (batch.trigger, batch.at / 1000, batch.members)).collect();
        let own = |(trigger, at, members): &Expected| {
            let members = members.iter().map(|name| (*name).to_owned()).collect();
            ((*trigger).to_owned(), *at, members)
        };
        let expected: Vec<(String, i64, Vec<String>)> = self.batches.iter().map(own).collect();
        if found != expected {
            wrong.push(format!("other batches than expected: {found:?}"));
        }
        let (reason, expected) = self.refused;
        let refused = script.refused(reason);
        if refused != expected {
            wrong.push(format!("refused as {reason:?}: {refused} events"));
        }
        wrong
    }

    /// Plays it with this mutant.
    #[must_use]
    pub fn wrong_with(&self, mutant: Mutant) -> Vec<String> {
        activate(Some(mutant));
        let wrong = self.wrong();
        activate(None);
        wrong
    }
}

/// The events as somebody sends them again, for one trigger or for all.
#[must_use]
pub fn replayed(events: Vec<Event>, mode: ReplayMode, trigger: Option<&str>) -> Vec<Event> {
    let trigger = trigger.map(str::to_owned);
    let replay = Some(Replay { mode, trigger });
    events.into_iter().map(|event| Event { replay: replay.clone(), ..event }).collect()
}

/// The same as new facts.
#[must_use]
pub fn forced(events: Vec<Event>, trigger: Option<&str>) -> Vec<Event> {
    let renamed = events.into_iter().map(|event| {
        let identity = Identity([event.identity.0.clone(), vec!["replay".into()]].concat());
        Event { identity, ..event }
    });
    replayed(renamed.collect(), ReplayMode::Forced, trigger)
}

fn replayed_for_one() -> Script {
    let rules = rules_of([("a", after_a_minute()), ("b", after_a_minute())]);
    let mut script = Script::open(Opening::of(rules));
    script.runs_take(30.0);
    let paused = |mode| Command::Pause { trigger: "b".to_owned(), mode };
    script.command(5.0, paused(PauseMode::Ignore));
    let upload = |name: &&str| {
        let checksum = Some(format!("md5:{name}"));
        uploaded(DataRef { checksum, created: Some(wall(10_000, 0)), ..object(name) })
    };
    let events: Vec<Event> = XYZ.iter().map(upload).collect();
    script.send(10.0, events.clone());
    script.command(500.0, Command::Resume { trigger: "b".to_owned(), held: Held::Ask });
    for at in [1000.0, 2000.0] {
        script.send(at, replayed(events.clone(), ReplayMode::Again, Some("b")));
    }
    script.send(3000.0, replayed(events.clone(), ReplayMode::Again, None));
    script.send(4000.0, forced(events, Some("b")));
    script.play(5000.0);
    script
}

fn swept() -> Script {
    let both = rules_of([("t", after_a_minute()), ("u", after_a_minute())]);
    let mut script = Script::open(Opening::with(after_a_minute()).then(both));
    script.command(500.0, apply("r1", Some("r0"), false));
    let found = [("older", 100_000), ("younger", 600_000)].map(|(name, created)| {
        uploaded(DataRef { created: Some(wall(created, 0)), ..object(name) })
    });
    script.send(2000.0, replayed(found.to_vec(), ReplayMode::Swept, None));
    script.play(3000.0);
    script
}
