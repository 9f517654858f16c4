//! The measurements of one tumour, as a caller sends them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::data::{COLUMNS, FEATURES};

/// No cell of the data set comes near it.
const VALUE_MAX: f64 = 1_000_000.0;
/// Measurements of no known name that are told of.
const STRANGE_MAX: usize = 10;

/// What is wrong with what was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mistakes {
    /// Why it is no object of measurements at all.
    whole: Option<String>,
    /// What is wrong with which measurement.
    pub(super) fields: BTreeMap<String, &'static str>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(whole) = &self.whole {
            return f.write_str(whole);
        }
        let said: Vec<_> =
            self.fields.iter().map(|(name, why)| format!("`{name}` {why}")).collect();
        f.write_str(&said.join(", "))
    }
}

/// Reads a JSON object of all measurements, or says everything that is wrong with it.
pub(super) fn read(body: &[u8]) -> Result<[f64; FEATURES], Mistakes> {
    let given: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        let whole = format!("not a JSON object of {FEATURES} measurements: {error}");
        Mistakes { whole: Some(whole), ..Mistakes::default() }
    })?;
    let names = &COLUMNS[..FEATURES];
    let mut mistakes = Mistakes::default();
    let mut measurements = [0.0; FEATURES];
    for (measurement, name) in measurements.iter_mut().zip(names) {
        match value(given.get(*name)) {
            Ok(value) => *measurement = value,
            Err(why) => drop(mistakes.fields.insert((*name).to_owned(), why)),
        }
    }
    let strange =
        given.into_iter().map(|(name, _)| name).filter(|it| !names.contains(&it.as_str()));
    mistakes.fields.extend(strange.take(STRANGE_MAX).map(|name| (name, "is not a measurement")));
    if mistakes.fields.is_empty() { Ok(measurements) } else { Err(mistakes) }
}

fn value(given: Option<&Value>) -> Result<f64, &'static str> {
    let given = given.ok_or("is missing")?;
    match given.as_f64().ok_or("is not a number")? {
        value if value < 0.0 => Err("is negative"),
        value if value > VALUE_MAX => Err("is too large"),
        value => Ok(value),
    }
}
