//! Counts hits and misses, and shows them.

use std::fs;
use std::io::Write;

use anyhow::{Context as _, Result};

use crate::metrics::Metrics;
use crate::{Job, cannot_write, picture, predict, progress, write_json};

pub(crate) fn run(job: &Job, out: &mut dyn Write) -> Result<()> {
    let metrics = Metrics::of(&predict::read(&job.artifact("predictions.csv"))?);
    writeln!(out, "{metrics}")?;
    write_json(&job.artifact("metrics.json"), &metrics)?;
    let path = job.artifact("confusion-matrix.svg");
    fs::write(&path, picture::draw(&metrics)).with_context(|| cannot_write(&path))?;
    let said = format!("accuracy {:.3}, ROC AUC {:.3}", metrics.accuracy, metrics.roc_auc);
    progress(out, 1.0, &said)
}
