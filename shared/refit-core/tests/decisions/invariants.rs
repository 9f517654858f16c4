//! Every invariant fails where it has to: for each a small world, and a commit of it broken by hand.

use std::collections::BTreeSet;

use refit_core::commit::{AttemptChange, BatchChange, Change, Commit, RunChange, TriggerChange};
use refit_core::fold::fold;
use refit_core::invariants::{check, names};
use refit_core::notice::OutboxChange;
use refit_core::promotion::PromotionChange;
use refit_core::run::{Cancel, ExternalRun, Finished, Phase};
use refit_core::state::{BatchId, State};
use refit_core::time::Span;
use refit_core::timing::Timing;

use crate::world::World;

/// Breaks a commit, given those before it, and says whether it is one that can be broken so.
type Break = fn(&mut Commit, &[Commit]) -> bool;

const JOINED: &str = "rule t bucket=b quiet=1h
    10:00 put a#1
    10:05 put b#1";
const KEYED: &str = "rule t bucket=b quiet=1h by='object.name'
    10:00 put a#1
    10:05 put b#1";
const FAILED: &str = "receiver ml
    rule t bucket=b quiet=0s notify=ml
    10:00 put a#1
    10:01 started b2; failed b2
    10:02 message m1";
const SUCCEEDED: &str = "rule t bucket=b quiet=0s
    10:00 put a#1
    10:01 started b2; succeeded b2
    10:02 message m1";
const RETRIED: &str = "rule t bucket=b quiet=0s retry=3/1m/1h
    10:00 put a#1
    10:01 started b2; failed b2
    10:10 tick";
const BEHIND: &str = "rule t bucket=b quiet=0s
    10:00 put a#1
    10:01 started b2
    10:02 put b#1
    10:03 succeeded b2";
const REPLACED: &str = "rule t bucket=b quiet=1m overlap=replace
    10:00 put a#1
    10:01 started b2
    10:02 put b#1
    10:03 tick
    10:04 put c#1";
const COOLED: &str = "rule t bucket=b quiet=0s overlap=allow cooldown=10m
    10:00 put a#1
    10:05 put b#1
    10:10 tick";
const LIMITED: &str = "rule t bucket=b quiet=0s overlap=allow budget=1/1h
    10:00 put a#1
    10:05 put b#1
    11:00 tick";
const TIMED: &str = "rule t cron='0 6 * * *@UTC' quiet=0s
    06:00 tick";
const IN_A_ROW: &str = "rule t drift=churn consecutive=3 quiet=1m
    10:00 drift r1";
const ENTERED: &str = "rule t bucket=b quiet=0s promote='churn manual'
    10:00 put a#1
    10:01 started b2; succeeded b2; registered b2 3
    10:03 request churn 3 ann
    10:04 entered b2
    10:05 message m1";
const TWO_VERSIONS: &str = "rule t bucket=b quiet=0s overlap=allow promote='churn'
    10:00 put a#1; put b#1 size=20
    10:01 started b2; succeeded b2; registered b2 1
    10:02 put c#1
    10:03 started b5; succeeded b5; registered b5 2";
const APPROVED: &str = "rule t bucket=b quiet=0s promote='churn staging=1'
    10:00 put a#1
    10:01 started b2; succeeded b2; registered b2 3
    10:02 approve churn 3 ann";
const TESTED: &str = "rule t bucket=b quiet=0s promote='churn acceptance=test'
    rule test model=churn:staging
    10:00 put a#1
    10:01 started b2; succeeded b2; registered b2 3
    10:04 entered b2
    10:06 started b5; succeeded b5";
const ROLLED_BACK: &str = "rule t bucket=b quiet=0s overlap=allow promote='churn'
    10:00 put a#1
    10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
    10:10 put b#1
    10:11 started b7; succeeded b7; registered b7 2; entered b7; entered b7
    10:20 rollback churn 2 ann";
const REJECTED: &str = "rule t bucket=b quiet=0s promote='churn staging=1'
    10:00 put a#1
    10:01 started b2; succeeded b2; registered b2 3
    10:02 reject churn 3 ann
    10:03 message m1";

