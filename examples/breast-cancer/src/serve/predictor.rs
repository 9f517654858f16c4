//! A model that is served, and which one it is.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::cannot_read;
use crate::data::{FEATURES, Row, diagnosis};
use crate::model::Model;

/// From here on a tumour is called malignant, as the predictions of the pipeline are.
const THRESHOLD: f64 = 0.5;

/// A model, and which one it is.
#[derive(Clone, Debug)]
pub(super) struct Predictor {
    pub(super) model: Model,
    about: About,
}

/// Which model it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct About {
    /// Its version in the registry, if it came from there.
    version: Option<String>,
    /// When it was registered.
    created: Option<String>,
    /// The run that made it.
    run: Option<String>,
    /// What was measured of it.
    metrics: Map<String, Value>,
    /// The rows it was trained on.
    rows: usize,
    /// The digest of its file.
    sha256: String,
}

/// What the registry says of a version, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Registered {
    version: Option<String>,
    created: Option<String>,
    run: Option<String>,
    #[serde(default)]
    metrics: Map<String, Value>,
}

/// What is said of one tumour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Said {
    prediction: &'static str,
    /// How likely it is malignant, from 0 to 1.
    probability: f64,
    version: Option<String>,
    sha256: String,
}

impl Predictor {
    /// Reads the model in a folder, or in `artifacts` below it.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let places = [folder.join("artifacts/model.json"), folder.join("model.json")];
        let path = places.iter().find(|path| path.exists());
        let path = path.with_context(|| format!("there is no model in {}", folder.display()))?;
        let text = fs::read(path).with_context(|| cannot_read(path))?;
        let model = Model::parse(&text).with_context(|| cannot_read(path))?;
        let Registered { version, created, run, metrics } = registered(folder)?;
        let digest = Sha256::digest(&text);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let about = About { version, created, run, metrics, rows: model.rows, sha256 };
        Ok(Self { model, about })
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn predict(&self, features: [f64; FEATURES]) -> Said {
        let probability = self.model.probability(&Row { features, malignant: false });
        let About { version, sha256, .. } = self.about.clone();
        Said { prediction: diagnosis(probability >= THRESHOLD), probability, version, sha256 }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "model version {version}"),
            None => write!(f, "model {}, which is not registered", &self.sha256[..12]),
        }
    }
}

/// What the registry says of the version in a folder; nothing of a folder that is none of its.
fn registered(folder: &Path) -> Result<Registered> {
    let path = folder.join("version.json");
    if !path.exists() {
        return Ok(Registered::default());
    }
    crate::read_json(&path)
}
