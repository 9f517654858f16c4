//! `refit replay`: sends sample events again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use http::Method;
use refit_core::commit::Commit;
use refit_core::event::{Event, Replay};
use refit_core::key::Hash128;
use refit_engine::explain::verdicts;
use refit_engine::layout;
use refit_engine::port::Transport as _;
use refit_engine::record::read_segment;
use refit_platform::clock::SystemClock;
use refit_platform::env;
use refit_platform::transport::{HttpTransport, Options};
use refit_wire::http::Request;
use refit_wire::sample::Sample;
use refit_wire::source::{Understood, understand};
use serde::Serialize;
use url::Url;

use super::inspect::sample;
use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::fate;
use crate::progress::Progress;
use crate::submit::Wait;

/// Segments written at the same time.
const WRITES: usize = 16;

/// Send sample events, or the same events again, and print what was decided of each
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A sample is a text file that ends in .http: a request line, headers, an empty line and the \
        body; ${now} and ${micros} stand for the time. An event that is a member of a batch already is a \
        duplicate; one that was refused is judged again, unless it is too old.

Examples:
  refit replay events/gcs/eventarc-finalized.http
  refit replay --force events/gcs
  refit replay events/gcs --to http://127.0.0.1:8080/"
)]
pub(crate) struct Args {
    /// Samples, or folders of them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// Take every event for a new fact, whatever became of it before and however old it is
    #[arg(long)]
    force: bool,
    /// Post the samples to this URL, as their source would, instead of recording them in the ledger
    #[arg(long, value_name = "URL", conflicts_with_all = ["force", "no_wait", "wait"])]
    to: Option<Url>,
    #[command(flatten)]
    wait: Wait,
}

/// What came of the samples.
#[derive(Debug, Default, Serialize)]
struct Replayed {
    events: Vec<Sent>,
    /// Samples nothing was recorded of.
    unrecorded: Vec<Unrecorded>,
}

/// An event that was recorded.
#[derive(Debug, Serialize)]
struct Sent {
    file: String,
    event: Hash128,
    name: String,
    /// The commit that decided; none if that was not waited for.
    commit: Option<u64>,
    decisions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Unrecorded {
    file: String,
    /// Whether it could not be understood; else there is nothing in it to record.
    is_rejected: bool,
    reason: String,
}

/// The answers of a door.
#[derive(Debug, Serialize)]
struct Posted {
    answers: Vec<Answered>,
}

#[derive(Debug, Serialize)]
struct Answered {
    file: String,
    status: u16,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let samples = samples(&args.paths)?;
    if let Some(url) = args.to {
        return post(context, samples, &url).await;
    }
    let mut replayed = Replayed::default();
    let mut events = Vec::new();
    for (file, sample) in samples {
        match understand(&sample.delivery()) {
            Ok(Understood::Record(found)) => events.push((file, found)),
            Ok(Understood::Ping(_)) => {
                replayed.leave_out(file, false, "a ping, which carries nothing to record");
            }
            Ok(Understood::Ignore { reason }) => replayed.leave_out(file, false, &reason),
            Err(rejected) => replayed.leave_out(file, true, &rejected.reason),
        }
    }
    if !events.is_empty() {
        let opened = context.open().await?;
        replayed.events = record(context, &opened, events, &args).await?;
    }
    context.output.show(&replayed)?;
    let is_rejected = replayed.unrecorded.iter().any(|sample| sample.is_rejected);
    Ok(if is_rejected { Exit::Invalid } else { Exit::Ok })
}

/// The samples at these paths, by their files, in order.
fn samples(paths: &[PathBuf]) -> Result<Vec<(String, Sample)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        collect(path, &mut files)?;
        if files.len() == before {
            let message =
                format!("no sample is there, which ends in .http: path=`{}`", path.display());
            return Err(Failure::new(Exit::Invalid, message));
        }
    }
    let read = |path: PathBuf| Ok((path.display().to_string(), sample(&path)?));
    files.into_iter().map(read).collect()
}

/// Samples in a folder and below it, by name; a file is taken whatever its name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let unreadable = |error: std::io::Error| {
        let message = format!("the folder cannot be read: {error}: path=`{}`", path.display());
        Failure::new(Exit::Internal, message)
    };
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    let entries: Result<BTreeSet<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let wanted =
        |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|end| end == "http");
    entries
        .map_err(unreadable)?
        .iter()
        .filter(|path| wanted(path))
        .try_for_each(|path| collect(path, files))
}

