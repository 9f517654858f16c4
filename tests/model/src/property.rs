//! What must hold in every state, by name.

use std::fmt;

use refit_core::key::RunKey;
use refit_core::state::BatchId;
use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::Stored;
use crate::scope::{GRACE, Tick, tick_of};
use crate::world::{Delivery, World};

/// What a state can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// Every named invariant of the product holds of every commit.
    Invariants,
    /// An acknowledged event is stored, and pending within reach of the next listing, or decided.
    Durable,
    /// An event is a member of at most one batch of the trigger.
    OneBatch,
    /// What a run is given lists the members of its batch.
    Manifest,
    /// Every call is of a committed intent.
    Intent,
    /// One run per key, and one effective run per batch.
    OneRun,
    /// No two runs at the same time where the rule forbids it.
    Overlap,
    /// With faults off everything comes to rest, with one effective run per batch.
    Recovery,
}

/// How a guarantee is broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wrong {
    /// The guarantee.
    pub guarantee: Guarantee,
    /// What breaks it.
    pub text: String,
}

impl Guarantee {
    /// All of them, with the names they are reported under.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Invariants, "every named invariant holds of every commit"),
        (Self::Durable, "accepted means durable"),
        (Self::OneBatch, "one batch per event and trigger"),
        (Self::Manifest, "a run gets the members of its batch"),
        (Self::Intent, "every call is of a committed intent"),
        (Self::OneRun, "one run per batch and attempt"),
        (Self::Overlap, "no two runs at the same time"),
        (Self::Recovery, "recovery from every state"),
    ];

    /// The name it is reported under.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(guarantee, _)| *guarantee == self);
        named.map_or("", |(_, name)| name)
    }
}

impl Wrong {
    /// A broken guarantee.
    #[must_use]
    pub fn new(guarantee: Guarantee, text: String) -> Self {
        Self { guarantee, text }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guarantee.name(), self.text)
    }
}

/// What is wrong with a state, recovery aside.
#[must_use]
pub fn check(world: &World) -> Option<Wrong> {
    let known = world.wrong.clone().or_else(|| world.head.wrong.clone());
    known.or_else(|| durable(world)).or_else(|| one_run(world)).or_else(|| overlap(world))
}

/// A segment that was acknowledged is consumed, or every process's next full listing shows it.
fn durable(world: &World) -> Option<Wrong> {
    let recent = &world.head.state.recent;
    let mark = tick_of(world.head.state.marks.full);
    let reach = world.reconcilers.iter().map(|reconciler| reconciler.full.max(mark)).max();
    let reach = reach.unwrap_or(mark).saturating_sub(GRACE);
    let lost = |delivery: &&Delivery| {
        let Delivery::Acknowledged(named, event, number) = delivery else { return false };
        if world.head.fates.contains_key(event) {
            return false;
        }
        let is_pending = |stored: &Stored| {
            (stored.named, stored.event, stored.delivery) == (*named, *event, *number)
                && *named >= reach
                && !recent.contains(&stored.name())
        };
        !world.inbox.iter().any(is_pending)
    };
    let lost = world.deliveries.iter().find(lost)?;
    Some(Wrong::new(Guarantee::Durable, format!("nothing will come of {lost:?}")))
}

fn one_run(world: &World) -> Option<Wrong> {
    let mut keys = BTreeSet::new();
    let mut effective: BTreeMap<BatchId, u32> = BTreeMap::new();
    for run in &world.runs {
        if !keys.insert(run.key) {
            return Some(Wrong::new(
                Guarantee::OneRun,
                format!("two runs of one key: {}", run.key),
            ));
        }
        if run.is_effective() {
            *effective.entry(run.batch).or_default() += 1;
        }
    }
    let twice = effective.into_iter().find(|(_, count)| *count > 1 && !world.is_late_allowed);
    twice.map(|(batch, count)| {
        Wrong::new(Guarantee::OneRun, format!("{count} effective runs of batch {batch}"))
    })
}

fn overlap(world: &World) -> Option<Wrong> {
    let under_way: BTreeSet<RunKey> =
        world.runs.iter().filter(|run| run.end.is_none()).map(|run| run.key).collect();
    let wrong = under_way.len() > 1 && !world.is_overlap_allowed;
    wrong.then(|| Wrong::new(Guarantee::Overlap, format!("under way: {under_way:?}")))
}

/// The earliest name a full listing shows that goes on from that mark.
#[must_use]
pub fn reach(mark: Tick) -> Tick {
    mark.saturating_sub(GRACE)
}
