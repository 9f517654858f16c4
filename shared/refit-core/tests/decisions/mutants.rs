//! Breakages of the rules of rows and schedules, each of which an invariant notices.

use refit_core::key::RunKey;
use refit_core::mutant::{Mutant, activate};
use refit_core::promotion::PromotionPhase;

use crate::bytes::{DELETED, OVERWRITTEN};
use crate::conflicts::{AWAY, CROWDED, OUTDONE, OVERTAKEN, REJECTED_TWICE};
use crate::events::{late_after_restoring, restore};
use crate::poison::POISON;
use crate::removed::{LAXER, LONG};
use crate::world::{World, run};

fn noticed(mutant: Option<Mutant>, text: &str) -> Vec<&'static str> {
    activate(mutant);
    let mut world = World::new();
    world.lines(text);
    activate(None);
    world.violations.iter().map(|violation| violation.invariant).collect()
}

/// What is decided with a mutant, or with none.
fn told(mutant: Option<Mutant>, text: &str) -> String {
    activate(mutant);
    let told = run(text);
    activate(None);
    told
}

fn check(mutant: Mutant, text: &str, invariant: &str) {
    assert_eq!(noticed(None, text), [""; 0], "{mutant:?} is not at fault");
    let noticed = noticed(Some(mutant), text);
    assert!(noticed.contains(&invariant), "{mutant:?}: {noticed:?}");
}

#[test]
fn a_time_that_comes_again_is_noticed() {
    let fold = "rule t cron='30 2 * * *@Europe/Berlin' quiet=0s overlap=allow
         237d12:00 apply
         238d00:30 tick
         238d01:30 tick";
    check(Mutant::ScheduleFiresTwice, fold, "a time of a schedule comes once");
    check(Mutant::ScheduleFiresTwice, fold, "an event is a member once");
}

#[test]
fn a_schedule_that_begins_in_the_past_is_noticed() {
    let past = "rule t cron='0 6 * * *@UTC' quiet=0s\n10:00 tick";
    check(Mutant::ScheduleFiresForThePast, past, "a time of a schedule comes once");
}

#[test]
fn a_run_that_goes_on_beside_another_is_noticed() {
    let busy = "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:03 put b#1
         10:30 running b2";
    check(Mutant::ReopenedBesideOthers, busy, "overlap holds");
}

#[test]
fn an_end_that_is_believed_after_the_run_was_started_again_is_noticed() {
    let late = "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:30 running b2
         10:31 failed b2 early";
    let ends = |mutant| told(mutant, late).matches("b2 finished").count();
    assert_eq!((ends(None), ends(Some(Mutant::OldEndBelieved))), (1, 2));
}

#[test]
fn a_row_that_goes_on_is_noticed() {
    let row = "rule t drift=churn consecutive=2 quiet=1m
         10:00 drift r1
         10:10 drift r2 verdict=ok
         10:20 drift r3";
    check(Mutant::RowGoesOn, row, "a row of reports is counted up");
}

#[test]
fn a_transition_nobody_is_told_of_is_noticed() {
    let launch = "receiver ml on=launch\nrule t bucket=b quiet=1m notify=ml\n10:00 put a#1\n10:01 started b2";
    check(Mutant::NoticeForgotten, launch, "a transition is told once, under one id");
}

#[test]
fn a_notice_under_two_ids_is_noticed() {
    let lost = "receiver ml on=launch
         rule t bucket=b quiet=1m notify=ml
         10:00 put a#1
         10:01 started b2
         10:02 lost ml";
    check(Mutant::NoticeTwiceUnderTwoIds, lost, "a transition is told once, under one id");
}

#[test]
fn a_test_that_is_cut_short_is_noticed() {
    let entered = |mutant| told(mutant, CROWDED).matches("to enter").count();
    assert_eq!(entered(None), 1, "the first is tested, the others wait");
    assert_eq!(entered(Some(Mutant::TestsCutShort)), 2);
}

