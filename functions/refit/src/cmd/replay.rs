//! `refit replay`: sends events again, those of samples or those the ledger recorded.

mod past;
mod selection;
mod shadow;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use http::Method;
use refit_core::commit::Commit;
use refit_core::event::{Event, Fact, Replay, ReplayMode};
use refit_core::key::Hash128;
use refit_core::rules::Rules;
use refit_core::state::State;
use refit_engine::explain::verdicts;
use refit_engine::layout;
use refit_engine::port::{Clock as _, Transport as _};
use refit_engine::record::read_segment;
use refit_platform::clock::SystemClock;
use refit_platform::env;
use refit_platform::transport::{HttpTransport, Options};
use refit_wire::http::Request;
use refit_wire::sample::Sample;
use refit_wire::source::{Understood, understand};
use serde::Serialize;
use url::Url;

use self::past::{ANEW, Past, Recorded};
use self::selection::{Filters, Selection};
use self::shadow::{Outlook, shadow};
use super::inspect::sample;
use crate::context::{Context, Opened, no_ledger};
use crate::exit::{Exit, Failure};
use crate::fate;
use crate::progress::Progress;
use crate::submit::Wait;

/// Events and samples that wait to be written at the same time; those that wait share segments.
const WRITES: usize = 512;

/// Send events again, of samples or of the ledger, and print what was decided of each
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without samples, what the ledger recorded is sent again, as far as the filters say and as long as it \
        is kept, which is 35 days; there must be a filter. A sample is a text file that ends in .http: a request line, \
        headers, an empty line and the body; ${now} and ${micros} stand for the time. An event that is a member of a \
        batch already is a duplicate, and with --trigger one that this trigger has taken; one that was refused is \
        judged again, unless it is too old: so a trigger may take what is older than itself.

Examples:
  refit replay events/gcs/eventarc-finalized.http
  refit replay --force events/gcs
  refit replay events/gcs --to http://127.0.0.1:8080/
  refit replay --since 7d --trigger churn --shadow
  refit replay --object gs://acme-data/churn/ --since 2026-01-05T00:00:00Z --until 2026-01-06T00:00:00Z"
)]
pub(crate) struct Args {
    /// Samples, or folders of them; without any, what the ledger recorded
    #[arg(value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    filters: Filters,
    /// Take every event for a new fact, whatever became of it before and however old it is
    #[arg(long)]
    force: bool,
    /// Tell what would be decided, and neither record nor start anything
    #[arg(long, conflicts_with_all = ["no_wait", "wait"])]
    shadow: bool,
    /// Post the samples to this URL, as their source would, instead of recording them in the ledger
    #[arg(
        long,
        value_name = "URL",
        requires = "paths",
        conflicts_with_all = ["force", "no_wait", "wait", "shadow", "since", "until", "trigger", "object"]
    )]
    to: Option<Url>,
    #[command(flatten)]
    wait: Wait,
}

/// What came of the events.
#[derive(Debug, Default, Serialize)]
struct Replayed {
    events: Vec<Sent>,
    /// Samples and events nothing was recorded of.
    unrecorded: Vec<Unrecorded>,
    /// The batches that would have members of it, where nothing was recorded.
    shadow: Option<Vec<Outlook>>,
}

/// What is to be sent again, with the samples or segments it comes from.
#[derive(Default)]
struct Found {
    events: Vec<(String, Vec<Event>)>,
    unrecorded: Vec<Unrecorded>,
}

/// An event that was recorded.
#[derive(Debug, Serialize)]
struct Sent {
    /// The sample, or the segment it was recorded in.
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
    /// The event, where it is one.
    event: Option<Hash128>,
    name: Option<String>,
    /// Whether it could not be understood; else there is nothing in it to record.
    is_rejected: bool,
    reason: String,
}

/// An event that is not sent again, and why.
struct LeftOut {
    event: Hash128,
    name: String,
    reason: String,
}