const CASES: &[(&str, &str, Break)] = &[
    ("the log has no gap", JOINED, |commit, _| {
        commit.seq += 1;
        true
    }),
    ("time never goes back", JOINED, |commit, before| {
        commit.now = before[before.len() - 1].now - Span::from_millis(1);
        true
    }),
    ("a segment is consumed once", JOINED, |commit, _| {
        commit.segments.extend_from_within(..);
        !commit.segments.is_empty()
    }),
    ("an event is a member once", JOINED, |commit, before| {
        let mut known = before.iter().flat_map(|commit| &commit.fresh.identities);
        let accepted = known.find(|(_, accepted)| *accepted);
        commit.fresh.identities.extend(accepted);
        accepted.is_some()
    }),
    ("a batch is opened once", JOINED, |commit, _| {
        altered(commit, |change| {
            let Change::Batch { batch, change: BatchChange::Joined { .. } } = change else {
                return false;
            };
            *batch = BatchId { seq: 1, index: 0 };
            true
        })
    }),
    ("members add up", JOINED, |commit, _| {
        without(commit, |change| matches!(change, Change::Stored { .. }))
    }),
    ("what a commit depends on is named by it", JOINED, |commit, _| {
        let had = !commit.uses.is_empty();
        commit.uses.clear();
        had
    }),
    ("a terminal phase is final unless reopened", FAILED, |commit, before| {
        let change = AttemptChange::Progressed { phase: Phase::Running, message: None };
        finished(before)
            .is_some_and(|run| with(commit, Change::Attempt { run, attempt: 1, change }))
    }),
    ("a finished run is final unless reopened", FAILED, |commit, before| {
        let change = RunChange::Finished(Finished { phase: Phase::Failed, at: commit.now });
        finished(before).is_some_and(|run| with(commit, Change::Run { run, change }))
    }),
    ("only what ended badly is reopened", SUCCEEDED, |commit, before| {
        let change = AttemptChange::Reopened(ExternalRun { id: "x".into(), url: None });
        finished(before)
            .is_some_and(|run| with(commit, Change::Attempt { run, attempt: 1, change }))
    }),
    ("one run per attempt", RETRIED, |commit, before| {
        let first = before.iter().flat_map(|commit| &commit.changes).find_map(key_of);
        altered(commit, |change| {
            let Change::Attempt { change: AttemptChange::Intended { key, .. }, .. } = change else {
                return false;
            };
            first.map(|first| *key = first).is_some()
        })
    }),
    ("an attempt follows one that ended", RETRIED, |commit, _| renumbered(commit, 3)),
    ("only the writer of an intent owns it", RETRIED, |commit, _| renumbered(commit, 1)),
    ("overlap holds", BEHIND, |commit, _| {
        closes(commit)
            && without(commit, |change| {
                matches!(change, Change::Run { change: RunChange::Finished(_), .. })
            })
    }),
    ("what replaces a run waits for its end", REPLACED, |commit, before| {
        let successor = before.iter().flat_map(|commit| &commit.changes).find_map(|change| {
            let Change::Run { change: RunChange::CancelAsked(Cancel::ReplacedBy(batch)), .. } =
                change
            else {
                return None;
            };
            Some(*batch)
        });
        let gone = BatchChange::Discarded;
        successor.is_some_and(|batch| with(commit, Change::Batch { batch, change: gone }))
    }),
    ("members move within their key", KEYED, |commit, before| {
        let other = before.iter().flat_map(|commit| &commit.changes).find_map(joined);
        let own = commit.changes.iter().find_map(joined);
        own.zip(other).is_some_and(|(own, other)| {
            with(commit, Change::Batch { batch: other, change: BatchChange::MovedTo(own) })
        })
    }),
    ("cooldown holds", COOLED, closed_a_minute_early),
    ("the budget holds", LIMITED, closed_a_minute_early),
    ("a launch is counted once", BEHIND, |commit, _| {
        let later = commit.now + Span::from_millis(1);
        let change = TriggerChange::LaunchesForgotten(later);
        let launches = commit.changes.iter().any(|change| key_of(change).is_some());
        launches && with(commit, Change::Trigger { trigger: "t".into(), change })
    }),
    ("a time of a schedule comes once", TIMED, |commit, _| {
        let is_firing = |change: &&Change| {
            matches!(change, Change::Trigger { change: TriggerChange::Fired { .. }, .. })
        };
        let fired = commit.changes.iter().find(is_firing).cloned();
        fired.is_some_and(|change| with(commit, change))
    }),
    ("a row of reports is counted up", IN_A_ROW, |commit, _| {
        altered(commit, |change| {
            let Change::Trigger { change: TriggerChange::Streak { streak, .. }, .. } = change
            else {
                return false;
            };
            streak.count += 1;
            true
        })
    }),
    ("a transition is told once, under one id", FAILED, |commit, _| {
        without(commit, |change| {
            matches!(change, Change::Outbox { change: OutboxChange::Raised { .. }, .. })
        })
    }),
    ("a run makes one version", ENTERED, |commit, before| again(commit, before, is_begun)),
    ("a stage is with one version", ENTERED, |commit, before| again(commit, before, is_begun)),
    ("one version is given a stage at a time", TWO_VERSIONS, |commit, _| {
        let asked = commit.changes.iter().find(|change| is_request(change)).cloned();
        asked.is_some_and(|mut change| {
            if let Change::Promotion { change, .. } = &mut change {
                *change = PromotionChange::Entering;
            }
            !commit.changes.contains(&change) && with(commit, change)
        })
    }),
    ("a stage is approved as its rule asks", APPROVED, |commit, _| {
        without(commit, |change| {
            matches!(change, Change::Promotion { change: PromotionChange::Approved { .. }, .. })
        })
    }),
    ("a test decides once it has succeeded", TESTED, |commit, _| {
        altered(commit, |change| {
            let Change::Promotion { change: PromotionChange::Accepted(test), .. } = change else {
                return false;
            };
            test.take().is_some()
        })
    }),
    ("production comes by way of staging", TESTED, |commit, _| {
        without(commit, |change| {
            matches!(change, Change::Promotion { change: PromotionChange::Accepted(_), .. })
        })
    }),
    ("what is rejected stays so", REJECTED, |commit, before| again(commit, before, is_request)),
    ("a rollback takes the place of the version it names", ROLLED_BACK, |commit, _| {
        altered(commit, |change| {
            let Change::Promotion { change: PromotionChange::Requested { leaves, .. }, .. } =
                change
            else {
                return false;
            };
            leaves.replace("9".into()).is_some()
        })
    }),
];

