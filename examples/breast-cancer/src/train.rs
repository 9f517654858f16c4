//! Fits the model.

use std::io::Write;

use anyhow::Result;
use serde::Deserialize;

use crate::model::Model;
use crate::{Job, data, progress, write_json};

/// Measurements named in the log.
const NAMED: usize = 5;

#[derive(Deserialize)]
struct Parameters {
    alpha: f64,
}

pub(crate) fn run(job: &Job, out: &mut dyn Write) -> Result<()> {
    let Parameters { alpha } = job.parameters()?;
    let rows = data::read(&job.artifact("train.csv"))?;
    writeln!(out, "fitting {} rows with a regularisation of {alpha}", rows.len())?;
    let model = Model::train(&rows, alpha)?;
    progress(out, 1.0, "fitted")?;
    let mut features: Vec<_> = model.features.iter().collect();
    features.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
    writeln!(out, "what counts most:")?;
    for feature in features.iter().take(NAMED) {
        writeln!(out, "{:>8.3}  {}", feature.coefficient, feature.name)?;
    }
    write_json(&job.artifact("model.json"), &model)
}
