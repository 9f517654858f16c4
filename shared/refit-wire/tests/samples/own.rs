//! Every sample in `events/` has the normal form beside it. `UPDATE_EXPECT=1` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use refit_core::event::Identity;
use refit_core::time::{Span, Timestamp};
use refit_wire::normal_form::normal_form;
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::{Understood, understand};

/// Samples whose tools write times in forms that `${now}` has not: without a zone, or with one that has no colon.
const DATED: [&str; 6] = [
    "drift/cloudwatch-direct.http",
    "drift/cloudwatch-eventbridge.http",
    "drift/cloudwatch-sns.http",
    "drift/evidently-legacy-report.http",
    "drift/evidently-legacy-suite.http",
    "drift/nannyml.http",
];

/// The samples, by their folder and name, as they would be sent at noon of some day.
pub(crate) fn samples() -> Vec<(PathBuf, Sample)> {
    samples_at("2026-01-05T12:00:00Z".parse().unwrap())
}

fn samples_at(now: Timestamp) -> Vec<(PathBuf, Sample)> {
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
fn what_a_sample_tells_is_new_whenever_it_is_sent() {
    let now: Timestamp = "2027-03-04T05:06:07Z".parse().unwrap();
    let is_old = |(path, sample): &(PathBuf, Sample)| match understand(&sample.delivery()) {
        Ok(Understood::Record(events)) => {
            let too_old = |time: Timestamp| time < now - Span::days(2);
            events.iter().filter_map(|event| event.time).any(too_old).then(|| path.clone())
        }
        Ok(Understood::Ping(_) | Understood::Ignore { .. }) | Err(_) => None,
    };
    let old: Vec<PathBuf> = samples_at(now).iter().filter_map(is_old).collect();
    assert!(old.iter().zip(DATED).all(|(path, dated)| path.ends_with(dated)), "{old:#?}");
    assert_eq!(old.len(), DATED.len(), "{old:#?}");
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
