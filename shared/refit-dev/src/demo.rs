//! The demo: a folder with a pipeline, rules, and files to be uploaded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use breast_cancer::sample::{PARTS, PIPELINE, RULES};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::Clock;

/// The bucket of the demo.
pub const BUCKET: &str = "uploads";
/// How long no file may arrive before a batch becomes a run, in the demo.
pub const QUIET: &str = "5s";
/// How far apart files are uploaded, so that they can be seen to arrive.
const UPLOAD_EVERY: Span = Span::from_millis(150);

/// Writes the files of the demo, those that are there left as they are. The paths it wrote, relative to the folder.
///
/// # Errors
/// The folder cannot be written.
pub fn write(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let rules = rules();
    let pipeline = Path::new("pipelines/breast-cancer/pipeline.yaml");
    let mut files = vec![
        (PathBuf::from("refit.yaml"), rules.as_bytes()),
        (pipeline.to_owned(), PIPELINE.as_bytes()),
    ];
    files.extend(PARTS.iter().map(|(name, text)| (Path::new("data").join(name), *text)));
    files.retain(|(name, _)| !folder.join(name).exists());
    for (name, text) in &files {
        put(&folder.join(name), text).map_err(|error| unwritable(folder, error))?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

/// The objects of the bucket to upload now: those of the data that are missing, or all of them under new names if none
/// is.
#[must_use]
pub fn uploads(buckets: &Path) -> Vec<String> {
    let bucket = buckets.join(BUCKET);
    let missing = |folder: &str| {
        let names = PARTS.iter().map(move |(name, _)| format!("{folder}{name}"));
        names.filter(|name| !bucket.join(name).exists()).collect::<Vec<_>>()
    };
    let folders = std::iter::once(String::new()).chain((1..).map(|n| format!("again-{n}/")));
    let mut sets = folders.map(|folder| missing(&folder));
    sets.find(|set| !set.is_empty()).expect("there are names without end")
}

/// Uploads objects one after another, each as a whole. What keeps it from going on is logged.
pub async fn upload(buckets: &Path, names: &[String], clock: &dyn Clock) {
    let bucket = buckets.join(BUCKET);
    for name in names {
        let part = PARTS.iter().find(|(part, _)| name.ends_with(part));
        let Some((_, text)) = part else { continue };
        if let Err(error) = put(&bucket.join(name), text) {
            tracing::error!(%error, name, "a file of the demo cannot be uploaded");
            return;
        }
        clock.sleep(UPLOAD_EVERY).await;
    }
}

/// The rules of the example, with a shorter quiet time.
fn rules() -> String {
    let batch =
        format!("    batch: {{ quiet: {QUIET} }}   # 1m unless said; shortened for the demo\n");
    RULES.replacen("    run:\n", &format!("{batch}    run:\n"), 1)
}

/// Writes a file under a hidden name and then moves it to its place.
fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".{}.part", name.to_string_lossy()));
    fs::write(&draft, text)?;
    fs::rename(draft, path)
}

fn unwritable(folder: &Path, error: io::Error) -> Error {
    let message = format!(
        "the folder cannot be written; mend its permissions or name another with --folder: path=`{}`",
        folder.display()
    );
    Error::new(ErrorKind::Unavailable, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_demo_are_those_of_the_example_with_a_shorter_quiet_time() {
        let (config, diagnostics) = refit_wire::config::read(&rules());
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let rule = config.unwrap().rules.triggers["breast-cancer"].clone();
        assert_eq!(rule.batch.quiet, Some(QUIET.parse().unwrap()));
    }

    #[test]
    fn what_is_there_stays_and_the_next_uploads_have_new_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("refit.yaml"), "mine").unwrap();
        assert_eq!(write(folder.path()).unwrap().len(), 9);
        assert_eq!(write(folder.path()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(fs::read_to_string(folder.path().join("refit.yaml")).unwrap(), "mine");

        let buckets = folder.path().join("buckets");
        let put_all = |names: &[String]| {
            names.iter().for_each(|name| put(&buckets.join(BUCKET).join(name), b"x").unwrap());
        };
        let first = uploads(&buckets);
        assert_eq!((first.len(), first[0].as_str()), (8, "part-1.csv"));
        put_all(&first[..5]);
        assert_eq!(uploads(&buckets), first[5..], "what an earlier life did not get to");
        put_all(&first[5..]);
        assert_eq!(uploads(&buckets)[7], "again-1/part-8.csv");
    }
}
