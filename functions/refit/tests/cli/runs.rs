//! Runs: listed, explained, cancelled, settled; and the ledger proved.

use refit_core::run::Phase;
use refit_core::time::Span;
use refit_testkit::fake::kfp::{self, Ask, Trouble};
use serde_json::Value;

use crate::world::World;

const EACH: &str = "batch: each\n    overlap: allow\n    budget: { runs: 99, per: 24h }";

/// A world with one run that goes on, and the row of it.
fn running() -> (World, Value) {
    running_under(EACH)
}

/// The same under another rule.
fn running_under(rule: &str) -> (World, Value) {
    let world = World::ruled(rule);
    world.write_sample("a", "1", "${now}");
    world.refit("replay a.http").ends(0);
    world.until("it runs", |state| state.runs.values().any(|run| run.attempt().external.is_some()));
    let row = world.json("runs")["runs"][0].clone();
    (world, row)
}

fn text<'v>(row: &'v Value, field: &str) -> &'v str {
    row[field].as_str().unwrap()
}

#[test]
fn rules_that_move_a_service_leave_its_active_runs_where_they_are() {
    let (world, _) = running();
    let rules = std::fs::read_to_string(world.path("refit.yaml")).unwrap();
    let moved = rules.replace(&world.kfp.url(), "http://127.0.0.1:9");
    std::fs::write(world.path("refit.yaml"), moved).unwrap();
    let says = "1 active run of service kfp began before and stays with it as it was";
    world.refit("apply --dry-run").ends(0).says(says);
    assert_eq!(world.json("apply --yes")["proposal"]["staying"][0]["runs"], 1);
    let run = world.kfp.runs()[0].clone();
    world.kfp.end(&run.id, kfp::Phase::Succeeded);
    world.until_runs(1, Phase::Succeeded);
    assert_eq!(world.json("apply --dry-run")["proposal"]["staying"], serde_json::json!([]));
}

#[test]
fn a_run_is_listed_explained_and_its_manifest_read() {
    let (world, row) = running();
    let (batch, key) = (text(&row, "run"), text(&row, "key"));
    assert_eq!((text(&row, "trigger"), row["members"].as_u64()), ("churn", Some(1)));
    assert_eq!(world.json("runs --all --trigger churn")["runs"].as_array().unwrap().len(), 1);
    world.refit("runs").ends(0).says(batch);
    world.refit("runs --trigger nobody").ends(6).complains("known=`churn`");
    let status = world.json("status");
    assert_eq!(status["triggers"][0]["active"], 1);
    assert_eq!(status["runs"][0]["run"], row["run"]);

    let event = world.json("why gs://acme-data/churn/a")["stories"][0]["events"][0].clone();
    let subjects = [
        batch,
        key,
        "gs://acme-data/churn/a",
        "acme-data/churn/a#1",
        text(&event, "event"),
        "delivery-1",
    ];
    for subject in subjects {
        let story = world.json(&format!("why {subject}"))["stories"][0].clone();
        assert_eq!(story["batches"][0]["batch"], row["run"], "{subject}");
        world.refit(&format!("why {subject}")).ends(0).says(&format!("is to be started as {key}"));
    }
    world.refit("why gs://acme-data/churn/a#2").ends(6).complains("nothing is recorded of it");
    world.refit("why gs://acme-data/other/a").ends(6).complains(
        "the nearest trigger in force is churn, but the name does not begin with `churn/`",
    );
    world.refit("why gs://acme-data/churn/a --since 1ms").ends(6);
    for nobody in ["b999", "rf-00000000000000000000000000000000"] {
        let told = world.refit(&format!("why {nobody}")).ends(6);
        assert!(!told.stderr.contains("understood"), "that is of events: {told:?}");
        told.complains("there is no such batch or run").complains("`refit runs --all`");
    }

    let uri = format!("file://{}/{}", world.path("ledger").display(), text(&row, "manifest"));
    let members = world.json(&format!("manifest cat {batch}"));
    assert_eq!(members.as_array().unwrap().len(), 1);
    for run in [key, &uri, text(&row, "manifest")] {
        assert_eq!(world.json(&format!("manifest cat {run}")), members, "{run}");
    }
    let line = world.refit(&format!("manifest cat {batch}")).ends(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), members[0]);
    world.refit("manifest cat b999").ends(6).complains("there is no such run");
    world.refit("manifest cat nonsense").ends(2);
}

#[test]
fn a_batch_behind_a_run_says_what_it_waits_for_and_when_that_times_out() {
    let (world, _) = running_under("batch: { quiet: 1ms, max_wait: 1h }\n    timeout: 7h");
    world.write_sample("b", "1", "${now}");
    world.refit("replay b.http").ends(0).says("churn: accepted into batch");
    let batch = world.json("status")["batches"][0].clone();
    let started = world.state().runs.values().find_map(|run| run.attempt().started_at).unwrap();
    assert_eq!(batch["held"]["reason"], "active_run");
    assert_eq!(text(&batch["held"], "until"), (started + Span::hours(7)).to_string());
    assert_eq!(batch["awaits"], "that run has ended");
    world.refit("status").ends(0).says("a run is active, until that run has ended");
    let until =
        format!("now  held until that run has ended (it times out at {}", started + Span::hours(7));
    world.refit("why gs://acme-data/churn/b").ends(0).says(&until);
}

