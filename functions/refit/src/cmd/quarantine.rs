//! `refit quarantine`: what arrived and could not be understood.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::event::{Command as Order, Event, Fact, Identity, Invalid, Replay, ReplayMode};
use refit_core::key::Hash128;
use refit_core::time::Timestamp;
use refit_core::timing::Timing;
use refit_engine::submit::command_event;
use refit_platform::env;
use refit_wire::source::{Delivery, Understood, reports_in, understand, upload_of};
use serde::Serialize;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::inbox;
use crate::progress::Progress;
use crate::submit::{self, Wait};

/// Show what arrived and could not be understood, and say what becomes of it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is not understood is recorded, acknowledged, and kept here for the window of 35 days.
An entry is named by its id, or by as much of the beginning as tells it apart.

Examples:
  refit quarantine list
  refit quarantine show 3f1c7a52
  refit quarantine replay 3f1c7a52
  refit quarantine drop 3f1c7a52"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List what waits for somebody to look at it
    List,
    /// Print what arrived, as far as it is kept
    Show {
        /// The entry
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Read it again with this version, and record what it means
    Replay {
        /// The entry
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take it off the list
    Drop {
        /// The entry
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        wait: Wait,
    },
}

/// What is in quarantine.
#[derive(Debug, Serialize)]
struct Listed {
    quarantined: Vec<Entry>,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    id: Hash128,
    arrived: Timestamp,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    size: u64,
    #[serde(skip)]
    identity: Identity,
    #[serde(skip)]
    invalid: Invalid,
}

/// What arrived, as far as it is kept.
#[derive(Debug, Serialize)]
struct Shown {
    headers: BTreeMap<String, String>,
    body: String,
}

/// What was recorded instead of one of them.
#[derive(Debug, Serialize)]
struct Replayed {
    id: Hash128,
    events: Vec<String>,
    segment: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let opened = context.open_existing().await?;
    let entries = entries(context, &opened).await?;
    match args.command {
        Command::List => {
            context.output.show(&Listed { quarantined: entries })?;
            Ok(Exit::Ok)
        }
        Command::Show { id } => {
            context.output.show(&Shown::of(&pick(&entries, &id)?.invalid))?;
            Ok(Exit::Ok)
        }
        Command::Replay { id, wait } => replay(context, &opened, pick(&entries, &id)?, &wait).await,
        Command::Drop { id, wait } => {
            let event = pick(&entries, &id)?.id;
            submit::run(context, Order::Dismiss { event }, &wait).await
        }
    }
}

/// What is in the inbox and not understood, less what somebody has taken off the list since it came last.
async fn entries(context: &Context, opened: &Opened) -> Result<Vec<Entry>, Failure> {
    let wanted = |event: &Event| {
        matches!(event.fact, Fact::Invalid(_) | Fact::Command(Order::Dismiss { .. }))
    };
    let mut entries: BTreeMap<Hash128, Entry> = BTreeMap::new();
    for (arrived, event) in recorded(context, opened, wanted).await? {
        match &event.fact {
            Fact::Command(Order::Dismiss { event }) => drop(entries.remove(event)),
            Fact::Invalid(invalid) => {
                let entry = Entry::of(arrived, &event, invalid);
                entries.entry(entry.id).or_insert(entry);
            }
            Fact::Object(_) | Fact::Message(_) | Fact::Drift(_) | Fact::Command(_) => {}
        }
    }
    let mut entries: Vec<Entry> = entries.into_values().collect();
    entries.sort_by_key(|entry| entry.arrived);
    Ok(entries)
}

/// The events of the window that are asked for, and when they arrived, in the order in which they did.
async fn recorded(
    context: &Context,
    opened: &Opened,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Vec<(Timestamp, Event)>, Failure> {
    let timing = opened.state().await?.map_or_else(Timing::default, |state| state.timing);
    let since = opened.base.clock.now() - timing.window;
    let segments = inbox::since(&opened.ledger, since).await?;
    let progress = Progress::new(context.output, "segments read");
    let tell = |count| progress.count(count);
    let found = inbox::events(&opened.ledger, &segments, wanted, &tell).await?;
    Ok(found.into_iter().map(|(segment, event)| (segment.created, event)).collect())
}

fn pick<'e>(entries: &'e [Entry], text: &str) -> Result<&'e Entry, Failure> {
    let mut named = entries.iter().filter(|entry| entry.id.to_string().starts_with(text));
    match (named.next(), named.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(_), Some(_)) => {
            Err(Failure::new(Exit::Invalid, format!("several entries begin so: id=`{text}`")))
        }
        (None, _) => Err(Failure::new(
            Exit::NotFound,
            format!("nothing in quarantine begins so: id=`{text}`"),
        )),
    }
}

