//! Every sample in `events/` has the normal form beside it. `UPDATE_EXPECT=1` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use refit_core::event::Identity;
use refit_core::time::Timestamp;
use refit_wire::normal_form::normal_form;
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::{Understood, understand};

/// The samples, by their folder and name, as they would be sent at noon of some day.
pub(crate) fn samples() -> Vec<(PathBuf, Sample)> {
    let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
    let paths = files("http").into_iter();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let sample = read_sample(&text, now).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        (path, sample)
    };
    paths.map(read).collect()
}

fn files(suffix: &str) -> BTreeSet<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").canonicalize().unwrap();
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries(&root).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder).collect::<Vec<_>>());
    files.filter(|path| path.to_str().unwrap().ends_with(&format!(".{suffix}"))).collect()
}

fn identity(name: &str) -> Identity {
    let samples = samples();
    let found = samples.iter().find(|(path, _)| path.ends_with(format!("{name}.http")));
    let (_, sample) = found.unwrap_or_else(|| panic!("no sample {name}"));
    match understand(&sample.delivery()) {
        Ok(Understood::Record(events)) => events[0].identity.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_sample_has_its_normal_form() {
    let samples = samples();
    assert!(!samples.is_empty());
    for (path, sample) in samples {
        let form = normal_form(&understand(&sample.delivery()));
        let text = format!("{}\n", serde_json::to_string_pretty(&form).unwrap());
        expect_file![path.with_extension("normal.json")].assert_eq(&text);
    }
}

#[test]
fn every_normal_form_has_its_sample() {
    let samples = files("http");
    for path in files("json") {
        let name = path.to_str().unwrap().strip_suffix(".normal.json");
        let sample = PathBuf::from(format!("{}.http", name.unwrap_or_default()));
        assert!(samples.contains(&sample), "{path:?} belongs to no sample");
    }
}

#[test]
fn one_fact_has_one_identity_by_every_route() {
    let routes: [&[&str]; 5] = [
        &[
            "gcs/eventarc-finalized",
            "gcs/eventarc-structured",
            "gcs/eventarc-batch",
            "gcs/pubsub-finalized",
            "gcs/pubsub-unwrapped",
            "gcs/pubsub-attributes-only",
            "gcs/background-finalized",
        ],
        &[
            "cloudevents/binary",
            "cloudevents/structured",
            "cloudevents/plain-json",
            "cloudevents/batch",
            "pubsub/cloudevent-binary",
            "pubsub/cloudevent-structured",
        ],
        &["pubsub/wrapped"],
        &[
            "s3/notification",
            "s3/through-sns",
            "s3/through-sqs",
            "s3/through-sns-and-sqs",
            "s3/eventbridge",
        ],
        &["drift/cloudwatch-sns", "drift/cloudwatch-eventbridge", "drift/cloudwatch-direct"],
    ];
    let facts = routes.map(|route| {
        let identities: BTreeSet<Identity> = route.iter().map(|name| identity(name)).collect();
        assert_eq!(identities.len(), 1, "{route:?}: {identities:?}");
        identities
    });
    let different: BTreeSet<&Identity> = facts.iter().flatten().collect();
    assert_eq!(different.len(), facts.len());
}
