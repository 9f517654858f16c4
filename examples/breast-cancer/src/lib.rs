#![doc = include_str!("../README.md")]

pub mod data;
pub mod metrics;
pub mod model;
pub mod sample;

mod evaluate;
mod picture;
mod predict;
mod preprocess;
mod train;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One step of one run, and where it finds things. The local pipeline service sets the environment.
#[derive(Debug, clap::Args)]
pub struct Job {
    /// The step to run.
    pub step: Step,
    /// The folder of the run; what the steps make lies in `artifacts` below it.
    #[arg(long, env = "REFIT_RUN_DIR")]
    pub run_dir: PathBuf,
    /// The JSON file with the parameters of the run.
    #[arg(long, env = "REFIT_PARAMETERS")]
    pub parameters: PathBuf,
    /// The folder that holds one folder per bucket.
    #[arg(long, env = "REFIT_BUCKETS")]
    pub buckets: PathBuf,
}

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Step {
    /// Read the files of the batch, check every row, and hold a quarter of the rows back.
    Preprocess,
    /// Fit the model to the other three quarters.
    Train,
    /// Score the rows held back.
    Predict,
    /// Count hits and misses: the confusion matrix and the metrics.
    Evaluate,
}

impl Job {
    /// Runs the step; what it has to say goes to `out`.
    ///
    /// # Errors
    /// Says what cannot be read, and where.
    pub fn run(&self, out: &mut dyn Write) -> Result<()> {
        fs::create_dir_all(self.artifact("")).context("cannot make the artifacts folder")?;
        match self.step {
            Step::Preprocess => preprocess::run(self, out),
            Step::Train => train::run(self, out),
            Step::Predict => predict::run(self, out),
            Step::Evaluate => evaluate::run(self, out),
        }
    }

    fn parameters<T: DeserializeOwned>(&self) -> Result<T> {
        read_json(&self.parameters)
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.run_dir.join("artifacts").join(name)
    }
}

/// Tells the service how far the step is, from 0 to 1.
fn progress(out: &mut dyn Write, share: f64, message: &str) -> Result<()> {
    writeln!(out, "::progress {share:.2} {message}")?;
    Ok(out.flush()?)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| cannot_read(path))?;
    serde_json::from_slice(&text).with_context(|| cannot_read(path))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut file = File::create(path).with_context(|| cannot_write(path))?;
    serde_json::to_writer_pretty(&mut file, value).with_context(|| cannot_write(path))?;
    writeln!(file).with_context(|| cannot_write(path))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
