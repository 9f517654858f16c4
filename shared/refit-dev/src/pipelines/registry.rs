//! The model registry of the local pipeline service: what runs have made, by model, version and stage.
//!
//! A version is a copy of what a succeeded run made, registered under a key: the same key is the same version, however
//! often it is asked for. At most one version of a model is in Staging and one in Production; one that loses its stage
//! is archived. All of it is files, and nothing of it is remembered elsewhere:
//!
//! ```text
//! registry/churn/versions/3/version.json   what version 3 is, which never changes
//! registry/churn/versions/3/artifacts/     what its run made
//! registry/churn/stages.json               which version is in which stage
//! ```

mod api;
mod shelf;

use std::collections::BTreeMap;
use std::path::PathBuf;

use refit_core::key::RunKey;
use refit_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use url::Url;

pub(super) use api::routes;

use super::run::State;
use super::{Entry, Pipelines, Refusal, disk};
use shelf::{Shelf, Stages, Stored};

const MODEL_CHARS_MAX: usize = 63;

/// A model, as the registry shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Model {
    model: String,
    /// Oldest first.
    versions: Vec<Version>,
    stages: BTreeMap<Stage, String>,
}

/// A version of a model, as the registry shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Version {
    version: String,
    key: RunKey,
    run: RunKey,
    created: Timestamp,
    stage: Option<Stage>,
    metrics: BTreeMap<String, Number>,
    uri: String,
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Staging,
    Production,
    /// It was in one of the others.
    Archived,
}

/// The version of a model that is in Production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its number, as the registry writes it.
    pub version: String,
    /// Its folder: `version.json`, and what its run made in `artifacts`.
    pub folder: PathBuf,
}

/// What a version is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object that asks for a version")]
struct Registration {
    key: String,
    run: String,
}

/// What a stage is given.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object that names a version")]
struct Placement {
    version: String,
}

impl Stage {
    /// A stage that a version can be given.
    fn given(word: &str) -> Option<Self> {
        match word {
            "staging" => Some(Self::Staging),
            "production" => Some(Self::Production),
            _ => None,
        }
    }
}

impl Pipelines {
    /// The version of a model that is in Production, if there is one.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn current(&self, model: &str) -> std::io::Result<Option<Current>> {
        let Ok(shelf) = self.shelf(model) else { return Ok(None) };
        let version = shelf.stages()?.holder(Stage::Production).cloned();
        Ok(version.map(|version| Current { folder: shelf.version(&version), version }))
    }

    /// A model; one that nothing was ever registered of has no versions.
    async fn model(&self, name: &str) -> Result<Model, Refusal> {
        let shelf = self.shelf(name)?;
        let _shelving = self.shelving.lock().await;
        disk(move || shelf.model()).await?
    }

    /// Registers what a run made as a version of a model, or finds the version that was registered under the key.
    async fn register(&self, model: &str, asked: &Registration) -> Result<Version, Refusal> {
        let shelf = self.shelf(model)?;
        let key: RunKey = asked.key.parse().map_err(Refusal::Invalid)?;
        let _shelving = self.shelving.lock().await;
        self.check_open()?;
        let entry = self.named(&asked.run)?;
        let created = self.config.clock.now();
        disk(move || shelf.register(key, &entry, created)).await?
    }

    /// Gives a stage to a version, and takes it from the one that had it.
    async fn place(&self, model: &str, stage: &str, asked: &Placement) -> Result<Model, Refusal> {
        let shelf = self.shelf(model)?;
        let unknown = || Refusal::Unknown(format!("no such stage: stage=`{stage}`"));
        let stage = Stage::given(stage).ok_or_else(unknown)?;
        let version = asked.version.clone();
        let _shelving = self.shelving.lock().await;
        self.check_open()?;
        let model = disk(move || shelf.place(stage, &version)).await??;
        self.changed();
        Ok(model)
    }

    fn shelf(&self, model: &str) -> Result<Shelf, Refusal> {
        let refused = || {
            let message = "the name of a model is 1 to 63 of a-z, 0-9, `.`, `_` and `-`, the first a letter or digit";
            Refusal::Invalid(format!("{message}: model=`{model}`"))
        };
        let name = is_model(model).then_some(model).ok_or_else(refused)?;
        Ok(Shelf::of(&self.config.root.join(REGISTRY), name))
    }
}

impl Shelf {
    fn model(&self) -> Result<Model, Refusal> {
        let stages = self.stages()?;
        let versions = self.versions()?.into_iter().map(|stored| self.shown(stored, &stages));
        Ok(Model {
            model: self.name(),
            versions: versions.collect(),
            stages: stages.holders().map(|(stage, version)| (stage, version.clone())).collect(),
        })
    }

    fn register(&self, key: RunKey, entry: &Entry, created: Timestamp) -> Result<Version, Refusal> {
        let run = entry.run();
        let found = self.versions()?.into_iter().find(|stored| stored.key == key);
        let stored = match found {
            Some(stored) if stored.run == run.id => stored,
            Some(stored) => {
                let message = format!("the key is that of another run: run=`{}`", stored.run);
                return Err(Refusal::Conflict(message));
            }
            None if run.state != State::Succeeded => {
                let message = format!("the run has not succeeded: run=`{}`", run.id);
                return Err(Refusal::Conflict(message));
            }
            None => self.add((key, run.id, created), &entry.folder)?,
        };
        Ok(self.shown(stored, &self.stages()?))
    }

    fn place(&self, stage: Stage, version: &str) -> Result<Model, Refusal> {
        if !self.versions()?.iter().any(|stored| stored.version == version) {
            return Err(Refusal::Unknown(format!("no such version: version=`{version}`")));
        }
        let before = self.stages()?;
        let mut after = before.clone();
        after.enter(stage, version);
        if after != before {
            self.store_stages(&after)?;
        }
        self.model()
    }

    fn shown(&self, stored: Stored, stages: &Stages) -> Version {
        let stage = stages.of(&stored.version);
        let folder = self.version(&stored.version);
        let uri = Url::from_file_path(folder).map(String::from).unwrap_or_default();
        let Stored { version, key, run, created, metrics, .. } = stored;
        Version { version, key, run, created, stage, metrics, uri }
    }
}

/// A letter or digit, then letters, digits, `.`, `_` and `-`; no capitals. Such a name is a folder's, and no path.
pub(super) fn is_model(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_plain)
        && text.len() <= MODEL_CHARS_MAX
        && text.chars().all(|c| is_plain(c) || "._-".contains(c))
}

const REGISTRY: &str = "registry";
