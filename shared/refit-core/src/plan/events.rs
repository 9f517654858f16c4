//! Which batch an event belongs to, or why to none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Desk, Need, Segment};
use crate::commit::{BatchChange, Decision, EventSet};
use crate::event::{Command, Event, Fact, Message, PauseMode, ReplayMode, replayed_for};
use crate::expression::{Expression, Scope};
use crate::key::Hash128;
use crate::member::Member;
use crate::memory::Fresh;
use crate::mutant::{self, Mutant};
use crate::reason::Refusal;
use crate::rules::{Rules, Trigger};
use crate::scope::scope_of;
use crate::state::{BatchId, Seal};
use crate::template;
use crate::time::Timestamp;
use crate::timing::BATCH_KEY_BYTES_MAX;

/// An event with its place in the commit.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) event: &'a Event,
    segment: u32,
    place: u32,
    /// When the store accepted it.
    pub(super) arrived: Timestamp,
}

/// Every event of the segments, in the order of their names.
pub(super) fn items(segments: &[Segment], now: Timestamp) -> impl Iterator<Item = Item<'_>> {
    let counted = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    segments.iter().enumerate().flat_map(move |(number, segment)| {
        let arrived = segment.created.min(now);
        let (events, segment) = (segment.events.iter().enumerate(), counted(number));
        events.map(move |(place, event)| Item { event, segment, place: counted(place), arrived })
    })
}

/// What becomes a member.
pub(super) struct Entrant {
    pub(super) member: Member,
    pub(super) arrived: Timestamp,
    /// The segment and the place of its event, where it was one.
    pub(super) place: Option<(u32, u32)>,
}

/// A trigger with its name.
pub(super) type Named<'a> = (&'a String, &'a Trigger);

/// Why an event is refused, with a word on it.
pub(super) struct Refused {
    pub(super) reason: Refusal,
    pub(super) detail: Option<String>,
}

/// What was decided of events since it was last written down, gathered by what they have in common.
#[derive(Default)]
pub(super) struct Tally {
    refused: BTreeMap<(Option<String>, Refusal, Option<String>), EventSet>,
    joined: BTreeMap<BatchId, Joined>,
    accepting: BTreeMap<(String, String), BatchId>,
}

/// What joins one batch.
struct Joined {
    trigger: String,
    key: String,
    count: u64,
    bytes: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    events: EventSet,
}

