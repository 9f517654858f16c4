//! Samples of events: each has the form beside it that says what it is taken for.

use crate::sources::{Source, all, assert_none, check};

fn alone(sources: &[Source]) -> Vec<String> {
    let exists = |path: &str| sources.iter().any(|source| source.path == path);
    let samples = sources.iter().filter(|source| source.path.starts_with("events/"));
    let other = |path: &str| {
        let form = path.strip_suffix(".http").map(|name| format!("{name}.normal.json"));
        form.or_else(|| path.strip_suffix(".normal.json").map(|name| format!("{name}.http")))
    };
    let missing = samples.filter_map(|source| other(&source.path)).filter(|path| !exists(path));
    missing.collect()
}

#[test]
fn every_sample_has_a_normal_form() {
    assert_none("missing", &alone(&all()));
    let files = [
        ("events/gcs/a.http", ""),
        ("events/gcs/a.normal.json", ""),
        ("events/gcs/b.http", ""),
        ("events/gcs/c.normal.json", ""),
        ("events/README.md", ""),
    ];
    check(alone, &files, &["events/gcs/b.normal.json", "events/gcs/c.http"]);
}
