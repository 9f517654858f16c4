//! Who is told of what, by the real engine: two reconcilers at once, and a post that loses answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use refit_core::mutant::{Mutant, activate};
use refit_core::run::Phase;
use refit_core::time::Span;
use refit_testkit::fake::stage::{Described, Phase as At, Trouble};

use crate::STATUS;
use crate::held::Held;
use crate::post::Fate;
use crate::world::{Extra, World};

const NOTIFY: &str =
    "notify:\n  ml-team:\n    webhook: { url: \"https://post.acme.example/x\", auth: none }\n";

const EVENTS: &str = "notify:\n  ml-team:\n    events: { url: \"https://post.acme.example/x\", auth: none }\n    on: [failure]\n";

async fn world(on: &str) -> World {
    told_by(&format!("{NOTIFY}{on}")).await
}

async fn told_by(notify: &str) -> World {
    let service = "http: { endpoint: \"http://127.0.0.1\", repeatable: true, \
                   start: { path: \"/runs/{key}\", run: /id }, \
                   find: { path: \"/runs?key={key}\", list: /runs, key: /key, run: /id }, STATUS }";
    let service = service.replace("STATUS", STATUS);
    let double = Box::new(Described { takes_keys: true });
    World::telling(double, &service, "parameters: {}", notify).await
}

/// A run that was started and has failed.
async fn failed(world: &World) {
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.stage.fail();
    world.until("it is over", |run| run.finished.is_some()).await;
    assert_eq!(world.run().await.finished.unwrap().phase, Phase::Failed);
}

#[tokio::test]
async fn a_run_that_fails_is_told_once() {
    let world = world("").await;
    failed(&world).await;
    world.passes(80).await;
    let letters = world.post.letters();
    assert_eq!(letters.len(), 1, "{letters:#?}");
    assert_eq!(letters[0]["notices"][0]["kind"], "failure");
    assert_eq!(letters[0]["notices"][0]["trigger"], "churn");
    assert_eq!(letters[0]["title"], "A run failed: churn");
    assert_eq!(letters[0]["ledger"], "services");
    assert!(world.state().await.outboxes["ml-team"].letters.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_it_told_again_under_the_same_id() {
    let world = world("").await;
    world.post.next([Fate::AnswerLost, Fate::Status(503), Fate::Status(429)]);
    failed(&world).await;
    world.passes(80).await;
    let told = world.post.told();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|letter| *letter == told[0]), "{told:?}");
    assert!(world.state().await.outboxes["ml-team"].trouble.is_none());
}

#[tokio::test]
async fn an_event_whose_answer_is_lost_is_posted_again_under_the_same_id_and_type() {
    let world = told_by(EVENTS).await;
    world.post.next([Fate::AnswerLost, Fate::Status(503)]);
    failed(&world).await;
    world.passes(80).await;
    let posted = world.post.letters();
    assert_eq!(posted.len(), 3, "{posted:#?}");
    assert!(posted.iter().all(|event| *event == posted[0]), "{posted:#?}");
    assert_eq!(posted[0]["type"], "dev.refit.run.failed.v1");
    assert_eq!(posted[0]["source"], "/refit/ledgers/services/triggers/churn");
    assert_eq!(posted[0]["id"].as_str().map(str::len), Some(32), "{posted:#?}");
    assert!(world.state().await.outboxes["ml-team"].letters.is_empty());
}

#[tokio::test]
async fn a_letter_that_is_refused_is_given_up_with_the_reason() {
    let world = world("").await;
    world.post.next([Fate::Status(410)]);
    failed(&world).await;
    world.passes(80).await;
    assert_eq!(world.post.letters().len(), 1);
    let outbox = world.state().await.outboxes["ml-team"].clone();
    let trouble = outbox.trouble.unwrap();
    assert!(trouble.lost && trouble.message.contains("410") && outbox.letters.is_empty());
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_run() {
    let world = world("    on: [batch_closed, launch, success]\n").await;
    world.post.next([Fate::Silence; 100]);
    world.deliver("1").await;
    // Nothing but passes: no letter is waited for, or these would never end.
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    assert_eq!(world.run().await.finished.unwrap().phase, Phase::Succeeded);
    let runs = world.stage.runs();
    assert_eq!(runs.iter().map(|run| run.phase).collect::<Vec<_>>(), [At::Succeeded]);
    assert_eq!(world.post.told()[0].0, "batch_closed");
    world.passes(20).await;
    let outbox = world.state().await.outboxes["ml-team"].clone();
    assert_eq!(outbox.letters.len(), 3, "what is not delivered waits");
    assert!(outbox.trouble.unwrap().message.contains("no answer in time"));
}

#[tokio::test]
async fn a_ledger_that_tells_nobody_says_nothing_of_it() {
    let service = "http: { endpoint: \"http://127.0.0.1\", start: { path: \"/runs/{key}\", run: /id }, STATUS }";
    let double = Box::new(Described { takes_keys: true });
    let world = World::new(double, &service.replace("STATUS", STATUS), "parameters: {}").await;
    failed(&world).await;
    let state = serde_json::to_string(&world.state().await).unwrap();
    assert!(!state.contains("outbox") && !state.contains("told"), "{state}");
}

/// A world in which the trigger has these lines, and somebody is told of what stands still.
async fn alarmed(of_trigger: &str) -> World {
    let service = "http: { endpoint: \"http://127.0.0.1\", start: { path: \"/runs/{key}\", run: /id }, \
                   find: { path: \"/runs?key={key}\", list: /runs, key: /key, run: /id }, STATUS }";
    let service = service.replace("STATUS", STATUS);
    let top = format!("{NOTIFY}    on: [stuck, uncertain, budget, quarantine]\n");
    let of_trigger = format!("    notify: [ml-team]\n{of_trigger}");
    let extra = Extra { top: &top, of_trigger: &of_trigger };
    World::with(Box::new(Described { takes_keys: false }), &service, "parameters: {}", extra).await
}

/// The kinds of what was told after another half hour, each letter once.
async fn told(world: &World) -> Vec<String> {
    world.passes(120).await;
    let told = world.post.told();
    let ids: BTreeSet<&String> = told.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), told.len(), "{told:?}");
    told.into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test]