impl LeftOut {
    fn new(event: &Event, reason: &str) -> Self {
        Self { event: event.id(), name: event.name(), reason: reason.to_owned() }
    }
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
    if let Some(url) = &args.to {
        return post(context, samples(&args.paths)?, url).await;
    }
    args.filters.check()?;
    if args.paths.is_empty() && args.filters.is_empty() {
        let message = "neither samples nor a filter: say which events, with --since, --until, --trigger or --object";
        return Err(Failure::new(Exit::Usage, message));
    }
    let samples = samples(&args.paths)?;
    let mut found = found(&samples);
    let mut replayed = Replayed::default();
    let is_any = args.paths.is_empty() || !found.events.is_empty();
    if is_any {
        let opened = context.open().await?;
        let stage = Stage::new(context, &opened, &args).await?;
        found = stage.select(found).await?;
        let sent = &mut replayed.events;
        match args.shadow {
            true => (*sent, replayed.shadow) = stage.shadow(&found).await?,
            false => *sent = stage.record(&found).await?,
        }
    }
    replayed.unrecorded = found.unrecorded;
    context.output.show(&replayed)?;
    let is_rejected = replayed.unrecorded.iter().any(|sample| sample.is_rejected);
    Ok(if is_rejected { Exit::Invalid } else { Exit::Ok })
}

/// The events of samples.
fn found(samples: &[(String, Sample)]) -> Found {
    let mut found = Found::default();
    for (file, sample) in samples {
        match understand(&sample.delivery()) {
            Ok(Understood::Record(events)) => found.events.push((file.clone(), events)),
            Ok(Understood::Ping(_)) => {
                found.leave_out(file, false, "a ping, which carries nothing to record");
            }
            Ok(Understood::Ignore { reason }) => found.leave_out(file, false, &reason),
            Err(rejected) => found.leave_out(file, true, &rejected.reason),
        }
    }
    found
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

/// A ledger, and what is asked of it.
struct Stage<'a> {
    context: &'a Context,
    opened: &'a Opened,
    args: &'a Args,
    selection: Selection,
    /// The newest state; none where no ledger was founded.
    state: Option<State>,
    rules: Arc<Rules>,
}

impl<'a> Stage<'a> {
    async fn new(
        context: &'a Context,
        opened: &'a Opened,
        args: &'a Args,
    ) -> Result<Self, Failure> {
        let state = opened.state().await?;
        let now = match &state {
            Some(state) => opened.now(state).await?,
            None => SystemClock.now(),
        };
        let book = match &state {
            Some(state) => opened.rules(state).await?.and_then(Result::ok),
            None => None,
        };
        let rules = book.map(|book| book.rules).unwrap_or_default();
        let selection = args.filters.at(now)?;
        if let Some(name) =
            selection.trigger.as_ref().filter(|name| !rules.triggers.contains_key(*name))
        {
            let known: Vec<&str> = rules.triggers.keys().map(String::as_str).collect();
            let message =
                format!("no such trigger is in force: name=`{name}`, known=`{}`", known.join(", "));
            return Err(Failure::new(Exit::NotFound, message));
        }
        Ok(Self { context, opened, args, selection, state, rules })
    }

    /// What is to be sent of what was found, or of what the ledger recorded.
    async fn select(&self, found: Found) -> Result<Found, Failure> {
        let found = match self.args.paths.is_empty() {
            true => return self.recorded(found).await,
            false => self.within(found),
        };
        match (self.args.force, self.selection.trigger.is_some()) {
            (true, _) => Ok(found.map(|event| Ok(self.again(event)))),
            (false, true) => self.known(found).await,
            (false, false) => self.anew(found).await,
        }
    }

    /// What the filters let pass of samples. One that has no time lies within no bounds, which is said of it.
    fn within(&self, mut found: Found) -> Found {
        for (_, events) in &mut found.events {
            events.retain(|event| {
                let is_open = event.time.is_none() || self.selection.has_time(event.time);
                is_open && self.selection.has_event(event, Some(&self.rules))
            });
        }
        found.map(|event| match self.selection.has_time(event.time) {
            true => Ok(event),
            false => {
                let reason = "it has no time of its own, and so lies within no --since and --until";
                Err(LeftOut::new(&event, reason))
            }
        })
    }

