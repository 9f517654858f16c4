//! A state of the model: the store, the services, the processes, and what is on the way between them.

use refit_core::effect::Effect;
use refit_core::key::RunKey;
use refit_core::plan::Observation;
use refit_core::run::Phase;
use refit_core::state::BatchId;

use crate::ledger::{Draft, Listed, Node, Stored};
use crate::link::{Link, digest};
use crate::property::Wrong;
use crate::scope::{CALL, Tick, WATCH, tick_of};

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The store's time.
    pub now: Tick,
    /// The log, as what it leads to.
    pub head: Link<Node>,
    /// The deliveries, event by event.
    pub deliveries: Vec<Delivery>,
    /// The inbox, in the order of names.
    pub inbox: Vec<Stored>,
    /// Creates in the log that may still take effect.
    pub writes: Vec<Write>,
    /// Start calls that may still take effect.
    pub calls: Vec<Call>,
    /// The runs there are.
    pub runs: Vec<Run>,
    /// The two processes, in an order that tells nothing.
    pub reconcilers: [Reconciler; 2],
    /// What a step did wrong.
    pub wrong: Option<Wrong>,
    /// Whether the service starts a run once per key, however often it is asked to.
    pub is_keyed: bool,
    /// Whether a second run of a batch is expected, until it is cancelled.
    pub is_late_allowed: bool,
    /// Whether runs may be under way at the same time.
    pub is_overlap_allowed: bool,
}

/// One delivery of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It has not come.
    Awaited,
    /// Its segment was stored under a name too far from the store's time, and is to be stored again.
    Misnamed,
    /// It was acknowledged: the time in the name, the event, the delivery.
    Acknowledged(Tick, u8, u8),
}

/// A create in the log that may still take effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// The commit.
    pub draft: Link<Draft>,
    /// Whose it is, while that process lives.
    pub owner: Option<usize>,
    /// When its state was known to be the newest.
    pub confirmed: Tick,
}

/// A start call that may still take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The key of the run.
    pub key: RunKey,
    /// The batch.
    pub batch: BatchId,
    /// The attempt.
    pub attempt: u32,
    /// The tick from which it takes no effect.
    pub until: Tick,
}

/// A run that really exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Its key.
    pub key: RunKey,
    /// The batch.
    pub batch: BatchId,
    /// The attempt.
    pub attempt: u32,
    /// How it ended.
    pub end: Option<End>,
    /// Whether it is to be seen: it began while its key was looked up, and faults did not keep everybody from it since.
    pub is_due: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// Because it was asked to.
    Cancelled,
}

/// A process that reconciles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reconciler {
    /// How far it has listed the inbox, by full listings.
    pub full: Tick,
    /// How far it has listed it within this tick, if a full listing was made in it.
    pub fast: Option<Tick>,
    /// Start calls it may still make.
    pub own: Vec<Own>,
    /// Answers it has not written down.
    pub observations: Vec<Observation>,
    /// Where in a pass it is.
    pub place: Place,
}

/// A start call a process may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Own {
    /// The commit that holds the intent.
    pub intent: u64,
    /// The batch.
    pub batch: BatchId,
    /// The attempt.
    pub attempt: u32,
    /// The end of its lease.
    pub until: Tick,
}

/// Where in a pass a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Between two passes.
    #[default]
    Resting,
    /// It has planned a commit, stored what the commit depends on, and perhaps sent it.
    Sent(Pass, Link<Draft>),
    /// It makes the calls of this state.
    Acting(Pass, Link<Node>, Vec<Effect>),
    /// It has sent a start call, the first of these.
    Calling(Pass, Link<Node>, Vec<Effect>),
}

/// What a pass goes by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// When the state was known to be the newest.
    pub confirmed: Tick,
    /// How the inbox was listed, and the time everything is judged at.
    pub listed: Listed,
    /// What was unread.
    pub segments: Vec<Stored>,
    /// Whether it was beaten before.
    pub beaten: bool,
}

impl Run {
    /// Whether it counts: under way or ended well.
    #[must_use]
    pub fn is_effective(&self) -> bool {
        matches!(self.end, None | Some(End::Succeeded))
    }
}

