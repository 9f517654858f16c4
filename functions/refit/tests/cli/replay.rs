//! Samples that are sent, once and again.

use serde_json::Value;

use crate::world::World;

/// Every event is a run.
const EACH: &str = "batch: each\n    overlap: allow\n    budget: { runs: 99, per: 24h }";

#[test]
fn members_that_had_a_run_get_no_second_one_unless_forced() {
    let world = World::ruled(EACH);
    world.write_sample("a", "1", &now());
    world.refit("replay a.http").ends(0).says("churn: accepted into batch");
    world.until("there is a run", |state| state.runs.len() == 1);
    for _ in 0..2 {
        world
            .refit("replay a.http")
            .ends(0)
            .says("every trigger: refused because it was recorded before");
    }
    assert_eq!(world.state().runs.len(), 1);
    world.refit("replay a.http --force").ends(0).says("churn: accepted into batch");
    world.until("there is a second run", |state| state.runs.len() == 2);
}

#[test]
fn samples_of_the_repository_are_recorded_in_a_ledger_of_today() {
    let world = World::ruled("batch: { quiet: 1h, max_wait: 2h }");
    let events = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
    world
        .refit(&format!("replay {events}/gcs/eventarc-finalized.http"))
        .ends(0)
        .says("churn: accepted into batch");
    let state = world.state();
    assert_eq!(state.triggers["churn"].open.len(), 1, "{state:#?}");
    world.refit("why gs://acme-data/churn/2026-01-05/part-0001.parquet").ends(0).says("accepted");
    for sample in
        ["gcs/eventarc-unusual-name", "drift/databricks", "webhook/mlflow", "webhook/standard"]
    {
        let told = world.refit(&format!("replay {events}/{sample}.http")).ends(0);
        assert!(!told.stdout.contains("older than the ledger"), "{sample}: {told:#?}");
    }
}

#[test]
fn what_is_too_old_stays_so_unless_forced() {
    let world = World::ruled(EACH);
    world.write_sample("old", "1", "2020-01-01T00:00:00Z");
    for _ in 0..2 {
        world.refit("replay old.http").ends(0).says("it is older than the ledger remembers");
    }
    assert!(world.state().runs.is_empty());
    world.refit("replay old.http --force").ends(0).says("churn: accepted into batch");
    world.until("there is a run", |state| state.runs.len() == 1);
}

#[test]
fn a_folder_is_sent_and_what_is_not_understood_is_told() {
    let world = World::ruled("batch: { quiet: 1h, max_wait: 2h }");
    let folder = world.path("samples");
    std::fs::create_dir_all(folder.join("more")).unwrap();
    for (name, generation, to) in [("a", "1", "a"), ("b", "2", "more/b")] {
        world.write_sample(name, generation, "${now}");
        std::fs::rename(world.path(&format!("{name}.http")), folder.join(format!("{to}.http")))
            .unwrap();
    }
    std::fs::write(folder.join("notes.txt"), "no sample").unwrap();
    std::fs::write(folder.join("c.http"), "POST /\ncontent-type: application/json\n\n{").unwrap();
    let replayed = world.refit("replay samples --json").ends(3).json();
    let files = |of: &str| -> Vec<&str> {
        replayed[of].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect()
    };
    assert_eq!(files("events"), ["samples/a.http", "samples/more/b.http"]);
    assert_eq!(files("unrecorded"), ["samples/c.http"]);
    assert_eq!(replayed["unrecorded"][0]["is_rejected"], true);
    assert!(replayed["events"][0]["commit"].is_u64());
    world.refit("replay samples").ends(3).says("samples/c.http: not understood");
    std::fs::remove_file(folder.join("c.http")).unwrap();
    let unread = world.refit("replay samples --no-wait --json").ends(0).json();
    assert_eq!(unread["events"][0]["commit"], Value::Null);
}

/// Writes a sample that says no time.
fn write_untimed(world: &World, name: &str) {
    let text = format!(
        "POST /object\n\
         content-type: application/json\n\
         ce-specversion: 1.0\n\
         ce-id: untimed-{name}\n\
         ce-type: google.cloud.storage.object.v1.finalized\n\
         ce-source: //storage.googleapis.com/projects/_/buckets/acme-data\n\
         ce-subject: objects/churn/{name}\n\
         \n\
         {{\"bucket\": \"acme-data\", \"name\": \"churn/{name}\", \"generation\": \"9\", \"size\": \"7\"}}\n"
    );
    std::fs::write(world.path(&format!("{name}.http")), text).unwrap();
}

