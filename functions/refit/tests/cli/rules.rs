//! Rules: what applying them changes, and what it makes due.

use crate::world::World;

#[test]
fn rules_are_shown_and_applied_once() {
    let world = World::new();
    world.write_rules("batch: { quiet: 1h, max_wait: 2h }");
    let dry = world.json("apply --dry-run");
    assert_eq!(dry["proposal"]["changes"]["added"][0], "churn");
    assert_eq!(dry["submitted"], serde_json::Value::Null);
    assert_eq!(world.json("status")["rules"], serde_json::Value::Null, "it was a dry run");
    world.refit("apply").ends(2).says("+ triggers.churn");
    let applied = world.json("apply --yes");
    assert!(applied["submitted"]["answer"]["message"].as_str().unwrap().starts_with("applied"));
    assert_eq!(world.json("status")["rules"], applied["proposal"]["revision"]);
    assert_eq!(world.json("apply")["in_force"], true);
    world.refit("apply").ends(0).says("these rules are in force");
    world.write_rules("batch: { quiet: 30m, max_wait: 2h }");
    world.refit("apply --yes").ends(0).says("~ triggers.churn.batch.quiet: 1h -> 30m");
    let services = world.json("services");
    assert_eq!(services[0]["kind"], "kubeflow");
    std::fs::remove_file(world.path("refit.yaml")).unwrap();
    assert_eq!(world.json("services --ledger ledger"), services, "those in force are the same");
}

#[test]
fn a_rule_file_that_names_another_ledger_is_not_silently_put_in_force() {
    let world = World::new();
    world.write_rules("batch: { quiet: 1h, max_wait: 2h }");
    let told = |line: &str, ledger: &str| {
        let ended = world.told(line, &[("REFIT_LEDGER", ledger.to_owned())]);
        (ended.stderr.contains("is left alone"), ended)
    };
    let at = world.path("ledger").display().to_string();
    for same in ["ledger", "./ledger/", &at] {
        assert!(!told("check", same).0 && !told("apply --dry-run", same).0, "{same}");
    }
    let other = "elsewhere";
    let said = "the ledger is elsewhere here; ledger, which refit.yaml names, is left alone";
    for line in ["check", "apply --dry-run"] {
        let (_, ended) = told(line, other);
        assert!(ended.stderr.contains(said), "{ended:#?}");
    }
    told("apply --dry-run", other).1.ends(0).says(" replaces none in elsewhere");
    assert_eq!(world.json("apply --dry-run")["proposal"]["ledger"], "ledger");
    assert_eq!(told("apply --dry-run --json", other).1.json()["proposal"]["ledger"], other);
    assert!(!told("check", "gs://acme-refit/prod").1.stdout.contains("watches the ledger"));
    let loops = "`churn` watches the ledger, which it writes to: ledger=`gs://acme-data/churn`";
    for line in ["check", "apply --dry-run"] {
        told(line, "gs://acme-data/churn").1.ends(3).says(loops);
    }
}

#[test]
fn what_becomes_due_waits_unless_it_is_to_start() {
    let world = World::ruled("batch: { min_count: 9, quiet: 1h, max_wait: 2h }");
    world.write_sample("a", "1", "${now}");
    world.refit("replay a.http").ends(0).says("churn: accepted into batch");
    let status = world.json("status");
    assert_eq!(status["batches"][0]["members"], 1);
    world.write_rules("batch: { quiet: 1ms, max_wait: 2h }");
    let due = |line| world.json(line)["proposal"]["due"][0]["then"].clone();
    assert_eq!(due("apply --dry-run"), "waits");
    assert_eq!(due("apply --dry-run --start"), "starts");
    world.refit("apply --yes").ends(0).says("waits for `refit resume churn --coalesce`");
    assert!(world.json("runs")["runs"].as_array().unwrap().is_empty(), "nothing starts by itself");
    world
        .refit("status")
        .ends(0)
        .says("waits for a decision: resume it or discard it, until somebody decides");
    world.refit("resume churn --coalesce").ends(0);
    world.until("it became a run", |state| state.runs.len() == 1);
    std::fs::write(world.path("refit.yaml"), "ledger: ledger\n").unwrap();
    world.refit("apply --yes").ends(0).says("- triggers.churn");
}

#[test]
fn a_paused_trigger_starts_nothing_and_its_batch_is_dropped_when_asked() {
    let world = World::ruled("batch: { quiet: 1ms, max_wait: 1h }");
    world.refit("pause churn").ends(0).says("paused: trigger=`churn`");
    world.write_sample("a", "1", "${now}");
    world.refit("replay a.http").ends(0);
    world.refit("status").ends(0).says("the trigger is paused, until somebody resumes it");
    for line in ["pause nobody", "resume nobody"] {
        world.refit(line).ends(6).complains("unknown trigger: name=`nobody`, known=`churn`");
        let missing = world.refit(&format!("{line} --json")).ends(6).json();
        assert_eq!(missing["error"]["kind"], "not_found");
    }
    world.refit("resume churn").ends(0).says("resumed: trigger=`churn`");
    world.refit("resume churn --discard").ends(0);
    let state = world.state();
    assert!(state.runs.is_empty() && state.triggers["churn"].open.is_empty());
    world.refit("why gs://acme-data/churn/a").ends(0).says("was discarded");
    world.refit("resume churn").ends(4);
    world.refit("pause churn --ignore").ends(0);
    world.write_sample("b", "2", "${now}");
    world.refit("replay b.http").ends(0).says("refused because");
}

#[test]
fn rules_that_were_lost_hold_what_arrives_until_they_are_applied_again() {
    let world = World::ruled("batch: { quiet: 1h, max_wait: 2h }");
    std::fs::remove_dir_all(world.path("ledger/rules")).unwrap();
    let world = world.restarted();
    world.write_sample("a", "1", "${now}");
    world.refit("replay a.http --no-wait").ends(0);
    world.refit("fsck").ends(7).says("rules/");
    let state = world.state();
    assert!(state.triggers["churn"].open.is_empty(), "without rules nothing is decided");
    world.refit("apply").ends(0).says("these rules are in force");
    world.until("the event is a member", |state| !state.triggers["churn"].open.is_empty());
    world.refit("fsck").ends(0);
}