impl Desk<'_> {
    /// Judges every event of the segments in the order of their names; the rules in force may change on the way.
    pub(super) fn judge_segments(&mut self, mut rules: Arc<Rules>) -> Arc<Rules> {
        for item in items(self.inputs.segments, self.now) {
            self.judge_event(&mut rules, item);
        }
        self.flush();
        rules
    }

    fn judge_event(&mut self, rules: &mut Arc<Rules>, item: Item<'_>) {
        let id = item.event.id();
        if let Some(reason) = self.old_news(item) {
            self.refuse(None, Refused::new(reason), item);
            if reason == Refusal::Late {
                self.fresh.insert(id, false);
            }
            return;
        }
        let accepted = match &item.event.fact {
            Fact::Object(change) => self.judge_object(rules, item, change),
            Fact::Message(message) => self.judge_message(rules, item, message),
            Fact::Drift(report) => self.judge_drift(rules, item, report),
            Fact::Invalid(invalid) => {
                self.refuse(None, Refused::because(Refusal::Invalid, &invalid.reason), item);
                false
            }
            Fact::Command(command) => self.answer(rules, item, command),
        };
        // One that was replayed for a trigger may have been a member of others' batches before.
        let is_member = item.event.only().is_some() && self.known(id) == Some(true);
        if !is_member {
            let before = self.fresh.get(&id).copied().unwrap_or(false);
            self.fresh.insert(id, accepted || before);
        }
    }

    /// Whether the ledger has this fact already, or has forgotten whether it does.
    pub(super) fn old_news(&mut self, item: Item<'_>) -> Option<Refusal> {
        let known = self.known(item.event.id());
        if known.is_some() && !self.may_come_again(item.event, known) {
            return Some(Refusal::Duplicate);
        }
        if known.is_none()
            && item.event.is_replayed(ReplayMode::Again)
            && item.event.only().is_some()
        {
            return Some(Refusal::Late);
        }
        let oldest = item.event.time.map_or(item.arrived, |time| time.min(item.arrived));
        let late = !item.event.is_forced() && oldest < self.remembered();
        late.then_some(Refusal::Late)
    }

    /// Since when the ledger knows everything it has seen.
    fn remembered(&self) -> Timestamp {
        (self.now - self.state.timing.age_max()).max(self.restored().unwrap_or(Timestamp::EPOCH))
    }

    /// When the ledger was restored from a copy, which has perhaps forgotten what is older.
    pub(super) fn restored(&self) -> Option<Timestamp> {
        self.state.marks.restored.filter(|_| !mutant::is(Mutant::RestorationIgnored))
    }

    /// Whether an event the ledger knows is to be judged again: no batch has it, or none of the trigger it is for.
    fn may_come_again(&mut self, event: &Event, known: Option<bool>) -> bool {
        if !event.is_replayed(ReplayMode::Again) {
            return false;
        }
        match event.only() {
            None => known == Some(false),
            Some(_) if mutant::is(Mutant::ReplayedTwice) => true,
            Some(trigger) => self.known(replayed_for(event.id(), trigger)).is_none(),
        }
    }

    /// Whether an identity was recorded, and if so, whether it was accepted.
    pub(super) fn known(&mut self, id: Hash128) -> Option<bool> {
        let here = self.fresh.get(&id).copied();
        let live = here.or_else(|| self.memory.identity(id).map(|known| known.accepted));
        live.or_else(|| self.in_runs(id, |run| run.identity(id)))
    }

    /// Looks into the runs of the memory whose filter does not rule the entry out, newest first.
    pub(super) fn in_runs<T>(
        &mut self,
        entry: Hash128,
        look: impl Fn(&Fresh) -> Option<T>,
    ) -> Option<T> {
        for run in self.memory.runs_with(entry) {
            match self.inputs.found.runs.get(&run.name).map(|loaded| look(loaded)) {
                Some(Some(found)) => return Some(found),
                Some(None) => {}
                None => {
                    self.needs.insert(Need::SeenRun(run.name.clone()));
                }
            }
        }
        None
    }

    fn answer(&mut self, rules: &mut Arc<Rules>, item: Item<'_>, command: &Command) -> bool {
        self.flush();
        let answer = self.obey(rules, command, item.event.time);
        let (ok, message) = answer.map_or_else(|text| (false, text), |text| (true, text));
        self.decisions.push(Decision::Answered { command: item.event.id(), ok, message });
        false
    }

    fn judge_message(&mut self, rules: &Rules, item: Item<'_>, message: &Message) -> bool {
        let concerned = triggers_for(rules, item.event).filter(|(_, rule)| rule.hears(message));
        let verdicts = concerned.map(|named| {
            let verdict = self.admit(named, item.event);
            self.settle_verdict(named, item, verdict)
        });
        let verdicts: Vec<bool> = verdicts.collect();
        self.sum_up(&verdicts, item)
    }

    /// Whether any trigger accepted the event; an event no trigger watches is refused as such.
    pub(super) fn sum_up(&mut self, verdicts: &[bool], item: Item<'_>) -> bool {
        if verdicts.is_empty() {
            self.refuse(item.event.only(), Refused::new(Refusal::NoMatch), item);
        }
        verdicts.contains(&true)
    }

    /// The key of the batch an event belongs to, or why it belongs to none.
    pub(super) fn admit(&self, named: Named<'_>, event: &Event) -> Result<String, Refused> {
        self.admit_scope(named, || scope_of(event))
    }

    /// The same for whatever has this scope.
    pub(super) fn admit_scope(
        &self,
        named: Named<'_>,
        scope: impl FnOnce() -> Result<Scope, String>,
    ) -> Result<String, Refused> {
        let (_, rule) = named;
        self.check_pause(named)?;
        if rule.when.is_none() && rule.batch.by.is_none() {
            return Ok(String::new());
        }
        let scope = scope().map_err(|text| Refused::because(Refusal::FilterError, &text))?;
        match rule.when.as_ref().map_or(Ok(true), |when| when.eval_bool(&scope)) {
            Ok(true) => key_of(rule.batch.by.as_ref(), &scope),
            Ok(false) => Err(Refused::new(Refusal::Filtered)),
            Err(text) => Err(Refused::because(Refusal::FilterError, &text)),
        }
    }

    fn check_pause(&self, (name, _): Named<'_>) -> Result<(), Refused> {
        let paused = self.state.triggers.get(name).and_then(|standing| standing.paused);
        match paused {
            Some(PauseMode::Ignore) => Err(Refused::new(Refusal::Paused)),
            Some(PauseMode::Hold) | None => Ok(()),
        }
    }

    /// Says that an event is the marker of a batch, and of which.
    pub(super) fn mark(&self, named: Named<'_>, event: &Event) -> Refused {
        let (_, rule) = named;
        let scope = scope_of(event).map_err(|text| Refused::because(Refusal::KeyError, &text));
        let key = self.check_pause(named).and(scope);
        match key.and_then(|scope| key_of(rule.batch.by.as_ref(), &scope)) {
            Ok(key) => {
                Refused { reason: Refusal::Marker, detail: (!key.is_empty()).then_some(key) }
            }
            Err(refused) => refused,
        }
    }

    pub(super) fn settle_verdict(
        &mut self,
        named: Named<'_>,
        item: Item<'_>,
        verdict: Result<String, Refused>,
    ) -> bool {
        let again = item.event.is_replayed(ReplayMode::Again);
        let again = again.then(|| replayed_for(item.event.id(), named.0));
        // What is known of a replay may be younger than what is known of its event, and outlives that.
        let was_replayed = again.is_some_and(|id| self.known(id) == Some(true))
            && !mutant::is(Mutant::ReplayedTwice);
        let verdict = verdict.and_then(|key| match was_replayed {
            true => Err(Refused::new(Refusal::Duplicate)),
            false => Ok(key),
        });
        match verdict {
            Ok(key) => {
                self.fresh.extend(again.map(|id| (id, true)));
                if let Some(member) = Member::of(item.event) {
                    let place = Some((item.segment, item.place));
                    self.join(named, key, Entrant { member, arrived: item.arrived, place });
                }
                true
            }
            Err(refused) => {
                if refused.reason == Refusal::Marker {
                    self.seal_marked(named, refused.detail.as_deref().unwrap_or_default());
                }
                self.refuse(Some(named.0), refused, item);
                false
            }
        }
    }

    /// Adds a member to the batch that takes it.
    pub(super) fn join(
        &mut self,
        (name, rule): Named<'_>,
        key: String,
        entrant: Entrant,
    ) -> BatchId {
        let Entrant { member, arrived, place } = entrant;
        let id = self.accepting((name, rule), &key);
        let joined = self.tally.joined.entry(id).or_insert_with(|| Joined::new(name, key, arrived));
        joined.count += 1;
        joined.bytes = joined.bytes.saturating_add(member.size.unwrap_or(0));
        joined.first_at = joined.first_at.min(arrived);
        joined.last_at = joined.last_at.max(arrived);
        place.into_iter().for_each(|(segment, place)| joined.events.add(segment, place));
        self.joining.join(id, member);
        if rule.batch.each {
            self.flush();
            self.change_batch(id, BatchChange::Sealed(Seal::Each));
        }
        id
    }

    /// The batch that takes the next member, a new one where the last is full.
    fn accepting(&mut self, (name, rule): Named<'_>, key: &str) -> BatchId {
        let slot = (name.clone(), key.to_owned());
        let standing = self.state.triggers.get(name);
        let open = standing.and_then(|standing| standing.accepting.get(key)).copied();
        let taking = self.tally.accepting.get(&slot).copied().or(open);
        // What was gathered before the rules said `each` stays what it was.
        if let Some(id) = taking.filter(|_| !rule.batch.each) {
            let stored =
                standing.and_then(|standing| standing.open.get(&id)).map_or(0, |batch| batch.count);
            let count = stored + self.tally.joined.get(&id).map_or(0, |joined| joined.count);
            if count < rule.batch.max_count {
                return id;
            }
            self.flush();
            self.change_batch(id, BatchChange::Sealed(Seal::Full));
        }
        let id = BatchId { seq: self.seq, index: self.opened };
        self.opened += 1;
        self.tally.accepting.insert(slot, id);
        id
    }

    fn seal_marked(&mut self, (name, _): Named<'_>, key: &str) {
        self.flush();
        let standing = self.state.triggers.get(name);
        if let Some(batch) = standing.and_then(|standing| standing.accepting.get(key).copied()) {
            self.change_batch(batch, BatchChange::Sealed(Seal::Marker));
        }
    }

    pub(super) fn refuse(&mut self, trigger: Option<&str>, refused: Refused, item: Item<'_>) {
        let key = (trigger.map(str::to_owned), refused.reason, refused.detail);
        self.tally.refused.entry(key).or_default().add(item.segment, item.place);
    }

    /// Writes down what was gathered so far if batches were joined, so that what follows sees them open.
    pub(super) fn flush_members(&mut self) {
        if !self.tally.joined.is_empty() {
            self.flush();
        }
    }

    /// Writes down what was gathered so far, so that what follows sees it.
    pub(super) fn flush(&mut self) {
        let Tally { refused, joined, accepting: _ } = std::mem::take(&mut self.tally);
        for (batch, joined) in joined {
            let Joined { trigger, key, count, bytes, first_at, last_at, events } = joined;
            if !events.is_empty() {
                self.decisions.push(Decision::Accepted { trigger: trigger.clone(), batch, events });
            }
            self.change_batch(
                batch,
                BatchChange::Joined { trigger, key, count, bytes, first_at, last_at },
            );
        }
        for ((trigger, reason, detail), events) in refused {
            self.decisions.push(Decision::Refused { trigger, reason, detail, events });
        }
    }
}

