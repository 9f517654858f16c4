//! A logistic regression over standardised measurements.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::data::{COLUMNS, FEATURES, Row};

/// Passes over all rows.
const ITERATIONS: usize = 1000;

/// A trained model: all it takes to score a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The version of this form.
    pub v: u32,
    /// How each measurement counts, in the order of [`COLUMNS`].
    pub features: Vec<Feature>,
    /// What is added to their sum.
    pub intercept: f64,
    /// The step width it was trained with.
    pub learning_rate: f64,
    /// The rows it was trained on.
    pub rows: usize,
}

/// How one measurement counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its column.
    pub name: String,
    /// Its mean over the rows trained on.
    pub mean: f64,
    /// Its standard deviation over them.
    pub deviation: f64,
    /// Its weight, once standardised.
    pub coefficient: f64,
}

impl Model {
    /// Fits a model by gradient descent over all rows; `each` is told the share done, now and then.
    ///
    /// # Errors
    /// The learning rate is of no use, or `each` failed.
    pub fn train(
        rows: &[Row],
        learning_rate: f64,
        mut each: impl FnMut(f64) -> Result<()>,
    ) -> Result<Self> {
        ensure!(
            learning_rate > 0.0 && learning_rate <= 10.0,
            "the learning rate is not between 0 and 10: learning_rate=`{learning_rate}`"
        );
        let features = (0..FEATURES).map(|at| Feature::of(at, rows)).collect();
        let mut model = Self { v: 1, features, intercept: 0.0, learning_rate, rows: rows.len() };
        let inputs: Vec<Vec<f64>> = rows.iter().map(|row| model.standardise(row)).collect();
        for iteration in 1..=ITERATIONS {
            model.descend(&inputs, rows);
            if iteration % (ITERATIONS / 10) == 0 {
                each(iteration as f64 / ITERATIONS as f64)?;
            }
        }
        Ok(model)
    }

    /// Reads a model as it is stored.
    ///
    /// # Errors
    /// It is of another form, of other measurements, or scores nothing.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let model: Self = serde_json::from_slice(text).context("not a model")?;
        ensure!(model.v == 1, "a model of another form: v=`{}`", model.v);
        let names = model.features.iter().map(|feature| feature.name.as_str());
        ensure!(names.eq(COLUMNS[..FEATURES].iter().copied()), "a model of other measurements");
        let is_sound = |feature: &Feature| feature.deviation > 0.0;
        ensure!(
            model.features.iter().all(is_sound),
            "a model with a measurement that never varies"
        );
        Ok(model)
    }

    /// How likely a tumour with these measurements is malignant, from 0 to 1.
    #[must_use]
    pub fn probability(&self, row: &Row) -> f64 {
        self.score(&self.standardise(row))
    }

    /// One step down the gradient of the log loss.
    fn descend(&mut self, inputs: &[Vec<f64>], rows: &[Row]) {
        let mut slopes = vec![0.0; FEATURES];
        let mut shift = 0.0;
        for (input, row) in inputs.iter().zip(rows) {
            let error = self.score(input) - f64::from(u8::from(row.malignant));
            shift += error;
            for (slope, value) in slopes.iter_mut().zip(input) {
                *slope += error * value;
            }
        }
        let width = self.learning_rate / rows.len() as f64;
        self.intercept -= width * shift;
        for (feature, slope) in self.features.iter_mut().zip(slopes) {
            feature.coefficient -= width * slope;
        }
    }

    fn standardise(&self, row: &Row) -> Vec<f64> {
        let pairs = self.features.iter().zip(row.features);
        pairs.map(|(feature, value)| (value - feature.mean) / feature.deviation).collect()
    }

    fn score(&self, input: &[f64]) -> f64 {
        let pairs = self.features.iter().zip(input);
        let sum: f64 = pairs.map(|(feature, value)| feature.coefficient * value).sum();
        1.0 / (1.0 + (-sum - self.intercept).exp())
    }
}

impl Feature {
    fn of(at: usize, rows: &[Row]) -> Self {
        let values = || rows.iter().map(|row| row.features[at]);
        let count = rows.len() as f64;
        let mean = values().sum::<f64>() / count;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        Self { name: COLUMNS[at].to_owned(), mean, deviation, coefficient: 0.0 }
    }
}
