//! What is drawn for a schedule: events, commands, rules and processes.

use std::collections::BTreeMap;

use refit_core::event::{
    Command, DataRef, Event, Fact, Held, Identity, ObjectChange, ObjectKind, PauseMode,
};
use refit_engine::gather::RuleBook;

use crate::faults::Faults;
use crate::random::Random;
use crate::rules;
use crate::stage::Machine;
use crate::world::wall;

/// An event, and when it is delivered for the first time, in milliseconds.
pub type Delivery = (i64, Event);

/// The revisions of the rules, of at the most so many triggers each.
#[must_use]
pub fn books(random: &mut Random, most: i64) -> BTreeMap<String, RuleBook> {
    let names = ["r1", "r2"].into_iter();
    names.map(|name| (name.to_owned(), rules::draw(random, name, most))).collect()
}

/// Two processes that take events in, and one or two that reconcile.
#[must_use]
pub fn machines(random: &mut Random, skew_max: i64) -> Vec<Machine> {
    let ticks = if random.per_mille(700) { 2 } else { 1 };
    let kinds = [false, false, true, true].into_iter().take(2 + ticks);
    kinds.map(|is_tick| Machine::new(is_tick, random.between(-skew_max, skew_max))).collect()
}

/// Where two processes reconcile, a third that does so too.
#[must_use]
pub fn third(random: &mut Random, faults: &Faults, machines: &[Machine]) -> Option<Machine> {
    let ticks = machines.iter().filter(|machine| machine.is_tick).count();
    let is_there = ticks == 2 && random.per_mille(faults.third);
    is_there.then(|| Machine::new(true, random.between(-faults.skew_max, faults.skew_max)))
}

/// At the most so many changes of a few objects, so that their generations meet.
#[must_use]
pub fn events(random: &mut Random, most: i64, length: i64) -> Vec<Delivery> {
    let count = random.between(1, most);
    (0..count)
        .map(|number| {
            let event = event(random, number);
            (random.between(0, length * 2 / 3), event)
        })
        .collect()
}

fn event(random: &mut Random, number: i64) -> Event {
    let name = *random.pick(&["x/1", "x/2", "y/1", "y/2", "y/_SUCCESS", "z/3"]);
    let kind = if random.per_mille(100) { ObjectKind::Deleted } else { ObjectKind::Finalized };
    let generation = random.between(1, 3).to_string();
    let size = u64::try_from(random.between(0, 9)).unwrap_or(0);
    let checksum = random.per_mille(500).then(|| format!("md5:{}", random.below(2)));
    let object = DataRef {
        scheme: "gs".to_owned(),
        bucket: "b".to_owned(),
        name: name.to_owned(),
        generation: Some(generation),
        size: Some(size),
        checksum,
        created: Some(wall(number * 1000, 0)),
        ..DataRef::default()
    };
    changed(object, kind)
}

/// The event that says what happened to an object, at the time the object gives.
#[must_use]
pub fn changed(object: DataRef, kind: ObjectKind) -> Event {
    let generation = object.generation.clone().unwrap_or_default();
    let identity = [&object.scheme, &object.bucket, &object.name, &generation, kind.name()];
    Event {
        identity: Identity(identity.map(str::to_owned).to_vec()),
        origin: "sim".to_owned(),
        time: object.created,
        delivery: None,
        replay: None,
        fact: Fact::Object(ObjectChange { kind, object, overwrote: None, overwritten_by: None }),
    }
}

/// What people ask for: the first rules at once, the rest now and then.
#[must_use]
pub fn commands(random: &mut Random, length: i64) -> Vec<Delivery> {
    let mut drawn = vec![(0, command(0, apply("r1", None, false)))];
    if random.per_mille(250) {
        let at = random.between(20_000, length);
        drawn.push((at, command(1, apply("r2", Some("r1"), random.per_mille(500)))));
    }
    if random.per_mille(200) {
        let at = random.between(10_000, length);
        let mode = *random.pick(&[PauseMode::Hold, PauseMode::Ignore]);
        let held = *random.pick(&[Held::Ask, Held::Coalesce, Held::Discard]);
        let trigger = "t".to_owned();
        drawn.push((at, command(2, Command::Pause { trigger: trigger.clone(), mode })));
        drawn.push((random.between(at, length), command(3, Command::Resume { trigger, held })));
    }
    if random.per_mille(100) {
        let at = random.between(30_000, length);
        let run = format!("b{}", random.between(2, 6));
        drawn.push((at, command(4, Command::Cancel { run })));
    }
    drawn
}

/// The command that puts a revision in force.
#[must_use]
pub fn apply(revision: &str, replaces: Option<&str>, start: bool) -> Command {
    let revision = revision.to_owned();
    Command::Apply { revision, replaces: replaces.map(str::to_owned), start }
}

/// The event that carries a command.
#[must_use]
pub fn command(number: i64, command: Command) -> Event {
    Event {
        identity: Identity(vec!["command".to_owned(), number.to_string()]),
        origin: "sim".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Command(command),
    }
}
