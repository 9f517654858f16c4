//! `refit why`: what became of an object, an event, a batch or a run.

use std::collections::BTreeMap;
use std::fmt;

use refit_core::commit::{BatchChange, Change};
use refit_core::event::{DataRef, Event, Fact};
use refit_core::key::{Hash128, RunKey};
use refit_core::member::Member;
use refit_core::reason::Refusal;
use refit_core::rules::Rules;
use refit_core::state::{BatchId, State};
use refit_core::time::{Span, Timestamp};
use refit_engine::explain::{Episode, Fate, Kept, Story, Subject, Verdict, tell};
use serde::Serialize;

use super::manifest::batch_of_key;
use super::status::held_now;
use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::fate::{self, nearest};
use crate::inbox;
use crate::output::Output;
use crate::progress::Progress;

/// Schemes an object may have that is named without one.
const SCHEMES: [&str; 3] = ["gs", "s3", "file"];

/// Tell for every trigger what became of an object, an event, a batch or a run, and why
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every event is accepted into a batch, or refused with a reason. A batch is held \
        with a reason until a time, or until what is said happens, or became a run. What is refused is judged again only if \
        it is replayed. For an object no trigger watches, the nearest trigger and the condition that fails are named.

Members of batches are told of for ever; what was refused, and the ids of deliveries and messages, as long as events are \
        kept: 35d unless the ledger says otherwise.

Examples:
  refit why gs://acme-data/churn/day=1.parquet
  refit why gs://acme-data/churn/day=1.parquet#1732179782000123
  refit why 7301948200114275
  refit why b17
  refit why rf-0b5e6f3c9d1a4e72b8c05f6a7d8e9f10"
)]
pub(crate) struct Args {
    /// An object (gs://bucket/name, s3://bucket/name or bucket/name; #generation may follow), an event (the id of a
    /// CloudEvent, of a delivery, or the 32 digits refit shows), a batch such as b17, or a run key such as rf-…
    #[arg(value_name = "OBJECT|EVENT|BATCH|RUN")]
    subject: String,
    /// How far back to look; unless said, as far as events are kept, and where that has nothing, as far as the log goes
    #[arg(long, value_name = "SPAN")]
    since: Option<Span>,
}

/// Something that may be meant.
#[derive(Clone, Debug)]
struct Meant {
    subject: Subject,
    object: Option<DataRef>,
}

/// Everything a story is told from.
struct Teller<'a> {
    context: &'a Context,
    opened: &'a Opened,
    state: &'a State,
    rules: Option<&'a Rules>,
    now: Timestamp,
    since: Timestamp,
}

#[derive(Debug, Serialize)]
struct Told {
    stories: Vec<ToldStory>,
}

#[derive(Debug, Serialize)]
struct ToldStory {
    events: Vec<ToldEvent>,
    batches: Vec<ToldBatch>,
}