#[test]
fn a_run_is_cancelled_once_and_the_ledger_is_whole_until_something_is_lost() {
    let (world, row) = running();
    let (batch, manifest) = (text(&row, "run"), text(&row, "manifest"));
    let answer = world.json(&format!("cancel {batch}"));
    assert!(text(&answer["answer"], "message").starts_with("to be cancelled"), "{answer}");
    world.until("it is over", |state| state.runs.values().all(|run| !run.is_active()));
    assert_eq!(world.json("runs")["runs"][0]["is_over"], true);
    world.refit(&format!("cancel {batch}")).ends(4).complains("it is over");
    for line in ["cancel b999", "settle b999 --not-started"] {
        world.refit(line).ends(6).complains("unknown run: name=`b999`");
    }
    world.refit(&format!("settle {batch} --not-started")).ends(4).complains("it is not uncertain");

    for proof in ["audit", "fsck"] {
        world.refit(proof).ends(0).says("nothing is wrong");
        assert_eq!(world.json(proof)["findings"], Value::Array(Vec::new()));
    }
    assert_eq!(world.json("audit")["runs"], 1);
    assert_eq!(world.json("fsck")["runs"], Value::Null, "fsck counts no runs");
    lose_a_segment(&world);
    std::fs::remove_file(world.path("ledger").join(manifest)).unwrap();
    let lost = world.refit("fsck --json").ends(7).json();
    assert!(text(&lost["findings"][0], "message").contains(manifest), "{lost}");
    world.refit("fsck").ends(7).says("1 finding");
    let lost = world.refit("audit --json").ends(7).json();
    assert_eq!(lost["findings"][0]["what"], "a manifest holds the members of its batch", "{lost}");
    world.refit("audit").ends(7).says("1 finding");
    world.refit(&format!("manifest cat {batch}")).ends(6).complains("there is no such manifest");
}

/// A segment that was consumed and is younger than the window is missed, and so is one that cannot be read.
fn lose_a_segment(world: &World) {
    let inbox = std::fs::read_dir(world.path("ledger/inbox")).unwrap();
    let segment = inbox.map(|file| file.unwrap().path()).max().expect("a command was recorded");
    let body = std::fs::read(&segment).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    std::fs::remove_file(&segment).unwrap();
    world.refit("audit").ends(7).says("a segment is kept for a window").says(name);
    std::fs::write(&segment, b"{}").unwrap();
    world.refit("audit").ends(7).says("a segment can be read").says(name);
    std::fs::write(&segment, body).unwrap();
    world.refit("audit").ends(0);
}

#[test]
fn a_restored_ledger_takes_nothing_in_from_before_it_was_marked() {
    let world = World::ruled(EACH);
    world.refit("fsck").ends(0);
    assert_eq!(world.state().marks.restored, None, "fsck alone marks nothing");
    let marked = world.refit("fsck --restored").ends(0).says("nothing is wrong");
    let mark = world.state().marks.restored.expect("it is marked");
    let told = format!("events from before {mark} are late from now on");
    assert!(marked.stderr.contains(&told), "{}", marked.stderr);
    world.write_sample("old", "2", &(mark - Span::secs(1)).to_string());
    world.write_sample("new", "3", &(mark + Span::secs(1)).to_string());
    world.refit("replay old.http").ends(0).says("it is older than the ledger remembers");
    world.refit("replay new.http").ends(0);
    world.until("the new one is a run", |state| state.runs.len() == 1);
    world.refit("replay old.http --force").ends(0);
    world.until("and so is what was forced", |state| state.runs.len() == 2);
    for proof in ["audit", "fsck"] {
        world.refit(proof).ends(0).says("nothing is wrong");
    }
}

#[test]
fn a_run_nobody_knows_of_is_settled_by_a_person() {
    let world = World::ruled(&format!("{EACH}\n    on_unknown: ask"));
    for name in ["a", "b"] {
        world.kfp.trouble(Ask::Start, Trouble::Closed);
        world.write_sample(name, &name.len().to_string(), "${now}");
        world.refit(&format!("replay {name}.http")).ends(0);
    }
    world.until_runs(2, Phase::Uncertain);
    let rows = world.json("runs")["runs"].clone();
    let (one, other) = (text(&rows[0], "run"), text(&rows[1], "run"));
    world.refit(&format!("settle {one}")).ends(2);
    world.refit(&format!("settle {one} --started x --not-started")).ends(2);
    world.refit(&format!("settle {one} --not-started")).ends(0).says("settled as not started");
    world.refit(&format!("settle {other} --started 3f1c")).ends(0).says("settled as started");
    world.refit(&format!("why {other}")).ends(0).says("was found to be started: 3f1c");
}
