//! How good the predictions are.

use std::fmt;

use serde::{Deserialize, Serialize};
use smartcore::metrics::roc_auc_score;

use crate::predict::Prediction;

/// Hits and misses, and what follows from them; malignant is what is looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows judged.
    pub rows: usize,
    /// Malignant, and called so.
    pub true_positives: usize,
    /// Malignant, but called benign.
    pub false_negatives: usize,
    /// Benign, but called malignant.
    pub false_positives: usize,
    /// Benign, and called so.
    pub true_negatives: usize,
    /// The share of rows called rightly.
    pub accuracy: f64,
    /// The share of malignant rows called so.
    pub recall: f64,
    /// The share of rows called malignant that are.
    pub precision: f64,
    /// How often a malignant row is scored above a benign one.
    pub roc_auc: f64,
}

impl Metrics {
    pub(crate) fn of(predictions: &[Prediction]) -> Self {
        let count = |malignant, positive| {
            let same = |p: &&Prediction| p.malignant == malignant && p.positive() == positive;
            predictions.iter().filter(same).count()
        };
        let (hits, misses) = (count(true, true), count(true, false));
        let (alarms, rest) = (count(false, true), count(false, false));
        Self {
            rows: predictions.len(),
            true_positives: hits,
            false_negatives: misses,
            false_positives: alarms,
            true_negatives: rest,
            accuracy: share(hits + rest, predictions.len()),
            recall: share(hits, hits + misses),
            precision: share(hits, hits + alarms),
            roc_auc: roc_auc(predictions),
        }
    }

    /// The matrix: for benign and malignant rows, how many were called benign and malignant.
    pub(crate) fn matrix(&self) -> [[usize; 2]; 2] {
        [[self.true_negatives, self.false_positives], [self.false_negatives, self.true_positives]]
    }

    /// The metrics by name, as they are shown.
    pub(crate) fn named(&self) -> [(&'static str, f64); 4] {
        [
            ("accuracy", self.accuracy),
            ("recall", self.recall),
            ("precision", self.precision),
            ("ROC AUC", self.roc_auc),
        ]
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "                    predicted")?;
        writeln!(f, "                    benign  malignant")?;
        let [benign, malignant] = self.matrix();
        writeln!(f, "actual  benign      {:>6}  {:>9}", benign[0], benign[1])?;
        writeln!(f, "        malignant   {:>6}  {:>9}", malignant[0], malignant[1])?;
        self.named().iter().try_for_each(|(name, value)| write!(f, "\n{name:<10} {value:.4}"))
    }
}

/// The share of `part` in `whole`; nothing of nothing counts as nothing.
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The area under the ROC curve; nothing where only one diagnosis is to be judged.
fn roc_auc(predictions: &[Prediction]) -> f64 {
    let truths: Vec<f64> = predictions.iter().map(|p| f64::from(u8::from(p.malignant))).collect();
    let scores: Vec<f64> = predictions.iter().map(|p| p.probability).collect();
    let has_both = truths.contains(&0.0) && truths.contains(&1.0);
    if has_both { roc_auc_score(&truths, &scores) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(predictions: &[(bool, f64)], expected: [f64; 4]) {
        let said = predictions
            .iter()
            .map(|(malignant, probability)| Prediction {
                malignant: *malignant,
                probability: *probability,
            })
            .collect::<Vec<_>>();
        let metrics = Metrics::of(&said);
        let found = metrics.named().map(|(_, value)| (value * 1000.0).round() / 1000.0);
        assert_eq!(found, expected, "{predictions:?}");
        assert_eq!(metrics.matrix().as_flattened().iter().sum::<usize>(), said.len());
    }

    #[test]
    fn metrics_are_those_of_the_textbook() {
        check(&[(false, 0.1), (true, 0.9)], [1.0, 1.0, 1.0, 1.0]);
        check(&[(false, 0.9), (true, 0.1)], [0.0, 0.0, 0.0, 0.0]);
        check(&[(false, 0.1), (false, 0.4), (true, 0.35), (true, 0.8)], [0.75, 0.5, 1.0, 0.75]);
        check(&[(true, 0.5), (true, 0.9), (false, 0.5)], [0.667, 1.0, 0.667, 0.75]);
    }

    #[test]
    fn nothing_to_judge_is_nothing_and_not_a_division_by_zero() {
        check(&[], [0.0; 4]);
        check(&[(true, 0.2)], [0.0; 4]);
    }
}
