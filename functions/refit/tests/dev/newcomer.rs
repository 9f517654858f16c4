//! The first half hour: the example of docs/pipelines.md, and what is said where it does not go well.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::process::{Dev, json, output};

/// The files of the first example, in their order.
const FILES: [&str; 3] = ["refit.yaml", "train/pipeline.yaml", "train/fit.sh"];

/// A folder with what docs/pipelines.md has a newcomer write.
fn first() -> TempDir {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pipelines.md");
    let page = fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("train")).unwrap();
    let blocks = page.split("\n```").skip(1).step_by(2);
    for (file, block) in FILES.iter().zip(blocks) {
        let (_, text) = block.split_once('\n').unwrap();
        let text = text.replace("quiet: 5s", "quiet: 1ms");
        fs::write(folder.path().join(file), format!("{text}\n")).unwrap();
    }
    folder
}

fn upload(folder: &Path, name: &str) {
    let bucket = folder.join("buckets/uploads");
    fs::create_dir_all(&bucket).unwrap();
    fs::write(bucket.join(name), "1,2\n").unwrap();
}

#[test]
fn the_example_of_the_page_runs_as_it_is_written() {
    let folder = first();
    let mut dev = Dev::start(folder.path(), &[]);
    dev.says("watching");
    upload(folder.path(), "one.csv");
    dev.says("step 1 of 1, fit: done");
    dev.says("with 1 member succeeded");
    assert!(dev.terminate().success());
    let why = json(folder.path(), &["why", "buckets/uploads/one.csv"]);
    assert_eq!(why["stories"][0]["events"][0]["name"], "gs://uploads/one.csv", "{why}");
    let nothing = output(folder.path(), &["why", "buckets/uploads/two.txt"]);
    assert_eq!(nothing.status.code(), Some(6));
    let nothing = String::from_utf8(nothing.stderr).unwrap();
    assert!(nothing.contains("the name does not end with `.csv`"), "{nothing}");
    let runs = json(folder.path(), &["runs"]);
    let key = runs["runs"][0]["key"].as_str().unwrap();
    let made = folder.path().join(".refit/dev/pipelines/runs").join(key).join("artifacts");
    assert_eq!(fs::read_to_string(made.join("all.csv")).unwrap(), "1,2\n");
    let metrics = fs::read_to_string(made.join("metrics.json")).unwrap();
    assert_eq!(metrics.split_whitespace().collect::<String>(), "{\"lines\":1}");
}

#[test]
fn it_is_seen_where_data_goes_and_said_what_lies_beside() {
    let folder = first();
    let buckets = folder.path().join("buckets");
    let mut dev = Dev::start(folder.path(), &[]);
    assert!(dev.says("watching").ends_with("buckets/uploads/OBJECT"));
    assert!(buckets.join("uploads").is_dir());
    fs::write(buckets.join("lost.csv"), "1,2\n").unwrap();
    dev.says("buckets/lost.csv is in no bucket");
    let path = folder.path().join("refit.yaml");
    let rules = fs::read_to_string(&path).unwrap();
    fs::write(&path, rules.replace("bucket: uploads", "bucket: others")).unwrap();
    dev.says("triggers.train.on");
    assert!(buckets.join("others").is_dir(), "also of rules that come later");
    assert!(dev.terminate().success());
}

#[test]
fn why_a_pipeline_cannot_be_prepared_is_said() {
    let cases = [
        ("steps:", "stepz:", "unknown setting `stepz`: did you mean `steps`?"),
        ("sh, fit.sh", "", "no program is named: file="),
        ("manifest: {", "other: {", "`other`"),
    ];
    for (is, becomes, cause) in cases {
        let folder = first();
        let path = folder.path().join("train/pipeline.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(is), "{text}");
        fs::write(&path, text.replace(is, becomes)).unwrap();
        let mut dev = Dev::start(folder.path(), &[]);
        dev.says("watching");
        upload(folder.path(), "one.csv");
        let told = dev.says("because the pipeline cannot be prepared");
        assert!(told.contains(cause), "{cause}: {told}");
        let subject = ["why", "gs://uploads/one.csv"];
        let why = String::from_utf8(output(folder.path(), &subject).stdout).unwrap();
        let now = why.lines().find(|line| line.starts_with("  now  ")).unwrap();
        assert!(now.contains(cause), "{cause}: {why}");
        let why = json(folder.path(), &subject);
        let now = why["stories"][0]["batches"][0]["now"].as_str().unwrap();
        assert!(now.contains(cause), "{cause}: {why}");
        // What is mended is taken up by itself.
        fs::write(&path, text).unwrap();
        dev.says("with 1 member succeeded");
        assert!(dev.terminate().success());
    }
}

#[test]
fn a_pipeline_that_is_nowhere_is_said_to_be_with_the_folders_that_were_looked_in() {
    let folder = first();
    fs::rename(folder.path().join("train"), folder.path().join("trian")).unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    dev.says("watching");
    upload(folder.path(), "one.csv");
    let told = dev.says("there is no such pipeline");
    let here = folder.path().canonicalize().unwrap();
    let looked = format!("`{}, {}`", here.display(), here.join("pipelines").display());
    assert!(told.contains(&looked) && told.contains("docs/pipelines.md"), "{looked}: {told}");
    assert!(dev.terminate().success());
}
