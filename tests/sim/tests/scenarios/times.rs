//! Times that come while nobody looks, while clocks change, and while a run goes on.

use refit_core::commit::{Change, TriggerChange};
use refit_core::reason::Hold;
use refit_core::rules::{Budget, On, Overlap, Trigger};
use refit_core::schedule::{Misfire, Schedule, Slot, Zone};
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use refit_sim::rules::rules_of;
use refit_sim::script::{Opening, Script};
use refit_sim::world::BEGIN;

use super::{is_clean, launched, trigger};

const HOUR: f64 = 3600.0;

/// A trigger whose times are runs of their own.
pub(super) fn scheduled(cron: &str, zone: &str, misfire: Misfire) -> Trigger {
    let zone = Zone::new(zone).expect("there is such a zone");
    let schedule = Schedule::new(cron, zone, misfire).expect("it is an expression");
    let mut trigger = Trigger { on: vec![On::Schedule(schedule)], ..trigger() };
    trigger.batch.quiet = Some(Span::ZERO);
    trigger.overlap = Overlap::Allow;
    trigger.budget = Budget { runs: 10_000, per: Span::hours(24) };
    trigger
}

/// The times that became members, in order.
fn fired(script: &Script) -> Vec<Slot> {
    let commits = script.commits();
    let changes = commits.iter().flat_map(|commit| &commit.changes);
    let fired = changes.filter_map(|change| match change {
        Change::Trigger { change: TriggerChange::Fired { firing, .. }, .. } => {
            Some(firing.slot.clone())
        }
        _ => None,
    });
    fired.collect()
}

/// How often a commit says that times were passed over.
fn missed(script: &Script) -> usize {
    let commits = script.commits();
    let changes = commits.iter().flat_map(|commit| &commit.changes);
    let is_missed = |change: &&Change| {
        matches!(change, Change::Trigger { change: TriggerChange::Missed { .. }, .. })
    };
    changes.filter(is_missed).count()
}

/// 26: nothing reconciles over 40 times of a schedule: none, the last, all of them or the newest ten are made up for.
#[test]
fn an_outage_is_made_up_for_as_the_rule_says() {
    let results =
        [(Misfire::None, 0), (Misfire::Last, 1), (Misfire::All(100), 40), (Misfire::All(10), 10)];
    for (misfire, expected) in results {
        // The world begins at 08:00: the first of the 40 is 09:00, the last 00:00 two days later.
        let mut script = Script::new(scheduled("0 * * * *", "UTC", misfire));
        script.runs_take(30.0);
        script.play(60.0);
        script.stage.kill(1);
        script.play(40.5 * HOUR);
        script.stage.start(1);
        script.play(40.9 * HOUR);
        let made_up = fired(&script);
        assert_eq!(made_up.len(), expected, "{misfire:?}: {made_up:?}");
        let newest = made_up.last().map(|slot| slot.civil.clone());
        assert_eq!(newest, (expected > 0).then(|| "2027-01-17T00:00[UTC]".to_owned()));
        let members: usize = launched(&script).iter().map(|(_, all)| all.len()).sum();
        assert_eq!(members, expected, "{misfire:?}: each is a member of one run");
        assert_eq!(
            missed(&script),
            usize::from(expected < 40),
            "{misfire:?}: the others are told of"
        );
        is_clean(&script);
        // The next comes as if nothing had been.
        script.play(41.5 * HOUR);
        assert_eq!(fired(&script).len(), expected + 1, "{misfire:?}");
    }
}

/// Seconds from when the world begins until then.
fn second(time: &str) -> f64 {
    let time: Timestamp = time.parse().expect("it is a time");
    (time.as_millis() - BEGIN) as f64 / 1000.0
}

/// The times that came between two instants, nobody having looked before the first.
fn fired_within(cron: &str, from: &str, until: &str) -> Vec<(String, String)> {
    let rules = rules_of([("t", scheduled(cron, "America/New_York", Misfire::None))]);
    let timing = Timing { ping: Span::mins(10), ..Timing::default() };
    let mut script = Script::open(Opening { timing, ..Opening::of(rules) });
    script.runs_take(30.0);
    script.play(600.0);
    script.stage.kill(1);
    script.play(second(from));
    script.stage.start(1);
    script.play(second(until));
    is_clean(&script);
    fired(&script).into_iter().map(|slot| (slot.civil, slot.at.to_string())).collect()
}

/// 27: 02:30 daily where the clocks leave it out, 01:30 daily where they show it twice: once on every civil day.
#[test]
fn a_change_of_the_clocks_leaves_one_time_for_every_civil_day() {
    let own = |expected: [(&str, &str); 3]| {
        expected.map(|(civil, at)| (format!("{civil}[America/New_York]"), at.to_owned()))
    };
    let spring = fired_within("30 2 * * *", "2027-03-12T12:00:00Z", "2027-03-15T12:00:00Z");
    let expected = [
        ("2027-03-13T02:30", "2027-03-13T07:30:00.000Z"),
        // There is no 02:30 on that day: it is what the clocks show the moment after, 03:00.
        ("2027-03-14T02:30", "2027-03-14T07:00:00.000Z"),
        ("2027-03-15T02:30", "2027-03-15T06:30:00.000Z"),
    ];
    assert_eq!(spring, own(expected));
    let autumn = fired_within("30 1 * * *", "2027-11-05T12:00:00Z", "2027-11-08T12:00:00Z");
    let expected = [
        ("2027-11-06T01:30", "2027-11-06T05:30:00.000Z"),
        ("2027-11-07T01:30", "2027-11-07T05:30:00.000Z"),
        ("2027-11-08T01:30", "2027-11-08T06:30:00.000Z"),
    ];
    assert_eq!(autumn, own(expected));
}

/// Times that come during the long run.
const BEHIND: usize = 2000;

/// 28: two thousand times come behind one long run: they are one batch, whose count and reason are told, and one run.
#[test]
fn times_behind_a_long_run_are_one_batch() {
    let mut every_minute = scheduled("* * * * *", "UTC", Misfire::Last);
    every_minute.overlap = Overlap::Forbid;
    every_minute.timeout = Span::days(7);
    let mut script = Script::new(every_minute);
    // The run begins at 08:01, and ends after two thousand further times.
    script.runs_take(60.0 * BEHIND as f64 + 30.0);
    script.play(60.0 * (1 + BEHIND) as f64 + 10.0);
    let state = script.state();
    let open: Vec<_> = state.triggers["t"].open.values().collect();
    assert_eq!(open.len(), 1, "the queue is bounded");
    let held = open[0].held.map(|held| held.reason);
    assert_eq!((open[0].count, held), (BEHIND as u64, Some(Hold::ActiveRun)));
    assert!(open[0].parts.len() <= 64, "and so is what it is stored in");
    script.runs_take(5.0);
    script.play(60.0 * (1 + BEHIND) as f64 + 55.0);
    let members: Vec<usize> = launched(&script).iter().map(|(_, all)| all.len()).collect();
    assert_eq!(members, [1, BEHIND], "none was dropped");
    assert_eq!((fired(&script).len(), missed(&script)), (1 + BEHIND, 0), "nor passed over");
    is_clean(&script);
}