    /// What the ledger recorded, as far as something may come of it.
    async fn recorded(&self, mut found: Found) -> Result<Found, Failure> {
        let Some(state) = &self.state else { return Err(no_ledger(&self.opened.location)) };
        let mut past = past::range(self.context, self.opened, state, &self.selection).await?;
        past.events.retain(|recorded| self.selection.has_event(&recorded.event, Some(&self.rules)));
        let ageless: Vec<Hash128> = past.events.iter().filter_map(Recorded::ageless).collect();
        let whole = match ageless.is_empty() || self.args.force {
            true => Past::default(),
            false => past::of(self.context, self.opened, &ageless).await?,
        };
        for recorded in &past.events {
            let judged = whole.get(recorded.event.id()).unwrap_or(recorded);
            found.add(&recorded.segment, self.judge(judged));
        }
        Ok(found)
    }

    /// Events of samples that are for one trigger: the ledger must know them, or others would never be told.
    async fn known(&self, found: Found) -> Result<Found, Failure> {
        let past = past::of(self.context, self.opened, &found.ids(|_| true)).await?;
        Ok(found.map(|event| match past.get(event.id()) {
            Some(recorded) => self.judge(recorded),
            None => {
                let never = || format!("it was never recorded: leave --trigger out, or no other trigger will ever be told of it; {ANEW}");
                let reason = past.forgotten(event.id()).unwrap_or_else(never);
                Err(LeftOut::new(&event, &reason))
            }
        }))
    }

    /// Events of samples that are for every trigger. One that has no time of its own never gets too old, so it is the
    /// log that says whether it was recorded: the ledger's memory ends after 35 days.
    async fn anew(&self, found: Found) -> Result<Found, Failure> {
        let untimed = found.ids(|event| event.time.is_none());
        if untimed.is_empty() {
            return Ok(found.map(|event| Ok(self.again(event))));
        }
        let past = past::of(self.context, self.opened, &untimed).await?;
        Ok(found.map(|event| match past.get(event.id()).filter(|_| event.time.is_none()) {
            Some(recorded) => self.judge(recorded),
            None => match past.forgotten(event.id()) {
                Some(reason) => Err(LeftOut::new(&event, &reason)),
                None => Ok(self.again(event)),
            },
        }))
    }

    /// The event as it is to be sent again, or why nothing would come of it.
    fn judge(&self, recorded: &Recorded) -> Result<Event, LeftOut> {
        let event = recorded.event.clone();
        if matches!(event.fact, Fact::Invalid(_)) {
            return Err(LeftOut::new(&event, "only its first bytes are kept"));
        }
        match recorded.settled(self.selection.trigger.as_deref()).filter(|_| !self.args.force) {
            Some(reason) => Err(LeftOut::new(&event, &reason)),
            None => {
                // What it says of no time is as old as what was decided of it.
                let time = event.time.map_or(recorded.decided, |time| time.min(recorded.decided));
                Ok(self.again(Event { time: Some(time), ..event }))
            }
        }
    }

    /// The event as one that a person sends again.
    fn again(&self, mut event: Event) -> Event {
        let mode = if self.args.force { ReplayMode::Forced } else { ReplayMode::Again };
        event.replay = Some(Replay { mode, trigger: self.selection.trigger.clone() });
        if self.args.force {
            event.identity.0.push(env::nonce());
        }
        event
    }

    /// What would come of the events.
    async fn shadow(&self, found: &Found) -> Result<(Vec<Sent>, Option<Vec<Outlook>>), Failure> {
        let Some(state) = &self.state else { return Err(no_ledger(&self.opened.location)) };
        let events: Vec<Event> =
            found.events.iter().flat_map(|(_, events)| events.iter().cloned()).collect();
        let mut sent = found.sent();
        let (decisions, batches) = shadow(self.opened, state, &self.rules, &events).await?;
        for (sent, decisions) in sent.iter_mut().zip(decisions) {
            sent.decisions = decisions;
        }
        Ok((sent, Some(batches)))
    }