#[derive(Debug, Default, Serialize)]
struct ToldEvent {
    /// Its id; none if nothing is kept of it.
    event: Option<Hash128>,
    name: Option<String>,
    generation: Option<String>,
    /// The route it came by; none if it is no longer kept.
    origin: Option<String>,
    /// The commit that decided; none if it waits to be.
    commit: Option<u64>,
    /// When it was decided, or recorded if it was not.
    at: Timestamp,
    decisions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ToldBatch {
    batch: BatchId,
    trigger: Option<String>,
    episodes: Vec<ToldEpisode>,
    /// How it stands now.
    now: Option<String>,
}

#[derive(Debug, Serialize)]
struct ToldEpisode {
    at: Timestamp,
    commit: u64,
    what: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let book = opened.rules(&state).await?.and_then(Result::ok);
    let now = opened.now(&state).await?;
    let teller = Teller {
        context,
        opened: &opened,
        state: &state,
        rules: book.as_ref().map(|book| &*book.rules),
        now,
        since: now - args.since.unwrap_or(state.timing.window),
    };
    let mut stories = teller.stories(&args.subject).await?;
    if stories.is_empty() && args.since.is_none() && outlasts_events(&args.subject) {
        stories = Teller { since: Timestamp::EPOCH, ..teller }.stories(&args.subject).await?;
    }
    if stories.is_empty() {
        return Err(teller.nothing(&args.subject, args.since));
    }
    context.output.show(&Told { stories })?;
    Ok(Exit::Ok)
}

/// Whether the log may tell what a text means beyond what is kept of events, and was not read for it as a whole.
fn outlasts_events(text: &str) -> bool {
    let meant = meant(text).into_iter().chain(in_watched_folder(text));
    meant.map(|meant| meant.subject).any(|subject| !matches!(subject, Subject::Batch(_)))
}

/// Says what may name the subject, and cannot be read.
pub(super) fn say_unreadable(output: Output, story: &Story) {
    for name in &story.unreadable {
        output.note(&format!("it may be named by what cannot be read: name=`{name}`"));
    }
}

/// What a text may mean, by its looks.
fn meant(text: &str) -> Vec<Meant> {
    let of = |subject| vec![Meant { subject, object: None }];
    if let Ok(batch) = text.parse() {
        return of(Subject::Batch(batch));
    }
    if let Ok(id) = text.parse() {
        return of(Subject::Event(id));
    }
    objects(text).into_iter().map(Meant::object).collect()
}

/// The object that a path into the watched folder of `refit dev` is, as a shell completes it.
fn in_watched_folder(text: &str) -> Option<Meant> {
    let below = text.rsplit_once("/buckets/").map(|(_, rest)| rest);
    let place =
        below.or_else(|| text.strip_prefix("buckets/")).filter(|_| !text.contains("://"))?;
    objects(&format!("gs://{place}")).into_iter().next().map(Meant::object)
}

/// The objects a text may name. A `#` may belong to the name, or part it from the generation.
pub(super) fn objects(text: &str) -> Vec<DataRef> {
    let (schemes, path) = match text.split_once("://") {
        Some((scheme, path)) => (vec![scheme], path),
        None => (SCHEMES.to_vec(), text),
    };
    let Some((bucket, whole)) = path.split_once('/').filter(|(bucket, _)| !bucket.is_empty())
    else {
        return Vec::new();
    };
    let parted = whole.rsplit_once('#').map(|(name, generation)| (name, Some(generation)));
    let names = [Some((whole, None)), parted].into_iter().flatten();
    let named = |(name, generation): (&str, Option<&str>)| {
        let object = DataRef {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            generation: generation.map(str::to_owned),
            ..DataRef::default()
        };
        schemes.iter().map(move |scheme| DataRef { scheme: (*scheme).to_owned(), ..object.clone() })
    };
    names.flat_map(named).collect()
}

impl Meant {
    fn object(object: DataRef) -> Self {
        Self { subject: Subject::object(&object), object: Some(object) }
    }

    /// Whether an event is about it.
    fn is_of(&self, event: &Event) -> bool {
        match (&self.subject, &event.fact) {
            (Subject::Event(id), _) => event.id() == *id,
            (Subject::Object { place, .. }, Fact::Object(change)) => {
                change.object.place() == *place && self.is_generation(&change.object.generation)
            }
            (Subject::Object { .. } | Subject::Batch(_), _) => false,
        }
    }

    /// Whether what is kept of an event may be about it.
    fn may_be_of(&self, kept: &Kept) -> bool {
        match kept {
            Kept::Event(event) => self.is_of(event),
            Kept::Member(member) => self.is_generation(&member.generation),
            Kept::Nothing { .. } => true,
        }
    }

    fn is_generation(&self, generation: &Option<String>) -> bool {
        let wanted = self.object.as_ref().and_then(|object| object.generation.as_ref());
        wanted.is_none() || wanted == generation.as_ref()
    }
}

impl Teller<'_> {
    /// The stories of what a text means.
    async fn stories(&self, text: &str) -> Result<Vec<ToldStory>, Failure> {
        let mut stories = Vec::new();
        for meant in meant(text) {
            stories.extend(self.tell(&meant).await?);
        }
        if let Some(meant) = in_watched_folder(text).filter(|_| stories.is_empty()) {
            stories.extend(self.tell(&meant).await?);
        }
        if stories.is_empty() {
            for subject in self.named(text).await? {
                stories.extend(self.tell(&Meant { subject, object: None }).await?);
            }
        }
        Ok(stories)
    }

