//! The files of one model.
//!
//! A version appears at once and whole, and never changes. The stages are one file that is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use refit_core::key::RunKey;
use refit_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::Stage;
use crate::pipelines::Refusal;
use crate::pipelines::folder::{self, ARTIFACTS_MAX, DRAFT, Folder};

/// What the artifacts of a version may take together.
const BYTES_MAX: u64 = 1 << 30;
const METRICS_BYTES_MAX: u64 = 64 << 10;
const VERSION: &str = "version.json";
const ARTIFACTS: &str = "artifacts";
/// The form of what is stored.
const FORM: u32 = 1;

/// The folder of a model.
#[derive(Clone, Debug)]
pub(super) struct Shelf(PathBuf);

/// What a version is: stored when it is made, and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    v: u32,
    pub(super) version: String,
    pub(super) key: RunKey,
    pub(super) run: RunKey,
    pub(super) created: Timestamp,
    pub(super) metrics: BTreeMap<String, Number>,
}

/// Which version is in which stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stages {
    v: u32,
    staging: Option<String>,
    production: Option<String>,
    /// Those that lost their stage.
    archived: BTreeSet<String>,
}

impl Default for Stages {
    fn default() -> Self {
        Self { v: FORM, staging: None, production: None, archived: BTreeSet::new() }
    }
}

impl Stages {
    /// The version that has a stage.
    pub(super) fn holder(&self, stage: Stage) -> Option<&String> {
        match stage {
            Stage::Staging => self.staging.as_ref(),
            Stage::Production => self.production.as_ref(),
            Stage::Archived => None,
        }
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = (Stage, &String)> {
        let stages = [Stage::Staging, Stage::Production].into_iter();
        stages.filter_map(|stage| Some((stage, self.holder(stage)?)))
    }

    /// The stage of a version.
    pub(super) fn of(&self, version: &str) -> Option<Stage> {
        let held = self.holders().find(|(_, holder)| *holder == version).map(|(stage, _)| stage);
        held.or_else(|| self.archived.contains(version).then_some(Stage::Archived))
    }

    /// Gives a stage to a version, which then has no other; the one that had it is archived.
    pub(super) fn enter(&mut self, stage: Stage, version: &str) {
        for held in [&mut self.staging, &mut self.production] {
            held.take_if(|held| held == version);
        }
        self.archived.remove(version);
        let version = Some(version.to_owned());
        let former = match stage {
            Stage::Staging => std::mem::replace(&mut self.staging, version),
            Stage::Production => std::mem::replace(&mut self.production, version),
            Stage::Archived => version,
        };
        self.archived.extend(former);
    }
}

impl Shelf {
    /// The folder of a model below that of the registry.
    pub(super) fn of(registry: &Path, model: &str) -> Self {
        Self(registry.join(model))
    }

    pub(super) fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The folder of a version.
    pub(super) fn version(&self, version: &str) -> PathBuf {
        self.shelved().join(version)
    }

    /// The versions, oldest first.
    pub(super) fn versions(&self) -> io::Result<Vec<Stored>> {
        let numbers = self.numbers()?.into_iter();
        numbers.map(|number| known(&self.version(&number.to_string()).join(VERSION))).collect()
    }

    /// Which version is in which stage; none of a model that never had any.
    pub(super) fn stages(&self) -> io::Result<Stages> {
        match folder::read::<Stages>(&self.stages_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stages::default()),
            read => read.and_then(|stages| of_form(stages.v, stages)),
        }
    }

    pub(super) fn store_stages(&self, stages: &Stages) -> io::Result<()> {
        folder::replace(&self.stages_file(), stages)
    }

    /// Makes the next version of what a run made. It is there, and durable, or it is not.
    pub(super) fn add(
        &self,
        (key, run, created): (RunKey, RunKey, Timestamp),
        made: &Folder,
    ) -> Result<Stored, Refusal> {
        let files = measured(made)?;
        self.make()?;
        let number = self.numbers()?.last().copied().unwrap_or_default() + 1;
        let version = number.to_string();
        let metrics = metrics(&made.artifacts());
        let stored = Stored { v: FORM, version, key, run, created, metrics };
        let draft = self.shelved().join(format!("{DRAFT}{number}"));
        folder::remove(&draft)?;
        fs::create_dir(&draft)?;
        copy(&made.artifacts(), &draft.join(ARTIFACTS), &files)?;
        folder::write(&draft.join(VERSION), &stored)?;
        folder::sync(&draft)?;
        fs::rename(&draft, self.version(&stored.version))?;
        folder::sync(&self.shelved())?;
        Ok(stored)
    }

