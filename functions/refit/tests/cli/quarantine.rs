//! What could not be understood: listed, shown, read again, and taken off the list.

use refit_core::event::Event;
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::{
    Delivery, Invocation, Understood, quarantined, quarantined_report, understand,
};
use serde_json::{Value, json};

use crate::process::Ended;
use crate::world::World;

/// Every event is a run.
const EACH: &str = "batch: each\n    overlap: allow\n    budget: { runs: 99, per: 24h }";

fn ids(listed: &Value) -> Vec<String> {
    let entries = listed["quarantined"].as_array().unwrap().iter();
    entries.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

fn read(text: &str) -> Sample {
    let now = refit_engine::port::Clock::now(&refit_platform::clock::SystemClock);
    read_sample(text, now).unwrap()
}

/// What is answered when a delivery is replayed that an older version did not know.
fn replayed(world: &World, sample: &Sample) -> Ended {
    let event: Event = quarantined(&sample.delivery(), "an older version did not know it");
    world.record(vec![event]);
    let [id] = ids(&world.json("quarantine list")).try_into().unwrap();
    world.refit(&format!("quarantine replay {id}")).ends(0)
}

#[test]
fn poison_is_listed_once_and_shown_until_it_is_dropped() {
    let world = World::ruled(EACH);
    world.refit("quarantine list").ends(0).says("nothing is in quarantine");
    std::fs::write(world.path("poison.http"), "POST /\n\n{\"hello\": \"world\"}").unwrap();
    for _ in 0..2 {
        world.json(&format!("replay poison.http --to http://{}/", world.place));
    }
    let listed = world.json("quarantine list");
    let [id] = ids(&listed).try_into().unwrap();
    assert_eq!(listed["quarantined"][0]["size"], 18);
    world.refit(&format!("quarantine show {}", &id[..8])).ends(0).says("{\"hello\": \"world\"}");
    let again = world.refit(&format!("quarantine replay {id}")).ends(4);
    again.complains("it is still not understood: JSON of no known kind");
    world.refit("quarantine show zz").ends(6).complains("nothing in quarantine begins so");
    world.refit(&format!("quarantine drop {id}")).ends(0).says("off the list");
    world.refit("quarantine list").ends(0).says("nothing is in quarantine");
    world.json(&format!("replay poison.http --to http://{}/", world.place));
    assert_eq!(ids(&world.json("quarantine list")), [id], "it came again");
}

/// Read again as far as it is kept it would mean something else than what arrived.
#[test]
fn of_what_is_long_the_beginning_is_kept_and_shown_and_not_read_again() {
    let world = World::ruled(EACH);
    let event = json!({
        "specversion": "1.0", "id": "7", "source": "/s", "type": "t", "data": "x".repeat(70_000),
    });
    let text = format!("POST /\ncontent-type: application/cloudevents+json\n\n{event}");
    world.record(vec![quarantined(&read(&text).delivery(), "an older version did not know it")]);
    let listed = world.json("quarantine list");
    let size = listed["quarantined"][0]["size"].as_u64().unwrap();
    assert!(size > 70_000, "{listed}");
    let [id] = ids(&listed).try_into().unwrap();
    let shown = world.json(&format!("quarantine show {id}"));
    assert_eq!(shown["body"].as_str().map(str::len), Some(64 * 1024));
    let replayed = world.refit(&format!("quarantine replay {id}")).ends(4);
    replayed
        .complains(&format!("only the first 65536 of {size} bytes are kept; have it sent again"));
    assert_eq!(ids(&world.json("quarantine list")), [id], "it stays on the list");
}

#[test]
fn what_arrived_is_shown_with_its_headers_and_gives_a_terminal_no_orders() {
    let world = World::ruled(EACH);
    let text =
        "POST /\ncontent-type: text/plain\nce-id: 7\nhost: h\n\n\u{1b}]0;x\u{7}one\ttw\ro\nthree";
    world.record(vec![quarantined(&read(text).delivery(), "no reason")]);
    let [id] = ids(&world.json("quarantine list")).try_into().unwrap();
    let show = format!("quarantine show {id}");
    let shown = "ce-id: 7\ncontent-type: text/plain\n\n\\u{1b}]0;x\\u{7}one\ttw\\ro\nthree";
    world.refit(&show).ends(0).says(shown);
    let json = world.json(&show);
    assert_eq!(json["headers"], json!({"ce-id": "7", "content-type": "text/plain"}));
    assert_eq!(json["body"], "\u{1b}]0;x\u{7}one\ttw\ro\nthree");
}

/// Neither has a time: its object says which report it is, and its record which message.
#[test]
fn a_report_in_a_file_or_in_a_queue_is_replayed_as_what_it_lay_in() {
    let world = World::ruled(EACH);
    let report = json!({"age": {"algorithm": "ks", "drift_category": "DRIFT"}}).to_string();
    world.write_sample("r", "1", "${now}");
    let sample = read(&std::fs::read_to_string(world.path("r.http")).unwrap());
    let Ok(Understood::Record(mut uploads)) = understand(&sample.delivery()) else {
        panic!("an upload is understood")
    };
    let upload = uploads.remove(0);
    let replay = |event: Event| {
        let id = event.id();
        world.record(vec![event]);
        world.refit(&format!("quarantine replay {id} --json"))
    };
    let filed =
        || quarantined_report(&upload, report.as_bytes(), "an older version did not know it");
    replay(filed()).ends(4).says("the upload of the object it lies in is not in the inbox");
    world.record(vec![upload.clone()]);
    assert_eq!(replay(filed()).ends(0).json()["events"], json!(["whylogs"]));
    let record = json!({"eventSource": "aws:sqs", "messageId": "1", "body": report});
    let Invocation::Batch(items) = Invocation::of(&json!({"Records": [record]})) else {
        panic!("a batch is one")
    };
    let headers = http::HeaderMap::new();
    let delivery = Delivery { headers: &headers, body: items[0].body.as_bytes() };
    let queued = quarantined(&delivery, "an older version did not know it");
    assert_eq!(replay(queued).ends(0).json()["events"], json!(["whylogs"]));
    assert!(ids(&world.json("quarantine list")).is_empty());
}

#[test]
fn what_a_newer_version_understands_is_recorded_and_leaves_the_list() {
    let world = World::ruled(EACH);
    world.write_sample("a", "1", "${now}");
    let text = std::fs::read_to_string(world.path("a.http")).unwrap();
    let replayed = replayed(&world, &read(&text));
    replayed.says("recorded: gs://acme-data/churn/a");
    world.until("there is a run", |state| state.runs.len() == 1);
    world.refit("quarantine list").ends(0).says("nothing is in quarantine");
}

/// Its attributes are headers of any name; without them it would be another message.
#[test]
fn a_message_without_its_wrapper_is_replayed_with_its_attributes() {
    let world = World::ruled(EACH);
    let text = "POST /\n\
        x-goog-pubsub-message-id: 7\nx-goog-pubsub-subscription-name: projects/p/subscriptions/s\n\
        authorization: Bearer x\neventtype: OBJECT_FINALIZE\npayloadformat: NONE\n\
        bucketid: acme-data\nobjectid: churn/März.csv\nobjectgeneration: 12\neventtime: ${now}\n\n";
    replayed(&world, &read(text)).says("recorded: gs://acme-data/churn/März.csv");
    world.refit("quarantine list").ends(0).says("nothing is in quarantine");
}