#[test]
fn a_version_is_judged_beside_the_one_that_is_in_production_when_its_turn_comes() {
    let entered = |mutant| told(mutant, OUTDONE).matches("to enter").count();
    assert_eq!(entered(None), 3, "two in staging, the better one in production");
    assert_eq!(entered(Some(Mutant::GateJudgedOnce)), 4);
}

#[test]
fn a_rollback_of_another_version_is_noticed() {
    let named = "a rollback takes the place of the version it names";
    check(Mutant::RollbackOfAnother, OVERTAKEN, named);
}

#[test]
fn an_id_that_comes_again_is_noticed() {
    let told_once = "a transition is told once, under one id";
    check(Mutant::NoticeIdsComeAgain, REJECTED_TWICE, told_once);
}

#[test]
fn a_letter_that_was_not_delivered_is_kept() {
    let lost = "receiver ml on=launch
         rule t bucket=b quiet=1m notify=ml
         10:00 put a#1
         10:01 started b2
         10:02 lost ml";
    let waiting = |mutant| {
        activate(mutant);
        let mut world = World::new();
        world.lines(lost);
        activate(None);
        world.state.outboxes["ml"].letters.len()
    };
    assert_eq!((waiting(None), waiting(Some(Mutant::NoticeForgottenUndelivered))), (1, 0));
}

const FOLLOWED: &str = "10:00 put a#1\n10:01 started b2; succeeded b2; registered b2 1\n";

#[test]
fn a_person_who_is_counted_twice_is_noticed() {
    let twice = format!(
        "rule t bucket=b quiet=0s promote='churn staging=2'\n{FOLLOWED}
         10:02 approve churn 1 ann
         10:03 approve churn 1 ann"
    );
    check(Mutant::ApprovalCountsTwice, &twice, "a stage is approved as its rule asks");
}

#[test]
fn a_person_who_approves_what_they_asked_for_is_noticed() {
    let alone = format!(
        "rule t bucket=b quiet=0s promote='churn manual staging=1!'\n{FOLLOWED}
         10:02 request churn 1 ann
         10:03 approve churn 1 ann"
    );
    check(Mutant::OneForTheOther, &alone, "a stage is approved as its rule asks");
}

#[test]
fn an_approval_of_somebody_the_rule_does_not_name_is_noticed() {
    let other = format!(
        "rule t bucket=b quiet=0s promote='churn staging=1 approvers=ann'\n{FOLLOWED}
         10:02 approve churn 1 bob"
    );
    check(Mutant::AnybodyApproves, &other, "a stage is approved as its rule asks");
}

#[test]
fn a_word_on_an_earlier_request_changes_nothing() {
    let late = format!(
        "rule t bucket=b quiet=0s promote='churn staging=1 production=1 approvers=ann'\n{FOLLOWED}
         10:02 approve churn 1 ann request=1
         10:03 entered b2
         10:04 approve churn 1 ann request=1"
    );
    let phase = |mutant| {
        activate(mutant);
        let mut world = World::new();
        world.lines(&late);
        activate(None);
        world.state.models["churn"].version("1").unwrap().phase
    };
    assert_eq!(phase(None), PromotionPhase::Requested);
    assert_eq!(phase(Some(Mutant::EarlierRequestApproved)), PromotionPhase::Entering);
}

#[test]
fn a_version_that_goes_on_untested_is_noticed() {
    let untested = format!(
        "rule t bucket=b quiet=0s promote='churn acceptance=test'
         rule test model=churn:staging\n{FOLLOWED}
         10:02 entered b2"
    );
    check(Mutant::PromotedUntested, &untested, "a test decides once it has succeeded");
}

#[test]
fn two_versions_on_their_way_to_stages_at_once_are_noticed() {
    let two = format!(
        "rule t bucket=b quiet=0s overlap=allow promote='churn'\n{FOLLOWED}
         10:02 put b#1
         10:03 started b5; succeeded b5; registered b5 2"
    );
    check(Mutant::TwoEnterAtOnce, &two, "one version is given a stage at a time");
}

