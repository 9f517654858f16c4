//! `refit inspect`: what a delivery means, without recording it.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::template::text;
use refit_engine::port::Clock as _;
use refit_host::environment::secrets_from_env;
use refit_platform::clock::SystemClock;
use refit_wire::normal_form::{normal_form, normal_invocation};
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::{
    Delivery, Invocation, Rejected, Sender, Understood, json_of_tools, understand,
    understand_report,
};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Print what a delivery means, in the normal form of events, and record nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "The result is JSON in any case. A delivery that is rejected exits with 3.

Signatures of webhooks are verified where their secrets are in the environment: REFIT_HOOK_GITHUB,
REFIT_HOOK_MLFLOW, REFIT_HOOK_STANDARD. How long ago they were made does not matter here.

Examples:
  refit inspect events/gcs/eventarc-finalized.http
  refit inspect --headers headers.json body.json
  refit inspect --lambda invocation.json
  refit inspect --document report.json")]
pub(crate) struct Args {
    /// A sample, or with --headers the body alone
    #[arg(required_unless_present_any = ["lambda", "document"])]
    body: Option<PathBuf>,
    /// The headers, as a JSON object
    #[arg(long, value_name = "FILE", requires = "body")]
    headers: Option<PathBuf>,
    /// The payload of an invocation on AWS Lambda
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body", "document"])]
    lambda: Option<PathBuf>,
    /// A report as a tool writes it, without anything around it
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    document: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let form = match (&args.lambda, &args.document, &args.body) {
        (Some(file), ..) => normal_invocation(&Invocation::of(&json(file)?)),
        (None, Some(file), _) => normal_form(&understand_report(&json(file)?)),
        (None, None, Some(body)) => {
            let sample = request(body, args.headers.as_deref())?;
            normal_form(&verified(&sample.delivery())?)
        }
        (None, None, None) => return Err(Failure::new(Exit::Usage, "there is nothing to inspect")),
    };
    context.output.show_value(&form)?;
    Ok(if form["outcome"] == "reject" { Exit::Invalid } else { Exit::Ok })
}

fn request(body: &Path, headers: Option<&Path>) -> Result<Sample, Failure> {
    let Some(headers) = headers else { return sample(body) };
    Ok(Sample { path: "/".to_owned(), headers: self::headers(headers)?, body: read(body)? })
}

/// What a request means, if it is no webhook whose signature can be told to be wrong.
fn verified(delivery: &Delivery<'_>) -> Result<Result<Understood, Rejected>, Failure> {
    let secrets = secrets_from_env()?.plain;
    let known = Sender::of(delivery.headers).filter(|sender| secrets.know(*sender));
    let verified = known.map(|_| secrets.verify(delivery, None)).transpose();
    Ok(verified.and_then(|_| understand(delivery)))
}

fn json(path: &Path) -> Result<Value, Failure> {
    json_of_tools(&read(path)?).map_err(|error| wrong(path, &format!("not JSON: {error}")))
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
