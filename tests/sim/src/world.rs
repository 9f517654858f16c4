//! The world outside the engine: one store, the services, and what happened.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use refit_core::time::Timestamp;
use refit_engine::layout;
use serde_json::Value;

use crate::executor::Time;
use crate::faults::{Fault, Faults, Injected};
use crate::random::Random;
use crate::service::Services;
use crate::store::PassCalls;
use crate::watch::Watch;

/// When the world begins, by the store's right time, in milliseconds since 1970.
pub const BEGIN: i64 = 1_800_000_000_000;

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    time: Time,
    inner: Arc<Mutex<Inner>>,
}

/// Everything in it.
#[derive(Debug)]
pub struct Inner {
    /// The randomness of the schedule.
    pub random: Random,
    /// What may go wrong, while it may.
    pub faults: Faults,
    /// What the store holds.
    pub objects: BTreeMap<String, Stored>,
    /// Every segment that was ever stored, by the name commits have for it.
    pub segments: BTreeMap<String, Bytes>,
    /// Who looks at every commit that is stored.
    pub watch: Watch,
    /// Creates that take effect later: when, what.
    pub late: Vec<(i64, String, Bytes)>,
    /// Until when the store refuses nearly every create.
    pub storm_until: i64,
    /// How far the store's clock is off, from that time on.
    pub store_skew: Vec<(i64, i64)>,
    /// The services.
    pub services: Services,
    /// What went wrong.
    pub injected: Injected,
    /// Whether a snapshot was stored with the wrong content.
    pub snapshots_damaged: bool,
    /// The snapshots that cannot be read.
    pub spoilt: BTreeSet<String>,
    /// Calls to the store, and to the bucket of data.
    pub counts: Counts,
    /// The most calls any pass made, kind by kind.
    pub longest: PassCalls,
    /// What lies in the bucket of data, as its service lists it.
    pub bucket: Vec<Value>,
    /// What happened.
    pub trace: Trace,
}

/// An object in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// When it was created, by the store's clock.
    pub created: Timestamp,
    /// Its content.
    pub body: Bytes,
}

/// Calls to the store, by what is paid for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that reached a process which takes events in.
    pub requests: u64,
    /// Creates in the inbox.
    pub segments: u64,
    /// Those of them under a name far from the store's time, which are written again.
    pub misnamed: u64,
    /// Creates in the log.
    pub commits: u64,
    /// Creates elsewhere: parts, manifests, snapshots.
    pub others: u64,
    /// Listings.
    pub lists: u64,
    /// Reads.
    pub gets: u64,
    /// Deletes.
    pub deletes: u64,
    /// Listings of the bucket of data.
    pub data_lists: u64,
    /// Passes of reconcilers.
    pub passes: u64,
}

impl Counts {
    /// Creates, the dearest calls.
    #[must_use]
    pub fn creates(&self) -> u64 {
        self.segments + self.commits + self.others
    }

    /// Calls of class A, as Cloud Storage counts them: creates and listings. Deletes are free.
    #[must_use]
    pub fn class_a(&self) -> u64 {
        self.creates() + self.lists + self.data_lists
    }

    /// Calls of class B: reads.
    #[must_use]
    pub fn class_b(&self) -> u64 {
        self.gets
    }

    /// Adds those of another schedule.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.segments += other.segments;
        self.misnamed += other.misnamed;
        self.commits += other.commits;
        self.others += other.others;
        self.lists += other.lists;
        self.gets += other.gets;
        self.deletes += other.deletes;
        self.data_lists += other.data_lists;
        self.passes += other.passes;
    }
}

/// What happened, as a hash and, where asked for, as lines.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The hash of everything that happened.
    pub hash: u64,
    /// Lines for a person to read; none unless asked for.
    pub lines: Option<Vec<String>>,
}

impl Trace {
    /// Notes what happened.
    pub fn note(&mut self, at: i64, who: &str, what: &str, which: &str) {
        let mut hash = self.hash ^ at.cast_unsigned();
        for byte in who.bytes().chain(what.bytes()).chain(which.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = hash.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9.3} {who:<8} {what} {which}", at as f64 / 1000.0));
        }
    }
}

impl World {
    /// A world that has just begun.
    #[must_use]
    pub fn new(time: Time, random: Random, faults: Faults) -> Self {
        let inner = Inner {
            random,
            faults,
            objects: BTreeMap::new(),
            segments: BTreeMap::new(),
            watch: Watch::default(),
            late: Vec::new(),
            storm_until: 0,
            store_skew: vec![(0, 0)],
            services: Services::default(),
            injected: Injected::default(),
            snapshots_damaged: false,
            spoilt: BTreeSet::new(),
            counts: Counts::default(),
            longest: PassCalls::default(),
            bucket: Vec::new(),
            trace: Trace::default(),
        };
        Self { time, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Its time.
    #[must_use]
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// What is in it, with late effects that are due by now.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.settle(self.time.now());
        inner
    }

    /// Notes what happened.
    pub fn note(&self, who: &str, what: &str, which: &str) {
        let now = self.time.now();
        self.lock().trace.note(now, who, what, which);
    }

    /// Counts a fault.
    pub fn inject(&self, fault: Fault) {
        self.lock().injected.count(fault);
    }
}

impl Inner {
    /// The store's time.
    #[must_use]
    pub fn store_now(&self, now: i64) -> Timestamp {
        let skew = self
            .store_skew
            .iter()
            .rev()
            .find(|(from, _)| *from <= now)
            .map_or(0, |(_, skew)| *skew);
        Timestamp::from_millis(BEGIN + now + skew)
    }

    /// Stores an object, unless there is one of that name.
    pub fn insert(&mut self, name: String, stored: Stored) {
        let Entry::Vacant(place) = self.objects.entry(name) else { return };
        self.watch.stored(place.key(), &stored.body);
        if let Some(name) = place.key().strip_prefix(layout::INBOX) {
            self.segments.insert(name.to_owned(), stored.body.clone());
        }
        place.insert(stored);
    }

    /// Lets what was late take effect.
    fn settle(&mut self, now: i64) {
        while let Some(at) = self.late.iter().position(|(at, ..)| *at <= now) {
            let (at, name, body) = self.late.remove(at);
            let created = self.store_now(at);
            self.insert(name, Stored { created, body });
        }
        self.services.settle(now);
    }
}

/// The wall clock of a process that is off by so much.
#[must_use]
pub fn wall(now: i64, skew: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + now + skew)
}
