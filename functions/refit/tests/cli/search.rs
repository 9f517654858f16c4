//! Looking for what was missed: in the buckets, and in the inbox.

use std::sync::Arc;

use refit_core::run::Phase;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use refit_engine::layout;
use refit_engine::port::Clock as _;
use refit_engine::record::write_segment;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request, Server, Site};
use refit_wire::sample::read_sample;
use refit_wire::source::{Understood, understand};
use serde_json::{Value, json};

use crate::world::{World, timing};

/// Every event is a run.
const EACH: &str = "batch: each\n    overlap: allow\n    budget: { runs: 99, per: 24h }";

/// Lists one bucket as Cloud Storage does, with its objects and when they were created, in two pages; a fake of ours.
struct Bucket([Vec<(&'static str, Timestamp)>; 2]);

impl Site for Bucket {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        let item = |(name, created): &(&str, Timestamp)| {
            json!({
                "name": name, "bucket": "acme-data", "generation": "1", "size": "7",
                "timeCreated": created.to_string(),
            })
        };
        let items = |page: usize| self.0[page].iter().map(item).collect::<Vec<_>>();
        let page = match request.target.contains("pageToken=2") {
            false => json!({ "items": items(0), "nextPageToken": "2" }),
            true => json!({ "items": items(1) }),
        };
        let is_known = request.target.starts_with("/storage/v1/b/acme-data/o?prefix=churn");
        Box::pin(async move {
            Reaction::Answer(match is_known {
                true => Answer::text(200, "application/json", &page.to_string()),
                false => Answer::text(404, "text/plain", ""),
            })
        })
    }
}

/// Serves a bucket, and answers with what commands are told of it.
fn opened(world: &World, bucket: Bucket) -> (Server, [(&'static str, String); 1]) {
    let server = world.within(Server::new);
    world.within(|| server.open(Arc::new(bucket)));
    let told = [("STORAGE_EMULATOR_HOST", server.place())];
    (server, told)
}

/// What a sweep counted under these names.
fn counts<const N: usize>(swept: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| swept["swept"][name].as_u64().unwrap())
}

#[test]
fn a_sweep_tells_what_lies_in_the_buckets_and_starts_nothing_that_is_older_than_its_trigger() {
    let world = World::ruled(EACH);
    let now = SystemClock.now();
    let aged = vec![("churn/old", now - Span::hours(1)), ("churn/ancient", now - Span::days(40))];
    let (_server, told) = opened(&world, Bucket([vec![("churn/new", now)], aged]));
    let swept = world.told("sweep --json", &told).ends(0).json();
    let names = ["objects", "too_new", "too_old", "before_trigger", "missed"];
    assert_eq!(counts(&swept, names), [3, 1, 1, 1, 0]);
    assert_eq!((&swept["missed"], &swept["is_recorded"]), (&json!([]), &json!(false)));
    world.told("sweep --dry-run", &told).ends(0).says("objects=`3`");
    world.write_other_bucket();
    world.refit("apply --yes").ends(0);
    world.told("sweep", &told).ends(1).says("not swept: there is no such bucket: bucket=`other`");
    assert!(world.state().runs.is_empty());
}

#[test]
fn a_sweep_records_what_was_missed_once() {
    let world = World::timed(&Timing { grace: Span::secs(2), ..timing() }).under(EACH);
    let missed = vec![("churn/missed", SystemClock.now())];
    let (_server, told) = opened(&world, Bucket([missed, Vec::new()]));
    let end = SystemClock.elapsed() + Span::mins(1);
    // Its notification may be under way until the grace is over.
    while counts(&world.told("sweep --dry-run --json", &told).ends(0).json(), ["missed"]) != [1] {
        assert!(SystemClock.elapsed() < end, "it is too new for ever");
    }
    assert!(world.state().runs.is_empty(), "nothing was recorded");
    let swept = world.told("sweep --json", &told).ends(0).json();
    assert_eq!(counts(&swept, ["objects", "known", "missed"]), [1, 0, 1]);
    assert_eq!(swept["missed"][0]["name"], "gs://acme-data/churn/missed");
    assert_eq!(swept["is_recorded"], true);
    world.until("it has a run", |state| state.runs.len() == 1);
    let again = world.told("sweep --json", &told).ends(0).json();
    assert_eq!(counts(&again, ["objects", "known", "missed"]), [1, 1, 0]);
    assert_eq!(again["is_recorded"], false);
    assert_eq!(world.state().runs.len(), 1);
}

/// What a sweep does not start, a person may.
#[test]
fn a_trigger_takes_what_is_older_than_itself_where_it_is_replayed_for_it() {
    let world = World::timed(&Timing { grace: Span::secs(1), ..timing() }).under(EACH);
    let (_server, told) = opened(&world, Bucket([vec![("churn/a", SystemClock.now())], vec![]]));
    let path = world.path("refit.yaml");
    let rules = std::fs::read_to_string(&path).unwrap();
    let (_, triggers) = rules.split_once("triggers:\n").unwrap();
    let younger = triggers.replacen("churn:", "younger:", 1);
    std::fs::write(path, format!("{rules}{younger}")).unwrap();
    world.refit("apply --yes").ends(0);
    let end = SystemClock.elapsed() + Span::mins(1);
    while counts(&world.told("sweep --json", &told).ends(0).json(), ["missed"]) != [1] {
        assert!(SystemClock.elapsed() < end, "it is too new for ever");
    }
    world.until_runs(1, Phase::Running);
    let replay = "replay --object gs://acme-data/churn/ --trigger younger";
    let why = world.refit("why gs://acme-data/churn/a").ends(0);
    why.says(
        "younger: refused because the object is older than the trigger, and was found by a sweep",
    );
    world.refit(replay).ends(0).says("younger: accepted into batch");
    world.until_runs(2, Phase::Running);
    world.refit(replay).ends(0).says("nothing to record: younger: accepted into batch");
}

#[test]
fn an_audit_of_the_buckets_finds_what_was_never_recorded() {
    // What is older than a second is not too new to be missed.
    let world = World::timed(&Timing { grace: Span::secs(1), ..timing() }).under(EACH);
    let now = SystemClock.now();
    let aged = vec![("churn/old", now - Span::hours(1)), ("churn/ancient", now - Span::days(40))];
    let (_server, told) = opened(&world, Bucket([vec![("churn/new", now)], aged]));
    world.told("audit", &told).ends(0).says("nothing is wrong");
    let missed = "an object that is watched is recorded: missed: gs://acme-data/churn/new";
    let end = SystemClock.elapsed() + Span::secs(60);
    while world.told("audit --buckets", &told).code == Some(0) {
        assert!(SystemClock.elapsed() < end, "it is never missed");
    }
    world.told("audit --buckets", &told).ends(7).says(missed).says("3 objects in buckets");
    world.told("sweep", &told).ends(0).says("missed and recorded=`1`");
    world.until("there is a run", |state| state.runs.len() == 1);
    let proved = world.told("audit --buckets --json", &told).ends(0).json();
    assert_eq!((&proved["findings"], &proved["objects"]), (&json!([]), &json!(3)));
    world.write_other_bucket();
    world.refit("apply --yes").ends(0);
    world.told("audit --buckets", &told).ends(7).says("what is watched can be looked at");
}

#[test]
fn what_a_wrong_clock_hid_is_found_and_recorded_again() {
    let world = World::ruled(EACH);
    world.pass();
    let now = SystemClock.now();
    world.write_sample("a", "1", &now.to_string());
    let text = std::fs::read_to_string(world.path("a.http")).unwrap();
    let sample = read_sample(&text, now).unwrap();
    let Ok(Understood::Record(events)) = understand(&sample.delivery()) else { panic!("no event") };
    // A machine whose clock was three days behind wrote it, and acknowledged it by its own store's time.
    let name = layout::segment_object(&layout::segment(now - Span::days(3), "hidden"));
    std::fs::write(world.path("ledger").join(name), write_segment(&events)).unwrap();
    world.pass();
    assert!(world.state().runs.is_empty(), "no listing shows it");
    let found = world.json("reread --dry-run");
    assert_eq!(
        (&found["segments"][0]["events"], &found["is_recorded"]),
        (&json!(1), &json!(false))
    );
    world.refit("reread").ends(0).says("hidden and recorded again: segments=`1`");
    world.until("there is a run", |state| state.runs.len() == 1);
    world.refit("reread").ends(0).says("hidden: segments=`0`");
}