/// Changes a commit.
fn altered(commit: &mut Commit, change: impl FnMut(&mut Change) -> bool) -> bool {
    commit.changes.iter_mut().any(change)
}

/// Adds a change.
fn with(commit: &mut Commit, change: Change) -> bool {
    commit.changes.push(change);
    true
}

/// Takes changes out.
fn without(commit: &mut Commit, is_one: impl Fn(&Change) -> bool) -> bool {
    let had = commit.changes.len();
    commit.changes.retain(|change| !is_one(change));
    commit.changes.len() < had
}

/// Says again what was said before.
fn again(commit: &mut Commit, before: &[Commit], is_it: fn(&Change) -> bool) -> bool {
    let said = before.iter().flat_map(|commit| &commit.changes).find(|change| is_it(change));
    said.is_some_and(|change| with(commit, change.clone()))
}

fn is_begun(change: &Change) -> bool {
    matches!(change, Change::Promotion { change: PromotionChange::Begun { .. }, .. })
}

fn is_request(change: &Change) -> bool {
    matches!(change, Change::Promotion { change: PromotionChange::Requested { .. }, .. })
}

fn key_of(change: &Change) -> Option<refit_core::key::RunKey> {
    let Change::Attempt { change: AttemptChange::Intended { key, .. }, .. } = change else {
        return None;
    };
    Some(*key)
}

fn joined(change: &Change) -> Option<BatchId> {
    let Change::Batch { batch, change: BatchChange::Joined { .. } } = change else { return None };
    Some(*batch)
}

fn finished(before: &[Commit]) -> Option<BatchId> {
    before.iter().flat_map(|commit| &commit.changes).find_map(|change| {
        let Change::Run { run, change: RunChange::Finished(_) } = change else { return None };
        Some(*run)
    })
}

/// Gives the second attempt of a run another number.
fn renumbered(commit: &mut Commit, number: u32) -> bool {
    altered(commit, |change| {
        let Change::Attempt { attempt, change: AttemptChange::Intended { .. }, .. } = change else {
            return false;
        };
        *attempt == 2 && std::mem::replace(attempt, number) == 2
    })
}

fn closes(commit: &Commit) -> bool {
    commit.changes.iter().any(|change| matches!(change, Change::Closed(_)))
}

fn closed_a_minute_early(commit: &mut Commit, _: &[Commit]) -> bool {
    commit.now = commit.now - Span::mins(1);
    closes(commit)
}

/// What the newest commit that can be broken so breaks; nothing where none can.
fn broken(text: &str, break_it: Break) -> Vec<&'static str> {
    let mut world = World::new();
    world.lines(text);
    assert_eq!(world.violations, [], "the world itself is fine: {text}");
    for at in (1..world.log.len()).rev() {
        let (earlier, commit) = (&world.log[..at], &world.log[at]);
        let mut changed = commit.clone();
        if !break_it(&mut changed, earlier) {
            continue;
        }
        let mut before = State::new("ledger".into(), Timing::default());
        earlier.iter().for_each(|commit| fold(&mut before, commit));
        let revision = commit.applied().next_back().or(before.rules.as_ref());
        let rules = revision.and_then(|revision| world.revisions.get(revision));
        let violations = check(&before, &changed, rules.map(|rules| &**rules));
        return violations.iter().map(|violation| violation.invariant).collect();
    }
    Vec::new()
}

#[test]
fn every_invariant_fails_on_a_commit_that_breaks_it() {
    for (invariant, text, break_it) in CASES {
        let violated = broken(text, *break_it);
        assert!(violated.contains(invariant), "{invariant}: {violated:?}");
    }
    let shown: BTreeSet<_> = CASES.iter().map(|(invariant, ..)| *invariant).collect();
    assert_eq!(shown, names().collect(), "each has a case");
}