impl Refused {
    pub(super) fn new(reason: Refusal) -> Self {
        Self { reason, detail: None }
    }

    pub(super) fn because(reason: Refusal, text: &str) -> Self {
        Self { reason, detail: Some(text.to_owned()) }
    }
}

impl Joined {
    fn new(trigger: &str, key: String, arrived: Timestamp) -> Self {
        Self {
            trigger: trigger.to_owned(),
            key,
            count: 0,
            bytes: 0,
            first_at: arrived,
            last_at: arrived,
            events: EventSet::default(),
        }
    }
}

/// The triggers an event is for.
pub(super) fn triggers_for<'r>(
    rules: &'r Rules,
    event: &'r Event,
) -> impl Iterator<Item = Named<'r>> {
    rules.triggers.iter().filter(move |(name, _)| is_for(event, name))
}

pub(super) fn is_for(event: &Event, trigger: &str) -> bool {
    mutant::is(Mutant::ReplayReachesOthers) || event.is_for(trigger)
}

fn key_of(by: Option<&Expression>, scope: &Scope) -> Result<String, Refused> {
    let Some(by) = by else {
        return Ok(String::new());
    };
    let value = by.eval(scope).map_err(|text| Refused::because(Refusal::KeyError, &text))?;
    let key = template::text(&value);
    match key.len() <= BATCH_KEY_BYTES_MAX {
        true => Ok(key),
        false => Err(Refused::because(Refusal::KeyError, "the key is too long")),
    }
}