    /// The story of what is meant, if there is one.
    async fn tell(&self, meant: &Meant) -> Result<Option<ToldStory>, Failure> {
        let progress = Progress::new(self.context.output, "commits read");
        let ledger = &self.opened.ledger;
        let count = |commits| progress.count(commits);
        let mut story = tell(ledger, self.state, &meant.subject, self.since, &count).await?;
        drop(progress);
        say_unreadable(self.context.output, &story);
        story.fates.retain(|fate| meant.may_be_of(&fate.kept));
        keep_batches(&mut story, &meant.subject);
        let mut events: Vec<ToldEvent> = story.fates.iter().map(|fate| self.event(fate)).collect();
        events.extend(self.pending(meant).await?);
        let has_episode = story.batches.values().any(|episodes| !episodes.is_empty());
        if events.is_empty() && !has_episode {
            return Ok(None);
        }
        let batches = story.batches.iter().map(|(id, episodes)| self.batch(*id, episodes));
        Ok(Some(ToldStory { batches: batches.collect(), events }))
    }

    /// Events that are recorded, and that no commit has consumed.
    async fn pending(&self, meant: &Meant) -> Result<Vec<ToldEvent>, Failure> {
        if matches!(meant.subject, Subject::Batch(_)) {
            return Ok(Vec::new());
        }
        let ledger = &self.opened.ledger;
        let unread = inbox::unread(ledger, self.state).await?;
        let events = inbox::events(ledger, &unread, |event| meant.is_of(event), &|_| ()).await?;
        let pending = events.iter().map(|(entry, event)| ToldEvent {
            commit: None,
            at: entry.created,
            decisions: vec![format!(
                "waits for the reconciler in segment {}",
                inbox::name_of(entry)
            )],
            ..ToldEvent::named(event)
        });
        Ok(pending.collect())
    }

    fn batch(&self, batch: BatchId, episodes: &[Episode]) -> ToldBatch {
        let told = episodes.iter().filter_map(|Episode { commit, at, change }| {
            Some(ToldEpisode { at: *at, commit: *commit, what: fate::episode(change)? })
        });
        let trigger = episodes.iter().find_map(|episode| match &episode.change {
            Change::Batch { change: BatchChange::Joined { trigger, .. }, .. } => Some(trigger),
            Change::Closed(closed) => Some(&closed.trigger),
            _ => None,
        });
        let now = self.state.open_batch(batch).map(|_| {
            let trouble = self.state.trouble_of(batch).map(|trouble| &*trouble.message);
            match (held_now(self.state, self.rules, batch, self.now), trouble) {
                (Some(held), trouble) => fate::held_because(held, trouble),
                (None, Some(cause)) => {
                    format!("due: the next pass tries again what could not be prepared: {cause}")
                }
                (None, None) => "due: the next pass starts it".to_owned(),
            }
        });
        ToldBatch { batch, trigger: trigger.cloned(), episodes: told.collect(), now }
    }

    fn event(&self, fate: &Fate) -> ToldEvent {
        let mut told = ToldEvent::of(fate);
        let is_unwatched = fate.verdicts.iter().any(|verdict| {
            matches!(verdict, Verdict::Refused { trigger: None, reason: Refusal::NoMatch, .. })
        });
        if let Kept::Event(Event { fact: Fact::Object(change), .. }) = &fate.kept
            && is_unwatched
        {
            told.decisions.extend(self.nearest(&change.object));
        }
        told
    }

    /// The trigger in force that comes nearest to watching an object, and the condition that fails.
    fn nearest(&self, object: &DataRef) -> Option<String> {
        let (trigger, fault) = nearest(self.rules?, object)?;
        Some(format!("the nearest trigger in force is {trigger}, but {fault}"))
    }

