//! `refit quarantine`: what arrived and could not be understood.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::event::{Command as Order, Event, Fact, Invalid, Replay, ReplayMode};
use refit_core::key::Hash128;
use refit_core::time::Timestamp;
use refit_core::timing::Timing;
use refit_engine::submit::command_event;
use refit_platform::env;
use refit_wire::source::{Delivery, Understood, understand};
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
    invalid: Invalid,
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
            let entry = pick(&entries, &id)?;
            let body = STANDARD.decode(&entry.invalid.head).unwrap_or_default();
            context.output.show_text("body", &String::from_utf8_lossy(&body))?;
            Ok(Exit::Ok)
        }
        Command::Replay { id, wait } => replay(context, &opened, pick(&entries, &id)?, &wait).await,
        Command::Drop { id, wait } => {
            let event = pick(&entries, &id)?.id;
            submit::run(context, Order::Dismiss { event }, &wait).await
        }
    }
}

/// What is in the inbox and not understood, but for what somebody has taken off the list.
async fn entries(context: &Context, opened: &Opened) -> Result<Vec<Entry>, Failure> {
    let timing = opened.state().await?.map_or_else(Timing::default, |state| state.timing);
    let since = opened.base.clock.now() - timing.window;
    let segments = inbox::since(&opened.ledger, since).await?;
    let progress = Progress::new(context.output, "segments read");
    let wanted = |event: &Event| {
        matches!(event.fact, Fact::Invalid(_) | Fact::Command(Order::Dismiss { .. }))
    };
    let tell = |count| progress.count(count);
    let found = inbox::events(&opened.ledger, &segments, wanted, &tell).await?;
    let dismissed: BTreeSet<Hash128> = found.iter().filter_map(|(_, it)| dismissed(it)).collect();
    let mut known = dismissed;
    let entry = |(segment, event): (&refit_engine::port::Entry, Event)| {
        let id = event.id();
        let Fact::Invalid(invalid) = event.fact else { return None };
        known.insert(id).then(|| Entry {
            id,
            arrived: segment.created,
            reason: invalid.reason.clone(),
            content_type: invalid.content_type.clone(),
            size: invalid.size,
            invalid,
        })
    };
    Ok(found.into_iter().filter_map(entry).collect())
}

fn dismissed(event: &Event) -> Option<Hash128> {
    match &event.fact {
        Fact::Command(Order::Dismiss { event }) => Some(*event),
        _ => None,
    }
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
    let mut events = again(entry)?;
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
fn again(entry: &Entry) -> Result<Vec<Event>, Failure> {
    let refused = |why: String| Failure::new(Exit::Refused, format!("{why}: id=`{}`", entry.id));
    let body = STANDARD.decode(&entry.invalid.head).unwrap_or_default();
    if body.len() as u64 != entry.invalid.size {
        let why = format!("only the first {} of {} bytes are kept", body.len(), entry.invalid.size);
        return Err(refused(why));
    }
    let headers = headers(&entry.invalid);
    match understand(&Delivery { headers: &headers, body: &body }) {
        Ok(Understood::Record(events)) => Ok(events),
        Ok(Understood::Ping(_) | Understood::Ignore { .. }) => {
            Err(refused("it means nothing that is recorded; drop it".to_owned()))
        }
        Err(rejected) => Err(refused(format!("it is still not understood: {}", rejected.reason))),
    }
}

fn headers(invalid: &Invalid) -> HeaderMap {
    let named = invalid.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let typed = invalid.content_type.as_deref().map(|ty| ("content-type", ty));
    let parsed = named.chain(typed).filter_map(|(name, value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    parsed.collect()
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