    /// Records the events, and waits for what is decided of them.
    async fn record(&self, found: &Found) -> Result<Vec<Sent>, Failure> {
        let from = self.state.as_ref().map_or(0, |state| state.seq);
        let mut sent = found.sent();
        if sent.is_empty() {
            return Ok(sent);
        }
        let intake = self.opened.base.intake();
        let writes = found.events.iter().map(|(_, events)| intake.append(events.clone()));
        let progress = Progress::new(self.context.output, "samples and events recorded");
        let mut writes = stream::iter(writes).buffered(WRITES);
        let (mut segments, mut count) = (BTreeSet::new(), 0);
        while let Some(segment) = writes.try_next().await? {
            segments.insert(segment);
            count += 1;
            progress.count(count);
        }
        drop(progress);
        let (output, wait) = (self.context.output, &self.args.wait);
        let commits = self.opened.consumed(output, segments.clone(), wait, from).await?;
        let mut decided = Decided::default();
        for commit in commits.into_iter().flatten() {
            decided.read(self.opened, &commit, &segments).await?;
        }
        sent.iter_mut().for_each(|event| decided.tell(event));
        Ok(sent)
    }
}

impl Found {
    /// Everything that is to be sent, with nothing decided.
    fn sent(&self) -> Vec<Sent> {
        let of = |(file, events): &(String, Vec<Event>)| {
            events.iter().map(|event| Sent::new(file, event)).collect::<Vec<_>>()
        };
        self.events.iter().flat_map(of).collect()
    }

    /// Which events are such.
    fn ids(&self, such: impl Fn(&Event) -> bool) -> Vec<Hash128> {
        let events = self.events.iter().flat_map(|(_, events)| events);
        events.filter(|event| such(event)).map(Event::id).collect()
    }

    /// The same after each event was looked at.
    fn map(self, look: impl Fn(Event) -> Result<Event, LeftOut>) -> Self {
        let mut looked = Self { events: Vec::new(), unrecorded: self.unrecorded };
        for (file, events) in self.events {
            events.into_iter().for_each(|event| looked.add(&file, look(event)));
        }
        looked
    }

    fn add(&mut self, file: &str, looked: Result<Event, LeftOut>) {
        match looked {
            Ok(event) => self.events.push((file.to_owned(), vec![event])),
            Err(LeftOut { event, name, reason }) => self.unrecorded.push(Unrecorded {
                file: file.to_owned(),
                event: Some(event),
                name: Some(name),
                is_rejected: false,
                reason,
            }),
        }
    }

    fn leave_out(&mut self, file: &str, is_rejected: bool, reason: &str) {
        let (file, reason) = (file.to_owned(), reason.to_owned());
        self.unrecorded.push(Unrecorded { file, event: None, name: None, is_rejected, reason });
    }
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
            let recorded = if self.shadow.is_some() { "not recorded" } else { "recorded" };
            let commit = commit.map_or_else(|| recorded.to_owned(), |seq| format!("commit {seq}"));
            writeln!(f, "{file}: {name}, event {event}, {commit}")?;
            decisions.iter().try_for_each(|decision| writeln!(f, "  {decision}"))?;
        }
        for Unrecorded { file, name, is_rejected, reason, .. } in &self.unrecorded {
            let name = name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
            let what = if *is_rejected { "not understood" } else { "nothing to record" };
            writeln!(f, "{file}: {name}{what}: {reason}")?;
        }
        if self.events.is_empty() && self.unrecorded.is_empty() {
            writeln!(f, "no event is within these bounds")?;
        }
        self.shadow.iter().flatten().try_for_each(|outlook| writeln!(f, "{outlook}"))
    }
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answers.iter().try_for_each(|answer| writeln!(f, "{}: {}", answer.file, answer.status))
    }
}