/// Records what it means to this version, and takes it off the list in the same segment.
async fn replay(
    context: &Context,
    opened: &Opened,
    entry: &Entry,
    wait: &Wait,
) -> Result<Exit, Failure> {
    let mut events = again(context, opened, entry).await?;
    let names = events.iter().map(Event::name).collect();
    events
        .iter_mut()
        .for_each(|event| event.replay = Some(Replay { mode: ReplayMode::Again, trigger: None }));
    let actor = env::var("USER").unwrap_or_else(|| "refit".to_owned());
    events.push(command_event(Order::Dismiss { event: entry.id }, &actor, &env::nonce()));
    let from = opened.state().await?.map_or(0, |state| state.seq);
    let segment = opened.base.intake().append(events).await?;
    opened.consumed(context.output, BTreeSet::from([segment.clone()]), wait, from).await?;
    context.output.show(&Replayed { id: entry.id, events: names, segment })?;
    Ok(Exit::Ok)
}

/// What it means to this version.
async fn again(context: &Context, opened: &Opened, entry: &Entry) -> Result<Vec<Event>, Failure> {
    let refused = |why: String| Failure::new(Exit::Refused, format!("{why}: id=`{}`", entry.id));
    let body = STANDARD.decode(&entry.invalid.head).unwrap_or_default();
    if body.len() as u64 != entry.invalid.size {
        let (kept, size) = (body.len(), entry.invalid.size);
        let why = format!(
            "only the first {kept} of {size} bytes are kept; have it sent again, and drop it"
        );
        return Err(refused(why));
    }
    let understood = match upload_of(&entry.identity) {
        Some(place) => {
            let upload = recorded_upload(context, opened, &place).await?;
            let upload = upload.ok_or_else(|| {
                refused("the upload of the object it lies in is not in the inbox".to_owned())
            })?;
            reports_in(&Event { identity: place, ..upload }, &body)
        }
        None => {
            let headers = headers(&entry.invalid);
            match understand(&Delivery { headers: &headers, body: &body }) {
                Ok(Understood::Record(events)) => Ok(events),
                Ok(Understood::Ping(_) | Understood::Ignore { .. }) => Ok(Vec::new()),
                Err(rejected) => Err(rejected),
            }
        }
    };
    match understood {
        Ok(events) if events.is_empty() => {
            Err(refused("it means nothing that is recorded; drop it".to_owned()))
        }
        Ok(events) => Ok(events),
        Err(rejected) => Err(refused(format!("it is still not understood: {}", rejected.reason))),
    }
}

/// The upload of the object that a report lies in, which was recorded before it.
async fn recorded_upload(
    context: &Context,
    opened: &Opened,
    place: &Identity,
) -> Result<Option<Event>, Failure> {
    let wanted = |event: &Event| {
        matches!(event.fact, Fact::Object(_)) && place.0.starts_with(&event.identity.0)
    };
    let found = recorded(context, opened, wanted).await?;
    Ok(found.into_iter().next().map(|(_, upload)| upload))
}

/// The headers that were kept, by their names.
fn kept(invalid: &Invalid) -> BTreeMap<String, String> {
    let mut headers = invalid.headers.clone();
    headers.extend(invalid.content_type.clone().map(|ty| ("content-type".to_owned(), ty)));
    headers
}

fn headers(invalid: &Invalid) -> HeaderMap {
    let kept = kept(invalid);
    let parsed = kept.iter().filter_map(|(name, value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    parsed.collect()
}

impl Entry {
    fn of(arrived: Timestamp, event: &Event, invalid: &Invalid) -> Self {
        Self {
            id: event.id(),
            arrived,
            reason: invalid.reason.clone(),
            content_type: invalid.content_type.clone(),
            size: invalid.size,
            identity: event.identity.clone(),
            invalid: invalid.clone(),
        }
    }
}

impl Shown {
    fn of(invalid: &Invalid) -> Self {
        let body = STANDARD.decode(&invalid.head).unwrap_or_default();
        Self { headers: kept(invalid), body: String::from_utf8_lossy(&body).into_owned() }
    }
}

/// A text without what a terminal would take for an order.
fn harmless(text: &str) -> String {
    let is_order = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let shown = |c: char| match is_order(c) {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.headers {
            writeln!(f, "{}: {}", harmless(name), harmless(value))?;
        }
        if !self.headers.is_empty() {
            writeln!(f)?;
        }
        f.write_str(&harmless(&self.body))
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quarantined.is_empty() {
            return f.write_str("nothing is in quarantine");
        }
        self.quarantined.iter().try_for_each(|entry| {
            let Entry { id, arrived, reason, size, .. } = entry;
            writeln!(f, "{id}  {arrived}  {size} B  {reason}")
        })
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorded: {}, segment=`{}`", self.events.join(", "), self.segment)
    }
}