async fn a_start_of_which_nobody_knows_whether_it_was_done_is_told_once() {
    let world = alarmed("    on_unknown: ask\n").await;
    world.stage.trouble(Trouble::Closed);
    world.deliver("1").await;
    world.until("nobody knows", |run| run.attempt().phase == Phase::Uncertain).await;
    assert_eq!(told(&world).await, ["uncertain"]);
}

#[tokio::test]
async fn a_start_that_does_not_succeed_is_told_once() {
    let world = alarmed("").await;
    (0..500).for_each(|_| world.stage.trouble(Trouble::Refused));
    world.deliver("1").await;
    world.until("it is stuck", |run| run.attempt().stuck).await;
    assert_eq!(told(&world).await, ["stuck"]);
}

#[tokio::test]
async fn a_budget_that_is_reached_is_told_once_whatever_else_waits_for_it() {
    let world = alarmed("    budget: { runs: 1, per: 24h }\n").await;
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    world.deliver("2").await;
    assert_eq!(told(&world).await, ["budget"]);
    world.deliver("3").await;
    assert_eq!(told(&world).await, ["budget"]);
}

#[tokio::test]
async fn an_event_nobody_can_judge_is_told_once_also_where_it_is_delivered_twice() {
    let world = alarmed("    when: event.data.size > 1\n").await;
    world.deliver("1").await;
    world.deliver("1").await;
    assert_eq!(told(&world).await, ["quarantine"]);
    world.deliver("2").await;
    assert_eq!(told(&world).await, ["quarantine"; 2]);
}

/// Who is told of eight batches: seven that close at once, of which the last two make a summary, and one that closes
/// in a commit of a process that listed before the summary was due and wrote after the others could have sent it.
async fn told_of_eight() -> usize {
    let service = "http: { endpoint: \"http://127.0.0.1\", repeatable: true, \
                   start: { path: \"/runs/{key}\", run: /id }, STATUS }";
    let rules = format!(
        "{NOTIFY}    on: [batch_closed]\nservices:\n  x: {{ {} }}\ntriggers:\n  churn:\n    on: {{ message: {{ type: new }} }}\n    \
         batch: each\n    overlap: allow\n    budget: {{ runs: 99, per: 24h }}\n    run: {{ service: x, parameters: {{}} }}\n    \
         notify: [ml-team]\n",
        service.replace("STATUS", STATUS)
    );
    let mut between = None;
    let double = Box::new(Described { takes_keys: true });
    let world = World::under(double, &rules, |store| {
        let held = Arc::new(Held::new(store));
        between = Some(Arc::clone(&held));
        held
    });
    let world = world.await;
    let held = between.unwrap();
    for id in 1..=7 {
        world.deliver(&id.to_string()).await;
    }
    world.passes(3).await;
    let letters = world.state().await.outboxes["ml-team"].letters.clone();
    let due = letters.values().map(|letter| letter.due).max().unwrap();
    world.rest(Span::from_millis(due.since(world.now()).as_millis() - 1_000));
    world.deliver("8").await;
    held.hold_next_commit();
    let mut late = world.begin("late");
    let mut pass = std::pin::pin!(late.pass());
    let mut polls = 0;
    while !held.is_blocked() {
        polls += 1;
        let is_pending = futures::poll!(pass.as_mut()).is_pending();
        assert!(is_pending && polls < 10_000, "it writes no commit");
    }
    world.rest(Span::secs(2));
    held.hide_segments(true);
    world.passes(1).await;
    held.hide_segments(false);
    held.release();
    world.within_time(pass).await.unwrap();
    world.passes(20).await;
    let letters = world.post.letters();
    let notices = letters.iter().flat_map(|letter| letter["notices"].as_array().unwrap());
    notices.map(|notice| notice["batch"].to_string()).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn what_joins_a_summary_is_told_however_late_its_commit_is_written() {
    assert_eq!(told_of_eight().await, 8);
}

/// The simulation tells nobody: this is what kills the mutant.
#[tokio::test]
async fn a_letter_that_is_sent_unsealed_loses_what_joins_it() {
    activate(Some(Mutant::LetterSentUnsealed));
    let told = told_of_eight().await;
    activate(None);
    assert!(told < 8, "the mutant is noticed: {told}");
}
