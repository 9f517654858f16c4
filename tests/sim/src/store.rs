//! The store as a process sees it: slow, forgetful of answers, and exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::state::{State, VERSION};
use refit_core::timing::Timing;
use refit_engine::layout;
use refit_engine::port::{Created, Entry, Page, Store};
use refit_engine::record::{read_snapshot, write_snapshot};

use crate::faults::Fault;
use crate::world::{Inner, Stored, World};

/// How long a slow answer takes, in milliseconds: from less than a lease to several.
const SLOW_MIN: i64 = 20_000;
/// And at the most.
const SLOW_MAX: i64 = 200_000;

/// The store with the faults of the schedule.
#[derive(Debug)]
pub struct SimStore {
    world: World,
    who: Arc<str>,
    calls: Arc<Calls>,
}

/// The store without delays or faults, for those who check.
#[derive(Clone, Debug)]
pub struct RawStore(pub World);

/// What one process asked of the store in one pass.
#[derive(Debug, Default)]
pub struct Calls {
    log_creates: AtomicUsize,
    creates: AtomicUsize,
    lists: AtomicUsize,
    gets: AtomicUsize,
    failed: AtomicBool,
}

impl Calls {
    /// A pass begins.
    pub fn begin(&self) {
        for count in [&self.log_creates, &self.creates, &self.lists, &self.gets] {
            count.store(0, Ordering::Relaxed);
        }
        self.failed.store(false, Ordering::Relaxed);
    }

    /// The calls of the pass so far.
    #[must_use]
    pub fn made(&self) -> PassCalls {
        let [creates, lists, gets] =
            [&self.creates, &self.lists, &self.gets].map(|count| count.load(Ordering::Relaxed));
        PassCalls { creates, lists, gets }
    }

    /// Says what was too much for a pass with so many commits: each is created once, and two may be lost to others.
    /// Where a call failed it may have been made again.
    #[must_use]
    pub fn excess(&self, commits: usize) -> Option<String> {
        let made = self.log_creates.load(Ordering::Relaxed);
        let is_excess = !self.failed.load(Ordering::Relaxed) && made > commits + 2;
        is_excess.then(|| format!("creates on the log=`{made}`, commits=`{commits}`"))
    }
}

/// Calls of one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassCalls {
    /// Creates.
    pub creates: usize,
    /// Listings.
    pub lists: usize,
    /// Reads.
    pub gets: usize,
}

impl PassCalls {
    /// The most of either, call by call.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            creates: self.creates.max(other.creates),
            lists: self.lists.max(other.lists),
            gets: self.gets.max(other.gets),
        }
    }
}

/// What is to go wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Throttled,
    Before,
    After,
    Late(i64),
}

impl SimStore {
    /// The store as the process of that name sees it.
    #[must_use]
    pub fn new(world: World, who: Arc<str>, calls: Arc<Calls>) -> Self {
        Self { world, who, calls }
    }

    fn draw(&self, is_create: bool) -> (Fate, i64, i64) {
        let now = self.world.time().now();
        let mut guard = self.world.lock();
        let Inner { random, faults, storm_until, .. } = &mut *guard;
        let before = random.between(faults.delay_max.min(1), faults.delay_max);
        let after = random.between(faults.delay_max.min(1), faults.delay_max);
        let fate = if is_create && *storm_until > now && random.per_mille(900) {
            Fate::Throttled
        } else if random.per_mille(faults.error_before) {
            Fate::Before
        } else if random.per_mille(faults.error_after) {
            Fate::After
        } else if is_create && random.per_mille(faults.late_create) {
            Fate::Late(random.between(1, faults.late_by_max.max(1)))
        } else {
            Fate::Well
        };
        let fault = match fate {
            Fate::Well => return (fate, before, after),
            Fate::Throttled => Fault::Throttled,
            Fate::Before => Fault::CallFails,
            Fate::After => Fault::AnswerLost,
            Fate::Late(_) => Fault::LateCreate,
        };
        guard.injected.count(fault);
        drop(guard);
        self.calls.failed.store(true, Ordering::Relaxed);
        (fate, before, after)
    }

    /// How much longer than usual the answer to a create takes.
    fn slowness(&self) -> i64 {
        let mut guard = self.world.lock();
        let Inner { random, faults, injected, .. } = &mut *guard;
        if !random.per_mille(faults.slow_answers) {
            return 0;
        }
        injected.count(Fault::SlowAnswer);
        random.between(SLOW_MIN, SLOW_MAX)
    }

    fn lost(&self, what: &str, name: &str) -> Error {
        self.world.note(&self.who, what, name);
        Error::new(ErrorKind::Unavailable, "the store did not answer")
    }
}

