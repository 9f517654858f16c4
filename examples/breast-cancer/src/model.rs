//! A logistic regression over standardised measurements.

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::arrays::Array as _;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use crate::data::{COLUMNS, FEATURES, Row};

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
    /// How strongly large coefficients were held back.
    pub alpha: f64,
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
    /// Fits a model; `alpha` says how strongly large coefficients are held back.
    ///
    /// # Errors
    /// `alpha` is of no use, or the rows are.
    pub fn train(rows: &[Row], alpha: f64) -> Result<Self> {
        ensure!(
            (0.0..=1000.0).contains(&alpha),
            "the regularisation is not between 0 and 1000: alpha=`{alpha}`"
        );
        let features = (0..FEATURES).map(|at| Feature::of(at, rows)).collect();
        let mut model = Self { v: 1, features, intercept: 0.0, alpha, rows: rows.len() };
        let inputs: Vec<Vec<f64>> = rows.iter().map(|row| model.standardise(row)).collect();
        let inputs = DenseMatrix::from_2d_vec(&inputs).map_err(|why| anyhow!("{why}"))?;
        let classes: Vec<u8> = rows.iter().map(|row| u8::from(row.malignant)).collect();
        let parameters = LogisticRegressionParameters::default().with_alpha(alpha);
        let fitted = LogisticRegression::fit(&inputs, &classes, parameters)
            .map_err(|why| anyhow!("no model fits: {why}"))?;
        model.intercept = *fitted.intercept().get((0, 0));
        for (feature, coefficient) in
            model.features.iter_mut().zip(fitted.coefficients().iterator(0))
        {
            feature.coefficient = *coefficient;
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
        let input = self.standardise(row);
        let pairs = self.features.iter().zip(input);
        let sum: f64 = pairs.map(|(feature, value)| feature.coefficient * value).sum();
        1.0 / (1.0 + (-sum - self.intercept).exp())
    }

    fn standardise(&self, row: &Row) -> Vec<f64> {
        let pairs = self.features.iter().zip(row.features);
        pairs.map(|(feature, value)| (value - feature.mean) / feature.deviation).collect()
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