impl World {
    /// Brings a state into the one form all equivalent ones share.
    pub fn settle(&mut self) {
        let next = self.head.state.seq + 1;
        self.writes.retain(|write| write.draft.commit.seq >= next);
        let full = tick_of(self.head.state.marks.full);
        for reconciler in &mut self.reconcilers {
            reconciler.full = reconciler.full.max(full);
            reconciler.own.retain(|own| self.now + CALL <= own.until);
            if reconciler.place == Place::Resting {
                let head = &self.head;
                reconciler.own.retain(|own| {
                    head.state.runs.get(&own.batch).is_some_and(|run| {
                        run.attempt_numbered(own.attempt)
                            .is_some_and(|attempt| attempt.intent == own.intent)
                    })
                });
            }
        }
        let Self { now, runs, is_keyed, .. } = self;
        let is_idle = |call: &Call| *is_keyed && runs.iter().any(|run| run.key == call.key);
        self.calls.retain(|call| *now < call.until && !is_idle(call));
        self.inbox.sort_unstable();
        self.calls.sort_unstable();
        self.runs.sort_unstable();
        self.order();
    }

    /// A hash of a process and of what is on its way for it, which does not depend on its number.
    fn rank(&self, number: usize) -> u64 {
        let mut writes: Vec<(u64, Tick)> = self
            .writes
            .iter()
            .filter(|write| write.owner == Some(number))
            .map(|write| (write.draft.id(), write.confirmed))
            .collect();
        writes.sort_unstable();
        writes.dedup();
        digest(&(&self.reconcilers[number], writes))
    }

    /// Whether the two processes are alike, and what is on its way for them.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        self.rank(0) == self.rank(1)
    }

    fn order(&mut self) {
        if self.rank(0) > self.rank(1) {
            self.reconcilers.swap(0, 1);
            for owner in self.writes.iter_mut().filter_map(|write| write.owner.as_mut()) {
                *owner = 1 - *owner;
            }
        }
        self.writes.sort_unstable_by_key(|write| (write.draft.id(), write.owner, write.confirmed));
        self.writes.dedup();
    }

    /// Whether a write's process still waits for it.
    fn is_awaited(&self, write: &Write) -> bool {
        let place = write.owner.map(|owner| &self.reconcilers[owner].place);
        matches!(place, Some(Place::Sent(_, draft)) if *draft == write.draft)
    }

    /// Of the creates nobody waits for, only the newest may still take effect.
    pub fn drop_abandoned(&mut self) {
        let kept: Vec<bool> = self.writes.iter().map(|write| self.is_awaited(write)).collect();
        let mut kept = kept.into_iter();
        self.writes.retain(|_| kept.next().unwrap_or(false));
    }

    /// Whether a run that begins under this key now is to be seen: it is, until the key is looked up no longer.
    #[must_use]
    pub fn is_looked_up(&self, batch: BatchId, attempt: u32) -> bool {
        let attempt =
            self.head.state.runs.get(&batch).and_then(|run| run.attempt_numbered(attempt));
        attempt.is_some_and(|attempt| {
            let is_over = |until| self.now >= tick_of(until);
            attempt.phase != Phase::Abandoned
                || attempt.watch_until.is_some_and(|until| !is_over(until))
        })
    }

    /// Time has passed while faults happen: a run nobody got to look up or to end in time need not be seen any more.
    pub fn excuse(&mut self) {
        let over: Vec<bool> = self.runs.iter().map(|run| self.is_over(run)).collect();
        for (run, is_over) in self.runs.iter_mut().zip(over) {
            run.is_due &= !is_over;
        }
    }

    /// Whether the time to look up this run is over, and where it was seen, the time to end it.
    fn is_over(&self, run: &Run) -> bool {
        let known = self.head.state.runs.get(&run.batch);
        let attempt = known.and_then(|known| known.attempt_numbered(run.attempt));
        let more =
            if attempt.is_some_and(|attempt| attempt.external.is_some()) { WATCH } else { 0 };
        let until = attempt.and_then(|attempt| attempt.watch_until);
        until.is_some_and(|until| self.now >= tick_of(until) + more)
    }

    /// Notes the first thing a step does wrong.
    pub fn blame(&mut self, wrong: Option<Wrong>) {
        if self.wrong.is_none() {
            self.wrong = wrong;
        }
    }
}