#[async_trait]
impl Store for SimStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.calls.gets.fetch_add(1, Ordering::Relaxed);
        let (fate, before, after) = self.draw(false);
        self.world.time().after(before).await;
        if fate != Fate::Well {
            return Err(self.lost("get fails", name));
        }
        let body = get(&mut self.world.lock(), name);
        self.world.time().after(after).await;
        Ok(body)
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.calls.creates.fetch_add(1, Ordering::Relaxed);
        let (fate, before, after) = self.draw(true);
        self.world.time().after(before).await;
        if name.starts_with(layout::LOG) && name != layout::commit(0) {
            self.calls.log_creates.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(fate, Fate::Before | Fate::Throttled) {
            return Err(self.lost("create fails", name));
        }
        if let Fate::Late(by) = fate {
            let at = self.world.time().now() + by;
            self.world.lock().late.push((at, name.to_owned(), body));
            return Err(self.lost("create fails, later it succeeds", name));
        }
        let created = create(&self.world, name, body);
        let what = if matches!(created, Created::Won { .. }) { "creates" } else { "loses" };
        self.world.note(&self.who, what, name);
        self.world.time().after(after + self.slowness()).await;
        if fate == Fate::After {
            return Err(self.lost("create loses its answer", name));
        }
        Ok(created)
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.calls.lists.fetch_add(1, Ordering::Relaxed);
        let (fate, before, after) = self.draw(false);
        self.world.time().after(before).await;
        if fate != Fate::Well {
            return Err(self.lost("list fails", prefix));
        }
        let cut = self.world.lock().faults.page;
        let limit = if cut == 0 { limit } else { limit.min(cut) };
        let page = list(&self.world, prefix, from, limit);
        if cut > 0 && page.next.is_some() {
            self.world.inject(Fault::PartialList);
        }
        self.world.time().after(after).await;
        Ok(page)
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let (fate, before, _) = self.draw(false);
        self.world.time().after(before).await;
        if fate == Fate::Before {
            return Err(self.lost("delete fails", name));
        }
        {
            let mut inner = self.world.lock();
            inner.counts.deletes += 1;
            inner.objects.remove(name);
        }
        self.world.note(&self.who, "deletes", name);
        match fate {
            Fate::After => Err(self.lost("delete loses its answer", name)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for RawStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.0.lock().objects.get(name).map(|stored| stored.body.clone()))
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        Ok(create(&self.0, name, body))
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        Ok(list(&self.0, prefix, from, limit))
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.0.lock().objects.remove(name);
        Ok(())
    }
}

fn get(inner: &mut Inner, name: &str) -> Option<Bytes> {
    inner.counts.gets += 1;
    if inner.faults.spoilt_snapshots > 0 && inner.spoilt.contains(name) {
        inner.injected.count(Fault::SpoiltSnapshot);
    }
    inner.objects.get(name).map(|stored| stored.body.clone())
}

fn create(world: &World, name: &str, body: Bytes) -> Created {
    let now = world.time().now();
    let mut inner = world.lock();
    let at = inner.store_now(now);
    let folder = name.split('/').next().unwrap_or_default();
    match folder {
        "inbox" => {
            let named = layout::segment_time(&name[layout::INBOX.len()..]);
            let off = named.map_or(0, |named| named.as_millis().abs_diff(at.as_millis()));
            let is_misnamed = off > Timing::default().name.as_millis().unsigned_abs();
            inner.counts.segments += 1;
            inner.counts.misnamed += u64::from(is_misnamed);
        }
        "log" => inner.counts.commits += 1,
        _ => inner.counts.others += 1,
    }
    if inner.objects.contains_key(name) {
        return Created::Lost { at };
    }
    let body = match folder {
        "snapshot" => {
            let body = stale(&mut inner, body);
            spoilt(&mut inner, name, body)
        }
        _ => body,
    };
    inner.insert(name.to_owned(), Stored { created: at, body });
    Created::Won { at }
}

/// What is stored for a snapshot: now and then what the one before it held.
fn stale(inner: &mut Inner, body: Bytes) -> Bytes {
    let rate = inner.faults.stale_snapshots;
    if !inner.random.per_mille(rate) {
        return body;
    }
    let mut snapshots = inner.objects.range("snapshot/".to_owned()..);
    let newest = snapshots.next().filter(|(name, _)| name.starts_with("snapshot/"));
    let Some(before) = newest.map(|(_, stored)| stored.body.clone()) else { return body };
    inner.snapshots_damaged = true;
    inner.injected.count(Fault::StaleSnapshot);
    before
}

/// What is stored for a snapshot: now and then half of it, or what a newer version would write.
fn spoilt(inner: &mut Inner, name: &str, body: Bytes) -> Bytes {
    let rate = inner.faults.spoilt_snapshots;
    if rate == 0 || !inner.random.per_mille(rate) {
        return body;
    }
    inner.snapshots_damaged = true;
    inner.spoilt.insert(name.to_owned());
    let state = read_snapshot(name, &body).ok().filter(|_| inner.random.per_mille(500));
    let newer = state.and_then(|state| write_snapshot(&State { v: VERSION + 1, ..state }).ok());
    newer.unwrap_or_else(|| body.slice(..body.len() / 2))
}

fn list(world: &World, prefix: &str, from: &str, limit: usize) -> Page {
    let now = world.time().now();
    let mut inner = world.lock();
    inner.counts.lists += 1;
    let start = if from < prefix { prefix } else { from };
    let mut found =
        inner.objects.range(start.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
    let entry = |(name, stored): (&String, &Stored)| Entry {
        name: name.clone(),
        size: stored.body.len() as u64,
        created: stored.created,
    };
    let entries: Vec<Entry> = found.by_ref().take(limit).map(entry).collect();
    let next = found.next().map(|(name, _)| name.clone());
    Page { entries, now: inner.store_now(now), next }
}