    /// What goes by a name that only the log or the segments know: a run key, or the id of a delivery or message.
    async fn named(&self, text: &str) -> Result<Vec<Subject>, Failure> {
        if let Ok(key) = text.parse::<RunKey>() {
            let known = self.state.run_named(text).map(|run| run.batch);
            let batch = match known {
                Some(batch) => Some(batch),
                None => batch_of_key(self.opened, key, self.context.output).await?,
            };
            return Ok(batch.map(Subject::Batch).into_iter().collect());
        }
        let goes_by = |event: &Event| {
            let message = match &event.fact {
                Fact::Message(message) => message.id == text,
                Fact::Object(_) | Fact::Drift(_) | Fact::Command(_) | Fact::Invalid(_) => false,
            };
            message || event.delivery.as_deref() == Some(text) || event.name() == text
        };
        let progress = Progress::new(self.context.output, "segments read");
        let ledger = &self.opened.ledger;
        let entries = inbox::since(ledger, self.since).await?;
        let count = |segments| progress.count(segments);
        let events = inbox::events(ledger, &entries, goes_by, &count).await?;
        let mut named = Vec::new();
        for subject in events.iter().map(|(_, event)| Subject::Event(event.id())) {
            if !named.contains(&subject) {
                named.push(subject);
            }
        }
        Ok(named)
    }

    /// Says that nothing was found, and what to look at next.
    fn nothing(&self, text: &str, since: Option<Span>) -> Failure {
        if text.parse::<BatchId>().is_ok() || text.parse::<RunKey>().is_ok() {
            let message = format!(
                "there is no such batch or run in this ledger: subject=`{text}`, ledger=`{}`\
                 \n- `refit status` lists the batches that wait, `refit runs --all` the runs\
                 \n- is it another ledger's? name that with --ledger",
                self.opened.location
            );
            return Failure::new(Exit::NotFound, message);
        }
        let stated = || objects(text).into_iter().next().filter(|_| text.contains("://"));
        let object = in_watched_folder(text).and_then(|meant| meant.object).or_else(stated);
        let watched = object.map(|object| match (self.nearest(&object), self.rules.is_some()) {
            (Some(nearest), _) => nearest,
            (None, true) => "a trigger in force watches it".to_owned(),
            (None, false) => "no rules are in force".to_owned(),
        });
        let watched = watched.map(|text| format!("\n- {text}")).unwrap_or_default();
        let window = self.state.timing.window;
        let within = since.map(|span| format!(" in the last {span}")).unwrap_or_default();
        let longer = match since {
            Some(_) => "was it longer ago? say so with --since".to_owned(),
            None => {
                format!("is it the id of a delivery or a message? those are known for {window}")
            }
        };
        let message = format!(
            "nothing is recorded of it{within}: subject=`{text}`{watched}\
             \n- {longer}\
             \n- did it arrive? the log of the function names every event it records\
             \n- was it not understood? `refit status` counts those"
        );
        Failure::new(Exit::NotFound, message)
    }
}

/// Leaves the batches of the events that are left, and those their members moved to.
fn keep_batches(story: &mut Story, subject: &Subject) {
    if matches!(subject, Subject::Batch(_)) {
        return;
    }
    let verdicts = story.fates.iter().flat_map(|fate| &fate.verdicts);
    let mut left: Vec<BatchId> = verdicts
        .filter_map(|verdict| match verdict {
            Verdict::Accepted { batch, .. } => Some(*batch),
            Verdict::Refused { .. } => None,
        })
        .collect();
    let mut kept = BTreeMap::new();
    while let Some(batch) = left.pop() {
        let Some(episodes) = story.batches.remove(&batch) else { continue };
        left.extend(episodes.iter().filter_map(|episode| match &episode.change {
            Change::Batch { change: BatchChange::MovedTo(to), .. } => Some(*to),
            _ => None,
        }));
        kept.insert(batch, episodes);
    }
    story.batches = kept;
}

