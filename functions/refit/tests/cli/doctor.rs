//! `refit doctor` as a process: on a ledger in a directory, and beside Cloud Storage's stand-in, which others wrote.

use refit_testkit::counterpart::Kind;
use serde_json::json;

use crate::world::World;

/// Nobody listens there: no test asks for a token of Google.
const NOWHERE: (&str, &str) = ("GCE_METADATA_HOST", "127.0.0.1:1");

#[test]
fn a_ledger_in_a_directory_gets_the_checks_that_apply() {
    let world = World::ruled("batch: { quiet: 1s, max_wait: 2s }");
    let told = [(NOWHERE.0, NOWHERE.1.to_owned())];
    let report = world.told("doctor --json", &told).ends(0).json();
    assert_eq!(report["findings"], json!([]));
    let words = report["not_checked"].to_string();
    assert!(words.contains("gs://acme-data/churn/"), "{words}");
    let fine: Vec<_> = report["fine"].as_array().unwrap().iter().map(|it| &it["check"]).collect();
    assert_eq!(fine, ["ledger", "loops", "services"], "{report:#}");
    let place = &world.place;
    let open = world.told(&format!("doctor --function http://{place}/"), &told);
    open.ends(1).says("it answers who shows no token, status 405").says("1 error");
    let nowhere = world.told("doctor --ledger nowhere", &told).ends(1);
    nowhere.says("error: the ledger cannot be read: there is no ledger here");
}

#[test]
fn a_bucket_that_announces_nothing_is_found_until_it_does() {
    let test = "doctor::a_bucket_that_announces_nothing_is_found_until_it_does";
    let Some(storage) = Kind::CloudStorage.start(test) else { return };
    let server = storage.place();
    let world = World::ruled("batch: { quiet: 1s, max_wait: 2s }");
    let told = [(NOWHERE.0, NOWHERE.1.to_owned()), ("STORAGE_EMULATOR_HOST", server.to_owned())];
    world.told("doctor", &told).ends(1).says("there is no such bucket");
    assert_eq!(world.post(server, "b?project=p", &json!({ "name": "acme-data" })), 200);
    let silent = world.told("doctor", &told).ends(1);
    silent.says("the bucket announces nothing").says("--object-prefix=churn/");
    let notification = json!({
        "topic": "//pubsub.googleapis.com/projects/p/topics/t", "payload_format": "JSON_API_V1",
        "event_types": ["OBJECT_FINALIZE"],
    });
    assert_eq!(world.post(server, "b/acme-data/notificationConfigs", &notification), 201);
    let report = world.told("doctor --json", &told).ends(0).json();
    let fine = report["fine"].to_string();
    assert!(fine.contains("\"check\":\"notifications\""), "{report:#}");
}
