//! Scores the rows held back.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use csv::{Reader, Writer};

use crate::data::{diagnosis, read_diagnosis};
use crate::model::Model;
use crate::{Job, cannot_read, cannot_write, data};

/// What is said of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prediction {
    /// Whether it was malignant.
    pub(crate) malignant: bool,
    /// How likely the model takes it to be.
    pub(crate) probability: f64,
}

impl Prediction {
    /// Whether the model calls it malignant.
    pub(crate) fn positive(&self) -> bool {
        self.probability >= 0.5
    }
}

pub(crate) fn run(job: &Job, out: &mut dyn Write) -> Result<()> {
    let path = job.artifact("model.json");
    let model = Model::parse(&fs::read(&path).with_context(|| cannot_read(&path))?)
        .with_context(|| cannot_read(&path))?;
    let rows = data::read(&job.artifact("test.csv"))?;
    let path = job.artifact("predictions.csv");
    let mut writer = Writer::from_path(&path).with_context(|| cannot_write(&path))?;
    writer.write_record(["diagnosis", "predicted", "probability"])?;
    for row in &rows {
        let probability = model.probability(row);
        let said = Prediction { malignant: row.malignant, probability };
        let words = [diagnosis(said.malignant), diagnosis(said.positive())];
        writer.write_record([words[0], words[1], &probability.to_string()])?;
    }
    writer.flush().with_context(|| cannot_write(&path))?;
    Ok(writeln!(out, "{} rows scored", rows.len())?)
}

/// Reads what [`run`] wrote.
pub(crate) fn read(path: &Path) -> Result<Vec<Prediction>> {
    let mut reader = Reader::from_path(path).with_context(|| cannot_read(path))?;
    let records = reader.deserialize::<(String, String, f64)>();
    let predictions = records.map(|record| {
        let (word, _, probability) = record.with_context(|| cannot_read(path))?;
        Ok(Prediction { malignant: read_diagnosis(&word)?, probability })
    });
    predictions.collect()
}