impl ToldEvent {
    fn of(fate: &Fate) -> Self {
        let mut decisions: Vec<String> = fate.verdicts.iter().map(fate::verdict).collect();
        decisions.extend(fate::lost(&fate.kept).map(str::to_owned));
        let named = match &fate.kept {
            Kept::Event(event) => Self::named(event),
            Kept::Member(member) => Self::member(member),
            Kept::Nothing { .. } => Self::default(),
        };
        Self { commit: Some(fate.commit), at: fate.at, decisions, ..named }
    }

    fn member(member: &Member) -> Self {
        Self {
            event: Some(member.event),
            name: Some(member.name()),
            generation: member.generation.clone(),
            ..Self::default()
        }
    }

    fn named(event: &Event) -> Self {
        let generation = match &event.fact {
            Fact::Object(change) => change.object.generation.clone(),
            Fact::Message(_) | Fact::Drift(_) | Fact::Command(_) | Fact::Invalid(_) => None,
        };
        Self {
            event: Some(event.id()),
            name: Some(event.name()),
            generation,
            origin: Some(event.origin.clone()),
            ..Self::default()
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, story) in self.stories.iter().enumerate() {
            let gap = if number > 0 { "\n" } else { "" };
            write!(f, "{gap}{story}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ToldStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| write!(f, "{event}"))?;
        self.batches.iter().try_for_each(|batch| write!(f, "{batch}"))
    }
}

impl fmt::Display for ToldEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, name, generation, origin, commit, at, decisions } = self;
        let name = name.as_deref().unwrap_or("an event");
        let generation = generation.as_ref().map(|text| format!("#{text}")).unwrap_or_default();
        write!(f, "{name}{generation}")?;
        if let Some(event) = event {
            write!(f, ", event {event}")?;
        }
        if let Some(origin) = origin {
            write!(f, ", by {origin}")?;
        }
        match commit {
            Some(commit) => writeln!(f, ", decided {at} by commit {commit}")?,
            None => writeln!(f, ", recorded {at}")?,
        }
        decisions.iter().try_for_each(|decision| writeln!(f, "  {decision}"))
    }
}

impl fmt::Display for ToldBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.trigger.as_ref().map(|trigger| format!(" of {trigger}")).unwrap_or_default();
        writeln!(f, "batch {}{of}", self.batch)?;
        for ToldEpisode { at, commit, what } in &self.episodes {
            writeln!(f, "  {at}  commit {commit}  {what}")?;
        }
        self.now.iter().try_for_each(|now| writeln!(f, "  now  {now}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let named = objects(text).into_iter().map(|object| {
            let generation = object.generation.as_ref().map(|text| format!(" @{text}"));
            format!("{}{}", object.uri(), generation.unwrap_or_default())
        });
        assert_eq!(named.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn an_object_is_named_with_or_without_scheme_and_generation() {
        check("gs://b/in/x.csv", &["gs://b/in/x.csv"]);
        check("gs://b/x#7", &["gs://b/x#7", "gs://b/x @7"]);
        check("b/x", &["gs://b/x", "s3://b/x", "file://b/x"]);
        check("7301948200114275", &[]);
        check("/x", &[]);
    }

    #[test]
    fn a_path_into_the_watched_folder_is_the_object_that_is_announced() {
        let of = |text| in_watched_folder(text).and_then(|meant| Some(meant.object?.uri()));
        for text in ["buckets/b/in/x.csv", "./buckets/b/in/x.csv", "/srv/me/buckets/b/in/x.csv"] {
            assert_eq!(of(text).as_deref(), Some("gs://b/in/x.csv"), "{text}");
        }
        for text in ["gs://b/buckets/x/y", "b/x", "buckets/loose.csv", "mybuckets/b/x"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_means_what_it_looks_like() {
        let subject = |text: &str| meant(text).into_iter().map(|meant| meant.subject).next();
        assert_eq!(subject("b17.2"), Some(Subject::Batch("b17.2".parse().unwrap())));
        assert!(matches!(subject("0b5e6f3c9d1a4e72b8c05f6a7d8e9f10"), Some(Subject::Event(_))));
        assert!(matches!(subject("gs://b/x"), Some(Subject::Object { .. })));
        assert_eq!(subject("7301948200114275"), None);
    }
}
