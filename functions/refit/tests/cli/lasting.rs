//! What is told once the segments are gone: `why` and `used` of members of batches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use refit_core::event::{DataRef, Event};
use refit_core::run::Phase;
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;
use refit_engine::explain::{Kept, Story, Subject, tell};
use refit_engine::ledger::Ledger;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_platform::store::LocalStore;
use refit_testkit::fault::{Call, Fault, FaultyStore};
use refit_wire::sample::read_sample;
use refit_wire::source::{Understood, understand};
use serde_json::{Value, json};

use crate::world::World;

/// Every event is a run, but for those of unfinished uploads.
const EACH: &str = "when: \"!object.name.endsWith('.tmp')\"\n    batch: each\n    overlap: allow\n    \
                    budget: { runs: 99, per: 24h }";
/// What is said of an event of which only a member is left.
const LOST: &str = "the event itself is no longer kept, only what it became a member of";

impl World {
    /// Deletes the segments, as housekeeping does when they are a window old.
    fn forget_segments(&self) {
        for segment in std::fs::read_dir(self.path("ledger/inbox")).unwrap() {
            std::fs::remove_file(segment.unwrap().path()).unwrap();
        }
    }

    /// The event of an upload that is not recorded yet.
    fn event(&self, name: &str, generation: &str) -> Event {
        let now = SystemClock.now();
        self.write_sample(name, generation, &now.to_string());
        let text = std::fs::read_to_string(self.path(&format!("{name}.http"))).unwrap();
        let sample = read_sample(&text, now).unwrap();
        match understand(&sample.delivery()) {
            Ok(Understood::Record(mut events)) => events.remove(0),
            _ => panic!("no event"),
        }
    }

    /// Uploads an object, and waits until there are so many runs.
    fn upload(&self, name: &str, generation: &str, runs: usize) {
        self.write_sample(name, generation, "${now}");
        self.refit(&format!("replay {name}.http")).ends(0);
        self.until("it runs", |state| state.runs.len() == runs);
    }

    /// The only story of what is asked for.
    fn story(&self, subject: &str) -> Value {
        let stories = self.json(&format!("why {subject}"))["stories"].clone();
        assert_eq!(stories.as_array().unwrap().len(), 1, "{subject}: {stories}");
        stories[0].clone()
    }

    /// The story of a subject since a time, and how many manifests were read for it.
    fn told_since(&self, subject: &Subject, since: Timestamp) -> (Story, u64) {
        let state = self.state();
        let reads = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&reads);
        let story = self.wait(async {
            let store = Arc::new(LocalStore::open(self.path("ledger")).await.unwrap());
            let store = FaultyStore::new(store, move |call| {
                if matches!(call, Call::Get(name) if name.starts_with("manifests/")) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                Fault::None
            });
            let ledger = Ledger::new(Arc::new(store));
            tell(&ledger, &state, subject, since, &|_| ()).await.unwrap()
        });
        (story, reads.load(Ordering::Relaxed))
    }
}

fn object(name: &str) -> Subject {
    Subject::object(&DataRef {
        scheme: "gs".to_owned(),
        bucket: "acme-data".to_owned(),
        name: format!("churn/{name}"),
        ..DataRef::default()
    })
}

/// Asserts that what is told of a member is what was told while its event was kept.
fn assert_lasts(before: &Value, now: &Value, subject: &str) {
    assert_eq!(now["batches"], before["batches"], "{subject}");
    assert_event_lasts(before, now, subject);
}

/// The same of the event alone.
fn assert_event_lasts(before: &Value, now: &Value, subject: &str) {
    let (event, lost) = (&before["events"][0], &now["events"][0]);
    for field in ["event", "name", "generation", "commit", "at"] {
        assert_eq!(lost[field], event[field], "{field} of {subject}");
    }
    assert_eq!(lost["decisions"], json!([event["decisions"][0], LOST]), "{subject}");
    assert_eq!(now["events"].as_array().unwrap().len(), 1, "{subject}: {now}");
}

