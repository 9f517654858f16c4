//! What becomes of an object that was uploaded, deleted or overwritten.

use std::cmp::Ordering;

use super::Desk;
use super::events::{Item, Named, Refused, is_for, triggers_for};
use crate::event::{DataRef, Event, ObjectChange, ObjectKind, ReplayMode};
use crate::key::Hash128;
use crate::member::Line;
use crate::memory::{Sighting, checksum_hash};
use crate::mutant::{self, Mutant};
use crate::reason::Refusal;
use crate::rules::{Rules, Trigger};
use crate::state::BatchId;

impl Desk<'_> {
    pub(super) fn judge_object(
        &mut self,
        rules: &Rules,
        item: Item<'_>,
        change: &ObjectChange,
    ) -> bool {
        let object = &change.object;
        let refusal = match change.kind {
            ObjectKind::Finalized => None,
            ObjectKind::Deleted | ObjectKind::Archived => {
                self.note_deletion(rules, item.event, change);
                Some(Refusal::Deletion)
            }
            ObjectKind::MetadataUpdated => Some(Refusal::NotAnUpload),
        };
        if let Some(reason) = refusal {
            self.refuse(None, Refused::new(reason), item);
            return false;
        }
        let identical = !item.event.is_forced() && self.is_identical(item.event, object);
        if identical {
            self.note_same(rules, item.event, object);
        }
        let concerned = |(_, rule): &Named<'_>| is_marker(rule, object) || rule.watches(object);
        let verdicts = triggers_for(rules, item.event).filter(concerned).map(|named| {
            let verdict = self.admit_object(named, item.event, object, identical);
            self.settle_verdict(named, item, verdict)
        });
        let verdicts: Vec<bool> = verdicts.collect();
        let accepted = self.sum_up(&verdicts, item);
        if accepted && self.is_gone(item.event, object) {
            self.note_gone(object);
        }
        self.remember_object(object, accepted);
        accepted
    }

    /// What is known of the newest generation of an object.
    fn sighting(&mut self, place: Hash128) -> Option<Sighting> {
        let here = self.sightings.get(&place).copied();
        let live = here.or_else(|| self.memory.object(place));
        live.or_else(|| self.in_runs(place, |run| run.object(place)))
    }

    /// Lets the batches that may hold a generation know that it is gone. The same bytes are new data from then on, unless
    /// they came by overwriting it and no batch is open that may have had it.
    fn note_deletion(&mut self, rules: &Rules, event: &Event, change: &ObjectChange) {
        let object = &change.object;
        let generation = object.generation.clone();
        let at = event.time.filter(|_| generation.is_none());
        let sequencer = object.sequencer;
        let line = Line::Gone { uri: object.uri(), generation, at, sequencer };
        let is_told = self.tell_open(rules, (event, object), &line);
        let place = object.place();
        let known = self.sighting(place);
        let created = object.created.or(event.time).unwrap_or(self.now);
        // Of a generation that was not seen yet no batch can have the bytes: it is gone when it comes.
        let order = known.map(|known| known.order(created, sequencer));
        let is_unseen = order.is_none_or(Ordering::is_lt);
        let is_newest = order == Some(Ordering::Equal) && known.is_some_and(|it| it.accepted);
        let is_new_data = is_newest && (is_told || change.overwritten_by.is_none());
        // The time of a deletion says nothing of the one generation that it names.
        let is_exact = object.created.is_some() || object.generation.is_none();
        if (is_unseen || is_new_data) && !mutant::is(Mutant::DeletedBytesRemembered) {
            let checksum = if is_exact { Sighting::GONE } else { 0 };
            let gone = Sighting { place, checksum, created, sequencer, accepted: false };
            self.sightings.insert(place, gone);
        }
    }

    /// Whether the deletion of what was uploaded was told before it. Whoever sends an upload again wants it all the same.
    fn is_gone(&mut self, event: &Event, object: &DataRef) -> bool {
        let is_wanted = event.is_forced() || event.is_replayed(ReplayMode::Again);
        let created = object.created.unwrap_or(self.now);
        let known = self.sighting(object.place()).filter(|known| known.is_gone() && !is_wanted);
        match known.map(|known| known.order(created, object.sequencer)) {
            Some(Ordering::Equal) => true,
            // An earlier generation may be there still where a later one was deleted.
            Some(Ordering::Greater) => object.generation.is_none(),
            Some(Ordering::Less) | None => false,
        }
    }

    /// Lets the batches that an upload joins know that it, and what was uploaded before it, is gone.
    fn note_gone(&mut self, object: &DataRef) {
        let (generation, at) = (object.generation.clone(), object.created);
        let line = Line::Gone { uri: object.uri(), generation, at, sequencer: object.sequencer };
        self.joining.tell([], line);
    }

    /// Adds a line to every open batch that may hold generations of an object, whatever its key: that may be another
    /// than before. Says whether there is any whose trigger is in the rules.
    fn tell_open(
        &mut self,
        rules: &Rules,
        (event, object): (&Event, &DataRef),
        line: &Line,
    ) -> bool {
        self.flush_members();
        let watching = triggers_for(rules, event).filter(|(_, rule)| rule.watches(object));
        let open: Vec<BatchId> = watching.flat_map(|(name, _)| self.open_of(name)).collect();
        let returning = self.open_of_removed(event, object);
        let is_told = !open.is_empty();
        self.joining.tell(open.into_iter().chain(returning), line.clone());
        is_told
    }

    /// Open batches of triggers that watched an object until they were taken out of the rules.
    fn open_of_removed(&mut self, event: &Event, object: &DataRef) -> Vec<BatchId> {
        let removed = self.state.triggers.iter().filter(|(name, standing)| {
            standing.removed && !standing.open.is_empty() && is_for(event, name)
        });
        let last = removed.filter_map(|(name, it)| Some((name.clone(), it.removed_from.clone()?)));
        let mut open = Vec::new();
        for (name, revision) in last.collect::<Vec<_>>() {
            let Some(Ok(rules)) = self.rules_of(&revision) else { continue };
            if rules.triggers.get(&name).is_some_and(|rule| rule.watches(object)) {
                open.extend(self.open_of(&name));
            }
        }
        open
    }

    /// Lets the batches that may hold an older generation know that this one has the same bytes.
    fn note_same(&mut self, rules: &Rules, event: &Event, object: &DataRef) {
        if mutant::is(Mutant::SameBytesForgotten) {
            return;
        }
        let line = Line::Same {
            uri: object.uri(),
            generation: object.generation.clone(),
            created: object.created,
            sequencer: object.sequencer,
            checksum: object.checksum.clone().unwrap_or_default(),
        };
        self.tell_open(rules, (event, object), &line);
    }

    fn is_identical(&mut self, event: &Event, object: &DataRef) -> bool {
        let Some(checksum) = object.checksum.as_deref() else {
            return false;
        };
        // What other triggers took may be this very generation, where it is replayed for one.
        let is_itself = |known: Sighting| {
            let order = object.created.map(|created| known.order(created, object.sequencer));
            event.only().is_some() && order == Some(Ordering::Equal)
        };
        let known = self.sighting(object.place()).filter(|known| !is_itself(*known));
        known.is_some_and(|known| known.accepted && known.checksum == checksum_hash(checksum))
    }

    /// Notes the newest generation of an object, also so that `why` finds the commit by the object's place.
    fn remember_object(&mut self, object: &DataRef, accepted: bool) {
        let checksum = object.checksum.as_deref().map_or(0, checksum_hash);
        let created = object.created.unwrap_or(self.now);
        let (place, sequencer) = (object.place(), object.sequencer);
        let known = self.sighting(place);
        let order = known.map(|known| known.order(created, sequencer));
        if order == Some(Ordering::Greater) {
            return;
        }
        let is_it_gone = order == Some(Ordering::Equal) && known.is_some_and(Sighting::is_gone);
        if is_it_gone && !mutant::is(Mutant::DeletedBytesRemembered) {
            return;
        }
        let before = known.is_some_and(|known| known.checksum == checksum && known.accepted);
        let accepted = accepted || before;
        self.sightings.insert(place, Sighting { place, checksum, created, sequencer, accepted });
    }

    fn admit_object(
        &self,
        named: Named<'_>,
        event: &Event,
        object: &DataRef,
        identical: bool,
    ) -> Result<String, Refused> {
        let (name, rule) = named;
        if self.is_before(name, event, object) {
            return Err(Refused::new(Refusal::BeforeTrigger));
        }
        if is_marker(rule, object) {
            return Err(self.mark(named, event));
        }
        let matching = rule.object_match(object).ok_or(Refused::new(Refusal::NoMatch))?;
        if object.size == Some(0) && !matching.zero_bytes {
            return Err(Refused::new(Refusal::ZeroBytes));
        }
        if identical && !matching.identical {
            return Err(Refused::new(Refusal::IdenticalBytes));
        }
        self.admit(named, event)
    }

    /// Whether a sweep found an object that is older than the trigger.
    fn is_before(&self, trigger: &str, event: &Event, object: &DataRef) -> bool {
        let since = self.state.triggers.get(trigger).map_or(self.now, |standing| standing.since);
        event.is_replayed(ReplayMode::Swept)
            && !mutant::is(Mutant::SweptBeforeTrigger)
            && object.created.is_none_or(|created| created < since)
    }
}

fn is_marker(rule: &Trigger, object: &DataRef) -> bool {
    rule.batch.until.as_ref().is_some_and(|until| until.matches(object))
}
