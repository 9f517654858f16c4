//! Pausing, resuming, replaying, applying: nothing starts that nobody asked for.

use refit_core::event::{Command, Event, Held, PauseMode};
use refit_core::mutant::Mutant;
use refit_core::reason::Refusal;
use refit_core::rules::Rules;
use refit_core::schedule::Misfire;
use refit_sim::draw::apply;
use refit_sim::rules::rules_of;
use refit_sim::script::{Opening, Script, object, uploaded};
use refit_sim::told::{REPLAYED, SWEPT, forced};

use super::times::scheduled;
use super::{batches, is_clean, launched, trigger};

fn resume(held: Held) -> Command {
    Command::Resume { trigger: "t".to_owned(), held }
}

/// Pauses, lets 50 events arrive and resumes at 1,000 s.
fn paused_with_fifty(held: Held) -> Script {
    let mut script = Script::new(trigger());
    let pause = Command::Pause { trigger: "t".to_owned(), mode: PauseMode::Hold };
    script.command(5.0, pause);
    for number in 0..50 {
        script.uploads(10.0 + f64::from(number), &[&format!("{number:02}")]);
    }
    script.command(1000.0, resume(held));
    script.play(999.0);
    assert!(launched(&script).is_empty(), "paused");
    script.play(2000.0);
    script
}

/// 4: pause, 50 events, resume: they are kept, and start a run only if that is asked for.
#[test]
fn what_a_pause_held_starts_only_if_asked() {
    let mut asking = paused_with_fifty(Held::Ask);
    assert!(launched(&asking).is_empty(), "nobody has decided");
    let answer = asking.command(2000.0, resume(Held::Coalesce));
    asking.play(3000.0);
    assert!(asking.answer(answer).is_some_and(|(ok, _)| ok));
    for script in [asking, paused_with_fifty(Held::Coalesce)] {
        let launched = launched(&script);
        assert_eq!(launched.iter().map(|(_, all)| all.len()).collect::<Vec<_>>(), [50]);
        is_clean(&script);
    }
    let discarded = paused_with_fifty(Held::Discard);
    assert!(launched(&discarded).is_empty());
    is_clean(&discarded);
}

/// 15: the replay of a batch has all its members.
#[test]
fn a_replayed_batch_has_all_its_members() {
    let mut script = Script::new(trigger());
    script.runs_take(30.0);
    let events: Vec<Event> = ["x", "y", "z"].map(|name| uploaded(object(name))).to_vec();
    script.send(10.0, events.clone());
    script.send(1000.0, forced(events, None));
    script.play(2000.0);
    let all: &[&str] = &["x", "y", "z"];
    assert_eq!(launched(&script), batches(&[(70.0, all), (1060.0, all)]));
    is_clean(&script);
}

/// 29: what is replayed for one trigger reaches no other, and that trigger once, unless it is forced.
#[test]
fn a_replay_for_one_trigger_leaves_the_others_alone() {
    assert_eq!(REPLAYED.wrong(), [""; 0]);
}

/// The same is noticed where it is not so.
#[test]
fn a_replay_that_goes_wrong_is_noticed() {
    for mutant in [Mutant::ReplayReachesOthers, Mutant::ReplayedTwice] {
        assert_ne!(REPLAYED.wrong_with(mutant), [""; 0], "{mutant:?}");
    }
}

/// What a sweep finds goes to triggers that are older than it.
#[test]
fn a_sweep_starts_nothing_for_what_is_older_than_the_trigger() {
    assert_eq!(SWEPT.wrong(), [""; 0]);
    assert_ne!(SWEPT.wrong_with(Mutant::SweptBeforeTrigger), [""; 0]);
}

/// Objects that lie in the bucket before the first deployment: pages of a listing.
const OLDER: usize = 2500;

fn renamed() -> Rules {
    rules_of([("renamed", trigger())])
}

/// 25: a renamed trigger, a redeployment, a first deployment over a full bucket: nothing starts.
#[test]
fn deploying_starts_nothing() {
    // What lies in the bucket is no event, and older than any trigger where a sweep finds it.
    let opening = Opening::with(trigger()).then(renamed());
    let mut script = Script::open(Opening { older: OLDER, ..opening });
    script.play(100.0);
    assert!(launched(&script).is_empty());
    script.uploads(100.0, &["x"]);
    // The batch is open when its trigger gets another name.
    let renaming = script.command(130.0, apply("r1", Some("r0"), false));
    script.play(150.0);
    let (ok, told) = script.answer(renaming).expect("it was answered");
    assert!(ok && told.contains("added=`renamed`") && told.contains("removed=`t`"), "{told}");
    for at in [0, 1] {
        script.stage.kill(at);
        script.stage.start(at);
    }
    script.play(90_000.0);
    assert!(launched(&script).is_empty() && script.runs().is_empty());
    assert!(script.counts().data_lists >= 3, "the whole bucket was swept");
    assert_eq!(script.counts().segments, 3, "nothing of it was recorded: {:?}", script.counts());
    is_clean(&script);
}

/// 25: a schedule is edited so that today's time has passed: it starts nothing until tomorrow's.
#[test]
fn an_edited_schedule_starts_nothing() {
    let at = |cron| rules_of([("t", scheduled(cron, "UTC", Misfire::All(100)))]);
    // The world begins at 08:00.
    let mut script = Script::open(Opening::of(at("0 9 * * *")).then(at("30 7 * * *")));
    script.runs_take(30.0);
    let edited = script.command(100.0, apply("r1", Some("r0"), false));
    script.play(84_000.0);
    assert!(script.answer(edited).is_some_and(|(ok, _)| ok));
    assert!(launched(&script).is_empty(), "until 07:20 on the next day");
    script.play(86_400.0);
    let at: Vec<f64> = launched(&script).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [23.5 * 3600.0]);
    is_clean(&script);
}

/// 31: a trigger is deleted and made again: what was not delivered waits for a decision, and is not lost.
#[test]
fn a_trigger_made_again_offers_what_it_had() {
    let rules =
        |triggers: &[&'static str]| rules_of(triggers.iter().map(|name| (*name, trigger())));
    let mut script = Script::open(Opening::of(rules(&["t"])).then(rules(&["other"])));
    script.uploads(10.0, &["x", "y"]);
    script.command(30.0, apply("r1", Some("r0"), false));
    script.play(500.0);
    let again = script.command(500.0, apply("r0", Some("r1"), false));
    script.play(1000.0);
    let (ok, told) = script.answer(again).expect("it was answered");
    assert!(ok && told.contains("wait for a decision: count=`1`"), "{told}");
    assert!(launched(&script).is_empty(), "nobody has decided");
    script.command(1000.0, resume(Held::Coalesce));
    script.play(2000.0);
    assert_eq!(launched(&script), batches(&[(1000.0, &["x", "y"])]));
    assert_eq!(script.refused(Refusal::Discarded), 0);
    is_clean(&script);
}
