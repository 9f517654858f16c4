//! From the files of a batch to rows to learn from and rows to be judged by.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::data::{self, Row, diagnosis};
use crate::{Job, cannot_read, progress, write_json};

/// Rows a training needs.
const ROWS_MIN: usize = 60;
/// Rows it needs of each diagnosis.
const ROWS_OF_EACH_MIN: usize = 8;
/// One row of so many is held back.
const HELD_BACK: usize = 4;
/// Decides, with the content of a row, whether it is held back.
const SEED: &[u8] = b"breast-cancer";

#[derive(Deserialize)]
struct Parameters {
    manifest: String,
}

/// One line of the manifest, as far as it matters here.
#[derive(Deserialize)]
struct Member {
    uri: Option<String>,
}

/// What became of the files: `dataset.json`.
#[derive(Serialize)]
struct Dataset {
    files: Vec<String>,
    rows: usize,
    malignant: usize,
    duplicates: usize,
    train: usize,
    test: usize,
}

pub(crate) fn run(job: &Job, out: &mut dyn Write) -> Result<()> {
    let Parameters { manifest } = job.parameters()?;
    let files = members(&manifest)?;
    let mut rows = BTreeMap::new();
    let mut read = 0;
    for (at, uri) in files.iter().enumerate() {
        let part = data::read(&object(&job.places.buckets, uri)?)?;
        writeln!(out, "{:>5} rows  {uri}", part.len())?;
        read += part.len();
        rows.extend(part.into_iter().map(|row| (identity(&row), row)));
        progress(out, (at + 1) as f64 / files.len() as f64, "reading")?;
    }
    let malignant = rows.values().filter(|row| row.malignant).count();
    check(rows.len(), malignant)?;
    let (test, train) = split(&rows);
    data::write(&job.artifact("train.csv"), &train)?;
    data::write(&job.artifact("test.csv"), &test)?;
    let duplicates = read - rows.len();
    let (rows, train, test) = (rows.len(), train.len(), test.len());
    writeln!(out, "{rows} rows, {malignant} malignant, {duplicates} duplicates left out")?;
    writeln!(out, "{train} to learn from, {test} held back")?;
    let dataset = Dataset { files, rows, malignant, duplicates, train, test };
    write_json(&job.artifact("dataset.json"), &dataset)
}

/// The objects a manifest lists.
fn members(manifest: &str) -> Result<Vec<String>> {
    let path = Url::parse(manifest).ok().filter(|url| url.scheme() == "file");
    let path = path.and_then(|url| url.to_file_path().ok());
    let path = path.with_context(|| format!("not a file URI: manifest=`{manifest}`"))?;
    let text = fs::read_to_string(&path).with_context(|| cannot_read(&path))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let members = lines.map(|line| {
        let member: Member = serde_json::from_str(line).with_context(|| cannot_read(&path))?;
        member.uri.ok_or_else(|| anyhow!("a member of the manifest is not an object"))
    });
    members.collect()
}

/// Where the object `scheme://bucket/name` lies: nowhere but below the buckets.
fn object(buckets: &Path, uri: &str) -> Result<PathBuf> {
    let place = uri.split_once("://").map(|(_, place)| Path::new(place));
    let inside =
        |place: &&Path| place.components().all(|part| matches!(part, Component::Normal(_)));
    match place.filter(inside) {
        Some(place) => Ok(buckets.join(place)),
        None => bail!("not the URI of an object in a bucket: uri=`{uri}`"),
    }
}

/// The same row has the same identity in whatever file it comes.
fn identity(row: &Row) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(SEED);
    row.features.iter().for_each(|value| hasher.update(value.to_bits().to_be_bytes()));
    hasher.update(diagnosis(row.malignant));
    hasher.finalize().into()
}

fn check(rows: usize, malignant: usize) -> Result<()> {
    ensure!(rows >= ROWS_MIN, "too few rows to learn from: found=`{rows}` needed=`{ROWS_MIN}`");
    for (malignant, found) in [(true, malignant), (false, rows - malignant)] {
        let word = diagnosis(malignant);
        ensure!(
            found >= ROWS_OF_EACH_MIN,
            "too few {word} rows: found=`{found}` needed=`{ROWS_OF_EACH_MIN}`"
        );
    }
    Ok(())
}

/// The rows held back, the same share of each diagnosis, and the others. The order of their identities is as good
/// as random, and does not depend on the order of the files.
fn split(rows: &BTreeMap<[u8; 32], Row>) -> (Vec<&Row>, Vec<&Row>) {
    let mut seen = [0; 2];
    rows.values().partition(|row| {
        let count = &mut seen[usize::from(row.malignant)];
        *count += 1;
        *count % HELD_BACK == 0
    })
}
