//! Whom a commit has told of what, and what came of that.

use super::Desk;
use crate::commit::{AttemptChange, Change};
use crate::key::{Hash128, hash128};
use crate::mutant::{self, Mutant};
use crate::notice::{Delivery, Letter, Notice, NoticeKind, Outbox, OutboxChange, Place, Receipt};
use crate::rules::Rules;
use crate::run::{Phase, Run};
use crate::state::State;
use crate::time::Span;
use crate::timing::{LETTER_NOTICES_MAX, LETTER_WAIT_MAX, LETTERS_MAX, STUCK_AFTER, STUCK_TRIES};
use crate::transition::Passage;

impl Desk<'_> {
    /// Takes in what came of letters, then raises the notices of this commit.
    pub(super) fn notify(&mut self, rules: &Rules) {
        for delivery in self.inputs.deliveries {
            self.receipt(delivery);
        }
        self.close_outboxes(rules);
        self.seal_letters();
        if !rules.receivers.is_empty() {
            self.raise_all(rules);
        }
        let letters = self.state.outboxes.values().flat_map(|outbox| outbox.letters.values());
        let next = letters.map(|letter| letter.due).filter(|due| *due > self.now).min();
        next.into_iter().for_each(|due| self.wake(due));
    }

    fn receipt(&mut self, delivery: &Delivery) {
        let Delivery { receiver, letter: id, tries, receipt } = delivery;
        let Some(letter) = letter(&self.state, receiver, *id) else { return };
        let is_new = letter.tries == *tries;
        let change = match receipt {
            Receipt::Delivered => OutboxChange::Delivered(*id),
            Receipt::Refused(message) => {
                OutboxChange::GivenUp { letter: *id, message: message.clone() }
            }
            Receipt::Failed { .. } if !is_new => return,
            Receipt::Failed { .. } if mutant::is(Mutant::NoticeForgottenUndelivered) => {
                OutboxChange::Delivered(*id)
            }
            Receipt::Failed { message, .. } if letter.is_last_try() => {
                let message = format!("{message}; tries=`{}`", letter.tries + 1);
                OutboxChange::GivenUp { letter: *id, message }
            }
            Receipt::Failed { after, message } => {
                let asked = after.unwrap_or(Span::ZERO).min(LETTER_WAIT_MAX);
                let until = self.now + letter.wait().max(asked);
                OutboxChange::Failed { letter: *id, until, message: message.clone() }
            }
        };
        let again = letter.notices.first().cloned().filter(|_| {
            matches!(change, OutboxChange::Failed { .. })
                && mutant::is(Mutant::NoticeTwiceUnderTwoIds)
        });
        self.change_outbox(receiver, change);
        if let Some(mut notice) = again {
            notice.id = hash128([notice.id.to_string().as_str(), "again"]);
            self.raise(receiver, true, notice);
        }
    }

    /// What a receiver was to be told that the rules no longer have is given up.
    fn close_outboxes(&mut self, rules: &Rules) {
        let gone = self.state.outboxes.keys().filter(|name| !rules.receivers.contains_key(*name));
        for receiver in gone.cloned().collect::<Vec<_>>() {
            self.change_outbox(&receiver, OutboxChange::Closed);
        }
    }

    /// Letters whose time has come since the last commit take no more notices from this one on.
    fn seal_letters(&mut self) {
        if mutant::is(Mutant::LetterSentUnsealed) {
            return;
        }
        let last = self.before.now;
        let mut sealed = Vec::new();
        for (receiver, outbox) in &*self.state.outboxes {
            let due = outbox
                .letters
                .iter()
                .filter(|(_, letter)| !letter.is_sealed(last) && letter.is_sealed(self.now));
            sealed.extend(due.map(|(id, _)| (receiver.clone(), *id)));
        }
        for (receiver, id) in sealed {
            self.change_outbox(&receiver, OutboxChange::Sealed(id));
        }
    }

    fn raise_all(&mut self, rules: &Rules) {
        let passage =
            Passage { before: self.before, after: &self.state, seq: self.seq, now: self.now };
        let changes = self.changes.iter().chain(&self.holdings);
        let notices = passage.notices(changes, &self.decisions);
        for notice in notices {
            for (name, receiver) in rules.told(&notice) {
                if !mutant::is(Mutant::NoticeForgotten) {
                    // Each has a link of its own, which a letter of many has no room for.
                    let groups = receiver.groups && notice.kind != NoticeKind::Requested;
                    self.raise(name, groups, notice.clone());
                }
            }
        }
    }

    fn raise(&mut self, receiver: &str, groups: bool, notice: Notice) {
        let none = Outbox::default();
        let outbox = self.state.outboxes.get(receiver).unwrap_or(&none);
        let Place { letter, due } = outbox.place(notice.id, self.now, groups);
        let open = outbox.letters.get(&letter);
        if open.is_some_and(is_full) {
            return self.change_outbox(receiver, OutboxChange::Counted(letter));
        }
        let is_too_many = open.is_none() && outbox.letters.len() >= LETTERS_MAX;
        if let Some(oldest) = outbox.oldest().filter(|_| is_too_many) {
            let message = "too many letters wait".to_owned();
            self.change_outbox(receiver, OutboxChange::GivenUp { letter: oldest, message });
        }
        let notice = Box::new(notice);
        self.change_outbox(receiver, OutboxChange::Raised { letter, due, notice });
    }

    fn change_outbox(&mut self, receiver: &str, change: OutboxChange) {
        self.record(Change::Outbox { receiver: receiver.to_owned(), change });
    }

    /// Notes that an attempt does not go on, where somebody wants to be told.
    pub(super) fn notice_stuck(&mut self, rules: &Rules, run: &Run) {
        let Some(attempt) = run.counted().filter(|attempt| !attempt.stuck) else { return };
        let waits = match attempt.phase {
            _ if self.unclaimed.contains(&run.batch) => {
                "it is not known whether its end is the end; `refit cancel` lets go of it"
            }
            Phase::Launching => "its start does not succeed",
            Phase::Pending => "the service has not begun it",
            _ => return,
        };
        if !rules.tells(&run.trigger, NoticeKind::Stuck) {
            return;
        }
        let at = attempt.started_at.unwrap_or(attempt.intended_at) + STUCK_AFTER;
        if self.now < at && attempt.refused_calls < STUCK_TRIES {
            return self.wake(at);
        }
        let said = attempt.message.as_ref().map_or(String::new(), |text| format!(": {text}"));
        let change = AttemptChange::Stuck(format!("{waits}{said}"));
        self.change_attempt(run.batch, attempt.number, change);
    }
}

fn letter<'a>(state: &'a State, receiver: &str, id: Hash128) -> Option<&'a Letter> {
    state.outboxes.get(receiver)?.letters.get(&id)
}

fn is_full(letter: &Letter) -> bool {
    letter.notices.len() >= LETTER_NOTICES_MAX
}
