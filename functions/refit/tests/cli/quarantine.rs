//! What could not be understood: listed, shown, read again, and taken off the list.

use refit_core::event::Event;
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::quarantined;
use serde_json::Value;

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