    /// The numbers of the versions, in their order.
    fn numbers(&self) -> io::Result<BTreeSet<u64>> {
        let entries = match fs::read_dir(self.shelved()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().parse().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// Makes the folders, durably.
    fn make(&self) -> io::Result<()> {
        let registry = self.0.parent().unwrap_or(&self.0);
        for folder in [registry, &self.0, &self.shelved()] {
            fs::create_dir_all(folder)?;
            folder.parent().map_or(Ok(()), folder::sync)?;
        }
        Ok(())
    }

    fn shelved(&self) -> PathBuf {
        self.0.join("versions")
    }

    fn stages_file(&self) -> PathBuf {
        self.0.join("stages.json")
    }
}

fn known(path: &Path) -> io::Result<Stored> {
    let stored: Stored = folder::read(path)?;
    of_form(stored.v, stored)
}

fn of_form<T>(form: u32, value: T) -> io::Result<T> {
    let unknown = || io::Error::other(format!("stored by a later version: v=`{form}`"));
    (form == FORM).then_some(value).ok_or_else(unknown)
}

/// The files that a run made, unless they are too many or too large.
fn measured(made: &Folder) -> Result<Vec<String>, Refusal> {
    let files = made.list_artifacts();
    let lengths = files.iter().map(|file| Ok(fs::metadata(made.artifacts().join(file))?.len()));
    let bytes = lengths.sum::<io::Result<u64>>()?;
    if files.len() >= ARTIFACTS_MAX {
        let message = format!("the run made too many files: most=`{}`", ARTIFACTS_MAX - 1);
        return Err(Refusal::Broken(message));
    }
    if bytes > BYTES_MAX {
        let message = format!("the run made too much: bytes=`{bytes}` most=`{BYTES_MAX}`");
        return Err(Refusal::Broken(message));
    }
    Ok(files)
}

/// Copies files, durably.
fn copy(from: &Path, to: &Path, files: &[String]) -> io::Result<()> {
    let mut folders = BTreeSet::from([to.to_owned()]);
    fs::create_dir(to)?;
    for file in files {
        let target = to.join(file);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
            folders.extend(folder.ancestors().take_while(|it| *it != to).map(Path::to_owned));
        }
        fs::copy(from.join(file), &target)?;
        File::open(&target)?.sync_all()?;
    }
    folders.iter().try_for_each(|folder| folder::sync(folder))
}

/// The numbers in `metrics.json`; none where it cannot be read.
fn metrics(artifacts: &Path) -> BTreeMap<String, Number> {
    let mut text = Vec::new();
    let read = File::open(artifacts.join("metrics.json"))
        .and_then(|file| file.take(METRICS_BYTES_MAX).read_to_end(&mut text));
    let values: Map<String, Value> =
        read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let numbers = values.into_iter().filter_map(|(name, value)| match value {
        Value::Number(number) => Some((name, number)),
        _ => None,
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(staging: Option<&str>, production: Option<&str>, archived: &[&str]) -> Stages {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let archived = archived.iter().map(|&version| version.to_owned()).collect();
        Stages { v: FORM, staging: owned(staging), production: owned(production), archived }
    }

    #[test]
    fn a_version_has_one_stage_and_a_stage_one_version() {
        let check = |before: Stages, (stage, version): (Stage, &str), expected: &Stages| {
            let mut after = before.clone();
            after.enter(stage, version);
            assert_eq!(after, *expected, "{before:?}");
            after.enter(stage, version);
            assert_eq!(after, *expected, "the second time changes nothing: {before:?}");
        };
        let none = Stages::default();
        check(none, (Stage::Staging, "1"), &stages(Some("1"), None, &[]));
        let one = stages(Some("1"), None, &[]);
        check(one.clone(), (Stage::Staging, "2"), &stages(Some("2"), None, &["1"]));
        check(one, (Stage::Production, "1"), &stages(None, Some("1"), &[]));
        let both = stages(Some("3"), Some("2"), &["1"]);
        check(both.clone(), (Stage::Production, "3"), &stages(None, Some("3"), &["1", "2"]));
        check(both.clone(), (Stage::Production, "1"), &stages(Some("3"), Some("1"), &["2"]));
        check(both, (Stage::Staging, "2"), &stages(Some("2"), None, &["1", "3"]));
    }
}