#[test]
fn members_are_told_for_ever_and_what_was_refused_is_said_to_be_forgotten() {
    let world = World::ruled(EACH);
    world.upload("a", "1", 1);
    world.until_runs(1, Phase::Running);
    world.write_sample("c.tmp", "3", "${now}");
    world.refit("replay c.tmp.http").ends(0).says("refused because");
    world.refit("pause churn").ends(0);
    world.write_sample("b", "2", "${now}");
    world.refit("replay b.http").ends(0).says("accepted into batch");
    let [a, b, c] =
        ["a", "b", "c.tmp"].map(|it| world.story(&format!("gs://acme-data/churn/{it}")));
    let used = world.json("used gs://acme-data/churn/a");
    world.forget_segments();

    let id = |story: &Value| story["events"][0]["event"].as_str().unwrap().to_owned();
    for (before, name, generation) in [(&a, "a", "1"), (&b, "b", "2")] {
        let uri = format!("gs://acme-data/churn/{name}");
        for subject in [uri.clone(), format!("{uri}#{generation}"), id(before)] {
            assert_lasts(before, &world.story(&subject), &subject);
        }
        let batch = before["batches"][0]["batch"].as_str().unwrap();
        assert_eq!(world.story(batch)["batches"], before["batches"]);
        world.refit(&format!("why {uri}#9")).ends(6).complains("nothing is recorded of it");
    }
    let key = used["runs"][0]["key"].as_str().unwrap();
    assert_eq!(world.story(key)["batches"], a["batches"]);
    assert!(b["batches"][0]["now"].as_str().unwrap().contains("because the trigger is paused"));
    assert_eq!(world.json("used gs://acme-data/churn/a"), used);
    assert_eq!(world.json("used gs://acme-data/churn/a#1"), used);
    world.refit("used gs://acme-data/churn/a#9").ends(6).complains("no run was given it");
    world.refit("used gs://acme-data/churn/b").ends(6).complains("no run was given it");

    let refused = world.refit("why gs://acme-data/churn/c.tmp").ends(0);
    refused.says("the event is no longer kept, and no batch has it: it was refused, or");
    let refused = world.refit(&format!("why {}", id(&c))).ends(0);
    refused.says("it became a member of no batch; the event, and why, are no longer kept");
    world.refit("why delivery-1").ends(6).complains("those are known for 35d");
}

#[test]
fn a_manifest_is_read_only_where_the_filter_of_its_commit_does_not_say_no() {
    let world = World::ruled(EACH);
    let names = ["a", "b", "c", "d", "e", "f"];
    for (name, count) in names.iter().zip(1..) {
        world.upload(name, &count.to_string(), count);
    }
    let kept = names.map(|name| world.told_since(&object(name), Timestamp::EPOCH).1);
    assert_eq!(kept, [0; 6], "the events are kept");
    world.forget_segments();
    for name in names {
        let (story, reads) = world.told_since(&object(name), Timestamp::EPOCH);
        assert_eq!((reads, story.fates.len(), story.batches.len()), (1, 1, 1), "{name}");
        assert!(matches!(story.fates[0].kept, Kept::Member(_)), "{name}");
    }
    assert_eq!(world.told_since(&object("nobody"), Timestamp::EPOCH).1, 0);
}

#[test]
fn a_segment_that_is_gone_is_missed_although_another_of_its_commit_is_kept() {
    let world = World::ruled(EACH);
    world.refit("pause churn").ends(0);
    // A pass may come between the two, if rarely: then it is another two.
    let (round, lost) = (1..20)
        .find_map(|round| {
            world.record(vec![world.event(&format!("a{round}"), "1")]);
            let segments = std::fs::read_dir(world.path("ledger/inbox")).unwrap();
            let lost = segments.map(|file| file.unwrap().path()).max();
            world.record(vec![world.event(&format!("b{round}"), "1")]);
            let state = world.until("both wait", |state| held(state).len() == 2 * round);
            let commits: BTreeSet<u64> = held(&state).iter().map(|batch| batch.seq).collect();
            (commits.len() < 2 * round).then_some((round, lost.unwrap()))
        })
        .expect("one commit consumes both");
    let [a, b] = ["a", "b"].map(|name| format!("gs://acme-data/churn/{name}{round}"));
    let (before, other) = (world.story(&a), world.story(&b));
    std::fs::remove_file(lost).unwrap();
    assert_lasts(&before, &world.story(&a), "a");
    assert_eq!(world.story(&b), other, "its segment is kept");
}

