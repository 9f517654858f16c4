//! Rows of cell measurements, as they lie in the files.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use csv::{Reader, StringRecord, Writer};

use crate::{cannot_read, cannot_write};

/// How many measurements a row has.
pub const FEATURES: usize = 30;

/// The columns of a file: ten measurements of the cell nuclei, each as mean, standard error and mean of the three
/// largest, and the diagnosis.
pub const COLUMNS: [&str; FEATURES + 1] = [
    "radius_mean",
    "texture_mean",
    "perimeter_mean",
    "area_mean",
    "smoothness_mean",
    "compactness_mean",
    "concavity_mean",
    "concave_points_mean",
    "symmetry_mean",
    "fractal_dimension_mean",
    "radius_se",
    "texture_se",
    "perimeter_se",
    "area_se",
    "smoothness_se",
    "compactness_se",
    "concavity_se",
    "concave_points_se",
    "symmetry_se",
    "fractal_dimension_se",
    "radius_worst",
    "texture_worst",
    "perimeter_worst",
    "area_worst",
    "smoothness_worst",
    "compactness_worst",
    "concavity_worst",
    "concave_points_worst",
    "symmetry_worst",
    "fractal_dimension_worst",
    "diagnosis",
];

/// One tumour.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its measurements, in the order of [`COLUMNS`].
    pub features: [f64; FEATURES],
    /// Whether it was malignant.
    pub malignant: bool,
}

/// The word for a diagnosis.
#[must_use]
pub fn diagnosis(malignant: bool) -> &'static str {
    if malignant { "malignant" } else { "benign" }
}

/// Reads a diagnosis.
///
/// # Errors
/// It is neither `malignant` nor `benign`.
pub fn read_diagnosis(text: &str) -> Result<bool> {
    match text {
        "malignant" => Ok(true),
        "benign" => Ok(false),
        _ => bail!("the diagnosis is neither `malignant` nor `benign`: value=`{text}`"),
    }
}

/// Reads a file of rows.
///
/// # Errors
/// Says which line is wrong, and how.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let mut reader = Reader::from_path(path).with_context(|| cannot_read(path))?;
    let header = reader.headers().with_context(|| cannot_read(path))?;
    let strange = COLUMNS.iter().enumerate().find(|(at, name)| header.get(*at) != Some(**name));
    if let Some((at, name)) = strange {
        bail!("{}: column {} is not `{name}`", path.display(), at + 1);
    }
    ensure!(header.len() == COLUMNS.len(), "{}: more columns than known", path.display());
    let records = reader.records().enumerate();
    let place = |at: usize| format!("{} line {}", path.display(), at + 2);
    records.map(|(at, record)| row(&record?).with_context(|| place(at))).collect()
}

/// Writes a file of rows.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, rows: &[&Row]) -> Result<()> {
    let mut writer = Writer::from_path(path).with_context(|| cannot_write(path))?;
    writer.write_record(COLUMNS)?;
    for row in rows {
        let fields = row.features.iter().map(ToString::to_string);
        writer.write_record(fields.chain([diagnosis(row.malignant).to_owned()]))?;
    }
    writer.flush().with_context(|| cannot_write(path))
}

fn row(record: &StringRecord) -> Result<Row> {
    let mut features = [0.0; FEATURES];
    for ((feature, text), name) in features.iter_mut().zip(record).zip(COLUMNS) {
        let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        *feature = value.with_context(|| format!("{name} is not a number: value=`{text}`"))?;
    }
    let malignant = read_diagnosis(record.get(FEATURES).unwrap_or_default().trim())?;
    Ok(Row { features, malignant })
}
