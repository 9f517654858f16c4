#![doc = include_str!("../README.md")]

pub mod data;
pub mod metrics;
pub mod model;
pub mod sample;
pub mod serve;

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

use serve::Serve;

/// What the program can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Read the files of the batch, check every row, and hold a quarter of the rows back
    Preprocess(Places),
    /// Fit the model to the other three quarters
    Train(Places),
    /// Score the rows held back
    Predict(Places),
    /// Count hits and misses: the confusion matrix and the metrics
    Evaluate(Places),
    /// Predict over HTTP, until told to end
    Serve(Serve),
}

/// One step of one run.
#[derive(Debug)]
pub struct Job {
    /// The step to run.
    pub step: Step,
    /// Where it finds things.
    pub places: Places,
}

/// Where a step finds things. The local pipeline service sets the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct Places {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Command {
    /// Does it; what it has to say goes to `out`.
    ///
    /// # Errors
    /// Those of [`Job::run`] and of [`Serve::open`].
    pub async fn run(self, out: &mut (dyn Write + Send)) -> Result<()> {
        let (step, places) = match self {
            Self::Preprocess(places) => (Step::Preprocess, places),
            Self::Train(places) => (Step::Train, places),
            Self::Predict(places) => (Step::Predict, places),
            Self::Evaluate(places) => (Step::Evaluate, places),
            Self::Serve(serve) => {
                let service = serve.open().await?;
                writeln!(out, "{}", service.greeting)?;
                out.flush()?;
                return service.run().await;
            }
        };
        Job { step, places }.run(out)
    }
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
        read_json(&self.places.parameters)
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.places.run_dir.join("artifacts").join(name)
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