/// The batches that are open.
fn held(state: &State) -> Vec<BatchId> {
    state.triggers.values().flat_map(|standing| standing.open.keys().copied()).collect()
}

#[test]
fn a_batch_that_closed_since_is_told_with_the_event_that_joined_before() {
    let world = World::ruled(EACH);
    world.refit("pause churn").ends(0);
    world.write_sample("a", "1", "${now}");
    world.refit("replay a.http").ends(0);
    let since = SystemClock.now();
    world.refit("resume churn --coalesce").ends(0);
    world.until("it runs", |state| state.runs.len() == 1);
    for is_kept in [true, false] {
        let (story, reads) = world.told_since(&object("a"), since);
        let [fate] = &story.fates[..] else { panic!("one event: {story:?}") };
        assert_eq!((matches!(fate.kept, Kept::Event(_)), reads), (is_kept, 1));
        assert_eq!(fate.verdicts.len(), 1);
        assert!(fate.at < since && story.batches.values().all(|it| it.len() > 2), "{story:?}");
        world.forget_segments();
    }
}

#[test]
fn a_member_that_was_handed_over_is_told_by_the_batch_it_joined() {
    let rule = "batch: { quiet: 1ms, max_wait: 1h }\n    overlap: replace\n    cooldown: 0s";
    let world = World::ruled(rule);
    world.upload("a", "1", 1);
    world.until_runs(1, Phase::Running);
    world.write_sample("b", "2", "${now}");
    world.refit("replay b.http").ends(0);
    world.until("the first is replaced", |state| state.runs.len() == 2);
    world.until_runs(1, Phase::Running);
    let before = world.story("gs://acme-data/churn/a");
    assert_eq!(before["batches"].as_array().unwrap().len(), 2, "{before}");
    world.forget_segments();
    let now = world.story("gs://acme-data/churn/a");
    assert_event_lasts(&before, &now, "a");
    assert_eq!(now["batches"][0], before["batches"][0]);
    assert_eq!(now["batches"][1]["batch"], before["batches"][1]["batch"]);
    assert_eq!(world.json("used acme-data/churn/a")["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_older_than_events_are_kept_is_looked_for_unless_since_is_said() {
    let world = World::ruled(EACH);
    world.upload("a", "1", 1);
    world.until_runs(1, Phase::Running);
    let before = world.story("gs://acme-data/churn/a");
    // A ledger that keeps events for a moment only, so that all of its log is older.
    let genesis = world.path("ledger/log/00000000000000000000");
    let text = std::fs::read_to_string(&genesis).unwrap();
    let mut commit: Value = serde_json::from_str(&text).unwrap();
    commit["changes"][0]["created"]["timing"]["window"] = Value::from("1ms");
    std::fs::write(&genesis, commit.to_string()).unwrap();
    assert_eq!(world.state().timing.window.to_string(), "1ms");
    world.forget_segments();
    assert_lasts(&before, &world.story("gs://acme-data/churn/a"), "a");
    let since = world.refit("why gs://acme-data/churn/a --since 1ms").ends(6);
    since.complains("nothing is recorded of it in the last 1ms");
}

#[test]
fn a_generation_that_another_one_replaced_before_the_run_was_not_used() {
    let world = World::ruled("batch: { min_count: 2, quiet: 1ms, max_wait: 1h }");
    for generation in ["1", "2"] {
        world.write_sample("a", generation, "${now}");
        world.refit("replay a.http").ends(0).says("accepted into batch");
    }
    world.until_runs(1, Phase::Running);
    for used in ["a", "a#2"] {
        let used = world.json(&format!("used gs://acme-data/churn/{used}"));
        assert_eq!(used["runs"].as_array().unwrap().len(), 1, "{used}");
    }
    world.refit("used gs://acme-data/churn/a#1").ends(6).complains("no run was given it");
}