#[test]
fn a_run_that_stood_down_and_a_twin_ended_too_soon_are_noticed() {
    let given_up = "rule t bucket=b quiet=1m class=C guard=gs://g/t
         10:00 put a#1
         10:05 absent b2
         10:15 absent b2
         10:16 started b2";
    let effective = |mutant, text: &str| {
        activate(mutant);
        let mut world = World::new();
        world.lines(&format!("{given_up}\n{text}"));
        activate(None);
        let run = world.state.runs.values().next().unwrap();
        (run.attempt().number, run.attempt_numbered(1).unwrap().external.is_some())
    };
    let stood_down = "10:20 claim b2/1; succeeded b2";
    assert_eq!(effective(None, stood_down), (1, true));
    assert_eq!(effective(Some(Mutant::ClaimUnread), stood_down), (2, false));
    let twin = "10:20 found b2/1";
    assert_eq!(effective(None, twin), (2, false), "it may still make the claim");
    assert_eq!(effective(Some(Mutant::TwinEndedUnclaimed), twin), (2, true), "it is to end");
}

#[test]
fn a_run_that_made_the_claim_and_is_taken_for_never_started_is_noticed() {
    let finished = |mutant| {
        activate(mutant);
        let mut world = World::new();
        world.lines(
            "rule t bucket=b quiet=1m class=C guard=gs://g/t
             10:00 put a#1
             10:05 absent b2
             10:15 absent b2
             10:16 busy b2; claim b2/1; cancel b2",
        );
        activate(None);
        world.state.runs.values().next().unwrap().finished.is_some()
    };
    assert!(!finished(None), "the run that made the claim is to end first");
    assert!(finished(Some(Mutant::ClaimUnread)));
}

#[test]
fn a_restored_ledger_that_takes_what_it_forgot_is_noticed() {
    activate(Some(Mutant::RestorationIgnored));
    let refused = late_after_restoring();
    activate(None);
    assert_eq!(refused, "", "what was late is a member");
}

#[test]
fn a_restored_ledger_gives_no_key_and_no_claim_again() {
    let named = |restored: bool, mutant| {
        activate(mutant);
        let mut world = World::new();
        world.lines(
            "receiver ml on=launch
             rule t bucket=b quiet=1m class=C guard=gs://g/t retry=2/1m/1m overlap=allow notify=ml
             10:00 put a#1
             10:01 started b2",
        );
        if restored {
            restore(&mut world, "10:02");
            world.state.seq = world.log.last().unwrap().seq;
        }
        world.lines("10:03 failed b2; put b#1\n10:04 tick");
        activate(None);
        let names = world.state.runs.values().map(|run| {
            let attempt = run.attempt();
            (attempt.key.to_string(), run.claim(attempt.round).unwrap())
        });
        let letters = world.state.outboxes["ml"].letters.values();
        let notices = letters.flat_map(|letter| letter.notices.iter().map(|it| it.id));
        (names.collect::<Vec<_>>(), notices.collect::<Vec<_>>())
    };
    let (before, told) = named(false, None);
    let key = |epoch: &str, batch: &str, attempt: u32| {
        RunKey::new(epoch, "t", batch, attempt).to_string()
    };
    let claim = |name: &str| format!("gs://g/t/{name}");
    assert_eq!(before[0], (key("ledger", "b2", 2), claim("ledger/b2-1")), "as it always was");
    assert_eq!(before[1], (key("ledger", "b5", 1), claim("ledger/b5-1")), "as it always was");
    let (after, told_after) = named(true, None);
    let epoch = "ledger@20260301T100200.000Z";
    assert_eq!(after[0], (key(epoch, "b2", 2), claim("ledger/b2-1")), "of the batch as it began");
    assert_eq!(after[1], (key(epoch, "b5", 1), claim(&format!("{epoch}/b5-1"))));
    assert_eq!(told.len(), told_after.len());
    assert_eq!(told.iter().filter(|id| told_after.contains(id)).count(), 1, "the launch before");
    assert_eq!(named(true, Some(Mutant::NamesComeAgain)).0, before);
}

