//! The transitions of a commit that somebody may be told of.

use std::collections::BTreeMap;

use crate::commit::{
    AttemptChange, BatchChange, Change, Closed, Decision, RunChange, TriggerChange,
};
use crate::key::{Hash128, hash128};
use crate::mutant::{self, Mutant};
use crate::notice::{Notice, NoticeKind};
use crate::promotion::{PromotionChange, PromotionPhase};
use crate::reason::{Hold, Refusal};
use crate::run::{Attempt, Cancel, Phase, Run};
use crate::state::{BatchId, Held, State, Trouble};
use crate::time::Timestamp;
use crate::timing::{NOTICE_MESSAGE_BYTES_MAX, STUCK_TRIES};

/// A commit between the state it is made on and the state it leads to.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The state before.
    pub before: &'a State,
    /// The state after, the outboxes aside.
    pub after: &'a State,
    /// The number of the commit.
    pub seq: u64,
    /// Its time.
    pub now: Timestamp,
}

impl Passage<'_> {
    /// The notices these changes and decisions are worth, each once.
    #[must_use]
    pub fn notices<'c>(
        &self,
        changes: impl Iterator<Item = &'c Change>,
        decisions: &[Decision],
    ) -> Vec<Notice> {
        let mut notices: Vec<Notice> =
            changes.filter_map(|change| self.of_change(change)).collect();
        notices.extend(self.quarantined(decisions));
        let mut seen = std::collections::BTreeSet::new();
        notices.retain(|notice| seen.insert(notice.id));
        notices
    }

    fn of_change(&self, change: &Change) -> Option<Notice> {
        if let Change::Closed(closed) = change {
            return Some(self.closed(closed));
        }
        if let Change::Attempt { run, attempt, change } = change {
            return self.of_attempt(*run, *attempt, change);
        }
        if let Change::Run { run, change } = change {
            return self.of_run(*run, change);
        }
        if let Change::Promotion { model, run, change } = change {
            return self.of_version(model, *run, change);
        }
        if let Change::Batch { batch, change: BatchChange::Holding(held) } = change {
            return self.over_budget(*batch, *held);
        }
        if let Change::Batch { batch, change: BatchChange::Troubled(trouble) } = change
            && trouble.failures == 1
        {
            let (trigger, _) = self.after.open_batch(*batch)?;
            return Some(self.troubled(trigger, Some(*batch), trouble));
        }
        if let Change::Trigger { trigger, change: TriggerChange::Troubled(trouble) } = change
            && trouble.failures == STUCK_TRIES
        {
            return Some(self.troubled(trigger, None, trouble));
        }
        None
    }

    fn troubled(&self, trigger: &str, batch: Option<BatchId>, trouble: &Trouble) -> Notice {
        let id = self.id(trigger, batch, None, &format!("troubled {}", self.seq));
        let message = Some(shortened(&trouble.message));
        Notice { batch, message, ..self.of_trigger(NoticeKind::Stuck, id, trigger) }
    }

    fn closed(&self, closed: &Closed) -> Notice {
        let id = self.id(&closed.trigger, Some(closed.batch), None, "closed");
        let run = self.after.runs.get(&closed.batch);
        Notice {
            batch: Some(closed.batch),
            key: run.map(|run| run.key.clone()).unwrap_or_default(),
            count: Some(closed.facts.count),
            service: Some(closed.service.clone()),
            manifest: Some(closed.manifest.clone()),
            ..self.of_trigger(NoticeKind::BatchClosed, id, &closed.trigger)
        }
    }

    fn of_attempt(&self, run: BatchId, number: u32, change: &AttemptChange) -> Option<Notice> {
        let occasion: String;
        let (kind, transition, message) = if let AttemptChange::Started { .. } = change {
            occasion = self.start(run, number);
            (NoticeKind::Launch, occasion.as_str(), None)
        } else if let AttemptChange::Reopened(_) = change {
            let times = self.run(run)?.attempt_numbered(number)?.reopened;
            occasion = format!("reopened {times}");
            (NoticeKind::Launch, occasion.as_str(), Some("its service started it again"))
        } else if let AttemptChange::Stuck(message) = change {
            occasion = format!("stuck {}", self.seq);
            (NoticeKind::Stuck, occasion.as_str(), Some(message.as_str()))
        } else if let AttemptChange::Uncertain(message) = change {
            (NoticeKind::Uncertain, "uncertain", Some(message.as_str()))
        } else if let AttemptChange::LateTwin(_) = change {
            let message = "a run that was given up appeared late, and is cancelled";
            (NoticeKind::Uncertain, "late twin", Some(message))
        } else if let AttemptChange::Claimed { external, .. } = change {
            occasion = format!("claimed {} {}", external.id, self.seq);
            let message =
                "a run that was given up made the claim, and is followed in place of the other";
            (NoticeKind::Uncertain, occasion.as_str(), Some(message))
        } else {
            return None;
        };
        let run = self.run(run)?;
        let attempt = run.attempt_numbered(number)?;
        Some(self.about((run, attempt), kind, transition, message))
    }

    /// One that was given up after it had begun may be taken back, which is another occasion.
    fn start(&self, run: BatchId, number: u32) -> String {
        let known = self.before.runs.get(&run).and_then(|run| run.attempt_numbered(number));
        match known.is_some_and(|attempt| attempt.started_at.is_some()) {
            true => format!("started {}", self.seq),
            false => "started".to_owned(),
        }
    }

    fn of_run(&self, id: BatchId, change: &RunChange) -> Option<Notice> {
        let run = self.run(id)?;
        let attempt = run.counted()?;
        let message = attempt.message.as_deref();
        match change {
            RunChange::Finished(finished) => {
                let kind = match finished.phase {
                    Phase::Succeeded => NoticeKind::Success,
                    Phase::Cancelled => NoticeKind::Cancelled,
                    _ => NoticeKind::Failure,
                };
                // One that its service starts again ends again.
                let occasion = match attempt.reopened {
                    0 => "finished".to_owned(),
                    times => format!("finished {times}"),
                };
                Some(self.about((run, attempt), kind, &occasion, message))
            }
            RunChange::CancelAsked(Cancel::TimedOut) => {
                let said = message.map(|text| format!(": {text}")).unwrap_or_default();
                let message = format!(
                    "it takes longer than its trigger allows, and is to be cancelled{said}"
                );
                let occasion = format!("timed out {}", self.seq);
                Some(self.about((run, attempt), NoticeKind::Stuck, &occasion, Some(&message)))
            }
            RunChange::CancelAsked(_) | RunChange::Archived => None,
        }
    }

    fn of_version(&self, model: &str, run: BatchId, change: &PromotionChange) -> Option<Notice> {
        let mut states = [self.after, self.before].into_iter();
        let promotion = states.find_map(|state| state.models.get(model)?.promotions.get(&run))?;
        let (kind, stage, said) = match change {
            // What is granted by the same commit waits for nobody.
            PromotionChange::Requested { stage, .. }
                if promotion.phase == PromotionPhase::Requested =>
            {
                (NoticeKind::Requested, Some(*stage), format!("is to be in {stage}"))
            }
            PromotionChange::Entered => {
                let stage = promotion.stage?;
                (NoticeKind::Promoted, Some(stage), format!("is in {stage}"))
            }
            _ => (NoticeKind::Refused, None, change.against()?),
        };
        let name = promotion.name().unwrap_or("(not registered)");
        let times = promotion.entries.values().sum::<u32>();
        let occasion = match kind == NoticeKind::Refused && !mutant::is(Mutant::NoticeIdsComeAgain)
        {
            // A request may be ended, made again and ended again by two commits, with as many requests after each.
            true => format!("{} {said} {}", kind.name(), self.seq),
            false => format!("{} {} {times}", kind.name(), promotion.requests.len()),
        };
        let id = self.id(&promotion.trigger, Some(run), None, &occasion);
        Some(Notice {
            batch: Some(run),
            message: Some(shortened(&format!("{model} {name} {said}"))),
            model: Some(model.to_owned()),
            version: promotion.name().map(str::to_owned),
            stage,
            request: (kind == NoticeKind::Requested).then(|| promotion.current()),
            ..self.of_trigger(kind, id, &promotion.trigger)
        })
    }

    /// A run that ends may be let go of by the same commit.
    fn run(&self, id: BatchId) -> Option<&Run> {
        self.after.runs.get(&id).or_else(|| self.before.runs.get(&id))
    }

    /// Told once for every time at which the budget has room again.
    fn over_budget(&self, batch: BatchId, held: Held) -> Option<Notice> {
        let until = held.until.filter(|_| held.reason == Hold::Budget)?;
        let (trigger, _) = self.after.open_batch(batch)?;
        let told = self.before.triggers.get(trigger).and_then(|standing| standing.told_budget);
        if told == Some(until) {
            return None;
        }
        let occasion = format!("budget {} {}", until.as_millis(), self.seq);
        let id = self.id(trigger, None, None, &occasion);
        let notice = self.of_trigger(NoticeKind::Budget, id, trigger);
        Some(Notice { until: Some(until), ..notice })
    }

    /// Events nobody can read, by trigger where only that cannot.
    fn quarantined(&self, decisions: &[Decision]) -> Vec<Notice> {
        let mut refused = BTreeMap::<Option<&str>, (u64, Option<&str>)>::new();
        for decision in decisions {
            let Decision::Refused { trigger, reason, detail, events } = decision else { continue };
            if matches!(reason, Refusal::Invalid | Refusal::FilterError | Refusal::KeyError) {
                let entry = refused.entry(trigger.as_deref()).or_default();
                entry.0 += events.len();
                entry.1 = entry.1.or(detail.as_deref());
            }
        }
        let notice = |(trigger, (count, detail)): (Option<&str>, (u64, Option<&str>))| {
            let occasion = format!("quarantine {}", self.seq);
            let id = self.id(trigger.unwrap_or_default(), None, None, &occasion);
            let notice = self.of_trigger(NoticeKind::Quarantine, id, "");
            let trigger = trigger.map(str::to_owned);
            Notice { trigger, count: Some(count), message: detail.map(shortened), ..notice }
        };
        refused.into_iter().map(notice).collect()
    }

    fn about(
        &self,
        (run, attempt): (&Run, &Attempt),
        kind: NoticeKind,
        transition: &str,
        message: Option<&str>,
    ) -> Notice {
        let id = self.id(&run.trigger, Some(run.batch), Some(attempt.number), transition);
        Notice {
            batch: Some(run.batch),
            key: run.key.clone(),
            count: Some(run.facts.count),
            attempt: Some(attempt.number),
            run: Some(attempt.key),
            service: Some(run.service.clone()),
            url: attempt.external.as_ref().and_then(|external| external.url.clone()),
            manifest: Some(run.manifest.clone()),
            message: message.map(shortened),
            ..self.of_trigger(kind, id, &run.trigger)
        }
    }

    fn of_trigger(&self, kind: NoticeKind, id: Hash128, trigger: &str) -> Notice {
        Notice { trigger: Some(trigger.to_owned()), ..Notice::new(id, kind, self.now) }
    }

    fn id(
        &self,
        trigger: &str,
        batch: Option<BatchId>,
        attempt: Option<u32>,
        transition: &str,
    ) -> Hash128 {
        let batch = batch.map(|batch| batch.to_string()).unwrap_or_default();
        let attempt = attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
        hash128([self.before.epoch().as_str(), trigger, &batch, &attempt, transition])
    }
}

/// A message of a service, of a length that every receiver takes.
fn shortened(message: &str) -> String {
    let end = message.floor_char_boundary(NOTICE_MESSAGE_BYTES_MAX);
    match end < message.len() {
        true => format!("{}…", &message[..end]),
        false => message.to_owned(),
    }
}
