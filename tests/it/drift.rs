//! `drift` as a process: reports of two tools, as Pub/Sub pushes them, become one run.

use refit_core::event::Fact;
use refit_engine::layout;
use refit_engine::port::Clock as _;
use refit_engine::record::read_segment;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_wire::sample::{Sample, read_sample};

use crate::patience::call;
use crate::world::World;

/// A trigger on drift of one model.
const ON: &str = "on: { objects: { bucket: acme-data, prefix: churn/ } }";
const DRIFT: &str = "on: { drift: { model: churn } }";

/// A sample of `events/drift`, changed so.
fn sample(name: &str, changes: &[(&str, &str)]) -> Sample {
    let path = format!("{}/../events/drift/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    read_sample(&text, SystemClock.now()).unwrap()
}

async fn post(place: &str, sample: &Sample) -> u16 {
    let headers = sample.headers.iter();
    let headers: String =
        headers.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    call(place, "POST /", &headers, &sample.body).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_drift_make_one_run_and_what_is_not_drift_makes_none() {
    let world = World::new(Kfp::start(Options { looks: Some(2), ..Options::default() })).await;
    let rules = world.rules(crate::world::Api::V2beta1, "", "batch: { quiet: 1s, max_wait: 5m }");
    assert!(rules.contains(ON));
    assert!(world.apply(&rules.replace(ON, DRIFT)).await.ok);
    let drift = world.drift().await;

    let fine = sample("native-pubsub", &[]);
    let drifted = [
        ("\"verdict\": \"ok\"", "\"verdict\": \"drift\""),
        ("\"drifted\": 0, \"share\": 0.0", "\"drifted\": 2, \"share\": 0.67"),
        ("\"01a2\"", "\"01a3\""),
    ];
    let drifted = sample("native-pubsub", &drifted);
    let now = (SystemClock.now().as_millis() / 1000 - 60).to_string();
    let incident = sample("monitoring-open", &[("1767614100", &now)]);
    // Twice each, as Pub/Sub may deliver them.
    for sample in [&fine, &drifted, &incident, &fine, &drifted, &incident] {
        assert_eq!(post(&drift.place, sample).await, 204);
    }
    let report = world.settle().await;
    assert_eq!((report.events, report.accepted, report.runs), (7, 2, 1), "and the rules");
    let runs = world.runs();
    let [run] = &runs[..] else { panic!("not one run: {runs:#?}") };
    assert_eq!(world.members(run).await.len(), 2, "the report and the incident");
    let page = world.ledger.store().list(layout::INBOX, "", 1000).await.unwrap();
    let mut tools = Vec::new();
    for entry in page.entries {
        let body = world.ledger.store().get(&entry.name).await.unwrap().unwrap();
        for event in read_segment(&entry.name, &body).unwrap() {
            if let Fact::Drift(report) = event.fact {
                tools.push(report.detector.tool);
            }
        }
    }
    tools.sort();
    tools.dedup();
    assert_eq!(tools.len(), 2, "{tools:?}");
}