#[test]
fn the_filters_choose_among_samples() {
    let world = World::ruled("batch: { quiet: 1h, max_wait: 2h }");
    world.write_sample("a", "1", "2026-01-05T10:00:00Z");
    world.write_sample("b", "2", "2026-01-05T12:00:00Z");
    write_untimed(&world, "c");
    let names = |line: &str, of: &str| -> Vec<String> {
        let replayed = world.json(&format!("replay a.http b.http c.http --shadow {line}"));
        let names = replayed[of].as_array().unwrap().iter();
        names
            .map(|one| one["name"].as_str().unwrap().replace("gs://acme-data/churn/", ""))
            .collect()
    };
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("", &["a", "b", "c"], &[]),
        ("--since 2026-01-05T12:00:00Z", &["b"], &["c"]),
        ("--until 2026-01-05T12:00:00Z", &["a"], &["c"]),
        ("--object gs://acme-data/churn/b", &["b"], &[]),
        ("--object gs://acme-data/churn/ --since 2026-01-05T11:00:00Z", &["b"], &["c"]),
    ];
    for (line, sent, unrecorded) in cases {
        assert_eq!(
            (names(line, "events"), names(line, "unrecorded")),
            (owned(sent), owned(unrecorded)),
            "{line}"
        );
    }
    world.refit("replay c.http --since 1h").ends(0).says("it has no time of its own");
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_sample_without_a_time_starts_no_second_run_once_its_segment_is_gone() {
    let world = World::ruled(EACH);
    write_untimed(&world, "a");
    world.refit("replay a.http").ends(0).says("churn: accepted into batch");
    world.until("there is a run", |state| state.runs.len() == 1);
    world
        .refit("replay a.http")
        .ends(0)
        .says("gs://acme-data/churn/a, nothing to record: churn: accepted into batch");
    // As housekeeping deletes them after the window.
    for segment in std::fs::read_dir(world.path("ledger/inbox")).unwrap() {
        std::fs::remove_file(segment.unwrap().path()).unwrap();
    }
    world.refit("replay a.http").ends(0).says("nothing to record: it was recorded before");
    assert_eq!(world.state().runs.len(), 1);
    world.refit("replay a.http --force").ends(0).says("churn: accepted into batch");
    world.until("there is a second run", |state| state.runs.len() == 2);
}

#[test]
fn samples_can_be_posted_to_a_door() {
    let world = World::new();
    world.write_sample("a", "1", "${now}");
    let posted = world.json(&format!("replay a.http --to http://{}/object", world.place));
    assert_eq!(posted["answers"][0]["status"], 204);
    world
        .refit(&format!("replay a.http --to http://{}/nowhere", world.place))
        .ends(4)
        .says("a.http: 404");
    world.refit("replay a.http --to http://127.0.0.1:1/").ends(5).complains("nothing answers");
    world.refit("replay nothing.http").ends(6).complains("file=`nothing.http`");
    world.refit("replay ledger").ends(3).complains("no sample is there");
    world.refit("replay refit.yaml").ends(6);
    std::fs::write(world.path("bad.http"), "no sample").unwrap();
    world.refit("replay bad.http").ends(3).complains("file=`bad.http`");
    world.refit("replay a.http --to http://127.0.0.1:1/ --force").ends(2);
}

/// The time as text, the same however often the sample is read.
fn now() -> String {
    refit_engine::port::Clock::now(&refit_platform::clock::SystemClock).to_string()
}

#[test]
fn what_the_ledger_recorded_is_sent_again_for_one_trigger_alone() {
    let world = World::ruled(EACH);
    let time = now();
    world.write_sample("a", "1", &time);
    world.write_sample("b", "2", &time);
    world.refit("replay a.http").ends(0).says("churn: accepted into batch");
    world.refit("pause churn --ignore").ends(0);
    world.refit("replay b.http").ends(0).says("the trigger is paused and ignores events");
    world.refit("resume churn").ends(0);
    world.until("the first has its run", |state| state.runs.len() == 1);
    let bucket = "--object gs://acme-data/churn/";
    let planned = world.json(&format!("replay {bucket} --trigger churn --shadow"));
    assert_eq!(planned["events"][0]["name"], "gs://acme-data/churn/b");
    assert_eq!(planned["events"][0]["commit"], Value::Null);
    assert_eq!(planned["shadow"][0]["then"], "starts a run");
    assert_eq!(planned["unrecorded"][0]["name"], "gs://acme-data/churn/a");
    world
        .refit("replay --object gs://acme-data/other --since 1h")
        .ends(0)
        .says("no event is within");
    world.refit("replay --until 1h").ends(0).says("no event is within");
    assert_eq!(world.state().runs.len(), 1, "nothing was recorded");
    world
        .refit("replay --since 1h --trigger churn")
        .ends(0)
        .says("gs://acme-data/churn/a, nothing to record: churn: accepted into batch")
        .says("churn: accepted into batch");
    world.until("the other runs too", |state| state.runs.len() == 2);
    world
        .refit("replay --since 1h --trigger churn")
        .ends(0)
        .says("gs://acme-data/churn/b, nothing to record: churn: accepted into batch");
    world
        .refit("replay b.http --trigger churn")
        .ends(0)
        .says("gs://acme-data/churn/b, nothing to record: churn: accepted into batch");
    world.refit(&format!("replay {bucket}b --force")).ends(0);
    world.until("a third run was forced", |state| state.runs.len() == 3);
}

#[test]
fn a_replay_says_what_it_is_to_send_again() {
    let world = World::ruled(EACH);
    world.refit("replay").ends(2).complains("neither samples nor a filter");
    for option in ["--trigger=", "--object="] {
        world.refit(&format!("replay {option}")).ends(2).complains("it is empty");
    }
    world.refit("replay --since 1h --until 2h").ends(2).complains("no time is in it");
    world
        .refit("replay --since yesterday")
        .ends(2)
        .complains("neither a time nor a length of time");
    world.refit("replay --trigger other").ends(6).complains("known=`churn`");
    world.write_sample("a", "1", &now());
    let never = world.json("replay a.http --trigger churn");
    assert!(
        never["unrecorded"][0]["reason"].as_str().unwrap().starts_with("it was never recorded")
    );
    assert!(world.json("replay a.http --shadow")["events"][0]["decisions"][0].is_string());
    assert!(world.state().runs.is_empty(), "nothing was recorded");
}