async fn record(
    context: &Context,
    opened: &Opened,
    found: Vec<(String, Vec<Event>)>,
    args: &Args,
) -> Result<Vec<Sent>, Failure> {
    let from = opened.state().await?.map_or(0, |state| state.seq);
    let intake = opened.base.intake();
    let (mut sent, mut writes) = (Vec::new(), Vec::new());
    for (file, events) in found {
        let events: Vec<Event> = events.into_iter().map(|event| again(event, args.force)).collect();
        sent.extend(events.iter().map(|event| Sent::new(&file, event)));
        writes.push(intake.append(events));
    }
    let progress = Progress::new(context.output, "samples recorded");
    let mut writes = stream::iter(writes).buffered(WRITES);
    let mut segments = BTreeSet::new();
    while let Some(segment) = writes.try_next().await? {
        segments.insert(segment);
        progress.count(segments.len() as u64);
    }
    drop(progress);
    let commits = opened.consumed(context.output, segments.clone(), &args.wait, from).await?;
    let mut decided = Decided::default();
    for commit in commits.into_iter().flatten() {
        decided.read(opened, &commit, &segments).await?;
    }
    sent.iter_mut().for_each(|event| decided.tell(event));
    Ok(sent)
}

/// What was decided of each event, in the order the events were recorded: one fact may be recorded twice.
#[derive(Default)]
struct Decided(BTreeMap<Hash128, VecDeque<(u64, Vec<String>)>>);

impl Decided {
    async fn read(
        &mut self,
        opened: &Opened,
        commit: &Commit,
        segments: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        for (number, name) in
            (0..).zip(&commit.segments).filter(|(_, name)| segments.contains(*name))
        {
            let body = opened.ledger.store().get(&layout::segment_object(name)).await?;
            let events = body.map(|body| read_segment(name, &body)).transpose()?;
            for (place, event) in (0..).zip(events.unwrap_or_default()) {
                let said = verdicts(commit, number, place).iter().map(fate::verdict).collect();
                self.0.entry(event.id()).or_default().push_back((commit.seq, said));
            }
        }
        Ok(())
    }

    fn tell(&mut self, sent: &mut Sent) {
        let decided = self.0.get_mut(&sent.event).and_then(VecDeque::pop_front);
        if let Some((commit, decisions)) = decided {
            sent.commit = Some(commit);
            sent.decisions = decisions;
        }
    }
}

/// The event as one that a person sends again.
fn again(mut event: Event, force: bool) -> Event {
    event.replay = Some(if force { Replay::Forced } else { Replay::Again });
    if force {
        event.identity.0.push(env::nonce());
    }
    event
}

/// Posts samples to a door, one after the other.
async fn post(
    context: &Context,
    samples: Vec<(String, Sample)>,
    url: &Url,
) -> Result<Exit, Failure> {
    let transport = HttpTransport::new(Arc::new(SystemClock), Options::default())?;
    let mut answers = Vec::new();
    for (file, sample) in samples {
        let mut request = Request::new(Method::POST, url.clone());
        request.headers = sample.headers;
        request.body = sample.body.into();
        let response = transport.send(request).await.map_err(|failure| {
            let message = format!("nothing answers: {failure}: file=`{file}`, url=`{url}`");
            Failure::new(Exit::Unavailable, message)
        })?;
        answers.push(Answered { file, status: response.status });
    }
    let exit = match answers.iter().map(|answer| answer.status).max() {
        Some(500..) => Exit::Unavailable,
        Some(300..) => Exit::Refused,
        Some(_) | None => Exit::Ok,
    };
    context.output.show(&Posted { answers })?;
    Ok(exit)
}

impl Replayed {
    fn leave_out(&mut self, file: String, is_rejected: bool, reason: &str) {
        self.unrecorded.push(Unrecorded { file, is_rejected, reason: reason.to_owned() });
    }
}

impl Sent {
    fn new(file: &str, event: &Event) -> Self {
        Self {
            file: file.to_owned(),
            event: event.id(),
            name: event.name(),
            commit: None,
            decisions: Vec::new(),
        }
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Sent { file, event, name, commit, decisions } in &self.events {
            let commit =
                commit.map_or_else(|| "recorded".to_owned(), |seq| format!("commit {seq}"));
            writeln!(f, "{file}: {name}, event {event}, {commit}")?;
            decisions.iter().try_for_each(|decision| writeln!(f, "  {decision}"))?;
        }
        for Unrecorded { file, is_rejected, reason } in &self.unrecorded {
            let what = if *is_rejected { "not understood" } else { "nothing to record" };
            writeln!(f, "{file}: {what}: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answers.iter().try_for_each(|answer| writeln!(f, "{}: {}", answer.file, answer.status))
    }
}