#[test]
fn a_batch_that_does_not_wait_for_the_run_it_replaces_is_noticed() {
    let replaced = "rule t bucket=b quiet=1m overlap=replace
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         rule t bucket=b quiet=1m overlap=allow
         10:04 apply start";
    check(Mutant::ReplacementForgotten, replaced, "what replaces a run waits for its end");
}

#[test]
fn members_of_another_key_are_noticed() {
    let keys = "rule t bucket=b quiet=1m overlap=replace by='object.name'
         10:00 put x#1
         10:01 started b2
         10:02 put y#1
         10:03 tick
         10:06 cancelled b2";
    check(Mutant::ReplacesEveryKey, keys, "members move within their key");
}

#[test]
fn a_budget_that_is_forgotten_with_its_trigger_is_noticed() {
    let text = "rule t bucket=b quiet=0s overlap=allow budget=1/1d
         rule u bucket=z
         10:00 put a#1
         10:01 started b2; succeeded b2
         drop t
         10:03 apply
         rule t bucket=b quiet=0s overlap=allow budget=1/1d
         10:04 apply
         10:05 put b#1";
    let launches = |mutant| told(mutant, text).matches("/1 intended").count();
    assert_eq!(launches(None), 1);
    assert_eq!(launches(Some(Mutant::BudgetForgottenWithTrigger)), 2);
}

#[test]
fn starts_that_go_on_unseen_are_noticed() {
    let times: Vec<String> =
        (1..8).map(|n| format!("{}:05 absent b2\n{}:15 absent b2", 10 + n, 10 + n)).collect();
    let text = format!("rule t bucket=b quiet=1m class=C\n10:00 put a#1\n{}", times.join("\n"));
    let attempts = |mutant| told(mutant, &text).matches(" intended").count();
    assert_eq!(attempts(None), 3);
    assert_eq!(attempts(Some(Mutant::BlindRelaunches)), 8);
}

/// Bytes that no run gets are seen by no invariant: what is closed says it.
#[test]
fn bytes_that_no_run_gets_are_noticed() {
    let closes = |mutant, text| told(mutant, text).contains("closed: a#2");
    for (mutant, text) in
        [(Mutant::SameBytesForgotten, OVERWRITTEN), (Mutant::DeletedBytesRemembered, DELETED)]
    {
        assert!(closes(None, text), "{mutant:?} is not at fault");
        assert!(!closes(Some(mutant), text), "{mutant:?} lives");
    }
}

#[test]
fn one_batch_that_holds_all_is_noticed() {
    let intended = |mutant| told(mutant, POISON).matches("/1 intended").count();
    assert_eq!(intended(None), 2);
    assert_eq!(intended(Some(Mutant::OneHoldsAll)), 0);
}

#[test]
fn rules_that_are_forgotten_with_a_trigger_are_noticed() {
    let timed_out = |mutant| told(mutant, LONG).contains("to be cancelled");
    assert!(timed_out(None), "in its own time");
    assert!(!timed_out(Some(Mutant::RemovedTriggersForget)), "never");
}

#[test]
fn rules_that_promote_when_they_are_applied_are_noticed() {
    let entered = |mutant| told(mutant, LAXER).contains("to enter");
    assert!(!entered(None), "nobody asked");
    assert!(entered(Some(Mutant::AppliedRulesPromote)), "nobody asked, and it goes on");
    let asked = |mutant| told(mutant, AWAY).contains("production requested");
    assert!(!asked(None), "it is accepted by the rules alone");
    assert!(asked(Some(Mutant::AppliedRulesPromote)), "and asked for");
}
