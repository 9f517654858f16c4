//! `refit inspect`: what a delivery means, without recording it.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::template::text;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_wire::normal_form::normal_form;
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::understand;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Print what a delivery means, in the normal form of events, and record nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "The result is JSON in any case. A delivery that is rejected exits with 3.

Examples:
  refit inspect events/gcs/eventarc-finalized.http
  refit inspect --headers headers.json body.json")]
pub(crate) struct Args {
    /// A sample, or with --headers the body alone
    file: PathBuf,
    /// The headers, as a JSON object
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let sample = match args.headers {
        None => sample(&args.file)?,
        Some(headers) => {
            let body = read(&args.file)?;
            Sample { path: "/".to_owned(), headers: self::headers(&headers)?, body }
        }
    };
    let understood = understand(&sample.delivery());
    context.output.show_value(&normal_form(&understood))?;
    Ok(if understood.is_ok() { Exit::Ok } else { Exit::Invalid })
}

/// Reads a sample as it would be sent now.
pub(super) fn sample(path: &Path) -> Result<Sample, Failure> {
    let text = String::from_utf8(read(path)?).map_err(|_| wrong(path, "it is not text"))?;
    read_sample(&text, SystemClock.now()).map_err(|why| wrong(path, &why))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let exit = if is_missing { Exit::NotFound } else { Exit::Internal };
        Failure::new(exit, format!("it cannot be read: {error}: file=`{}`", path.display()))
    })
}

fn headers(path: &Path) -> Result<HeaderMap, Failure> {
    let fields: Map<String, Value> = serde_json::from_slice(&read(path)?)
        .map_err(|error| wrong(path, &format!("not a JSON object of headers: {error}")))?;
    let header = |(name, value): (String, Value)| {
        let text = text(&value);
        let parsed = (name.parse::<HeaderName>().ok(), text.parse::<HeaderValue>().ok());
        let (Some(name), Some(value)) = parsed else {
            return Err(wrong(path, &format!("not a header: name=`{name}`")));
        };
        Ok((name, value))
    };
    fields.into_iter().map(header).collect()
}

fn wrong(path: &Path, why: &str) -> Failure {
    Failure::new(Exit::Invalid, format!("{why}: file=`{}`", path.display()))
}
