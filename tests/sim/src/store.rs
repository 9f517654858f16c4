//! The store as a process sees it: slow, forgetful of answers, and exact.

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::{Created, Entry, Page, Store};

use crate::world::{Inner, Stored, World};

/// The store with the faults of the schedule.
pub struct SimStore {
    world: World,
    who: String,
}

/// The store without delays or faults, for those who check.
pub struct RawStore(pub World);

/// What is to go wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Before,
    After,
    Late(i64),
}

impl SimStore {
    /// The store as the process of that name sees it.
    #[must_use]
    pub fn new(world: World, who: String) -> Self {
        Self { world, who }
    }

    fn draw(&self, is_create: bool) -> (Fate, i64, i64) {
        let now = self.world.time().now();
        let mut guard = self.world.lock();
        let Inner { random, faults, storm_until, .. } = &mut *guard;
        let before = random.between(1, faults.delay_max.max(1));
        let after = random.between(1, faults.delay_max.max(1));
        let fate = if is_create && *storm_until > now && random.per_mille(900) {
            Fate::Before
        } else if random.per_mille(faults.error_before) {
            Fate::Before
        } else if random.per_mille(faults.error_after) {
            Fate::After
        } else if is_create && random.per_mille(faults.late_create) {
            Fate::Late(random.between(1, faults.late_by_max.max(1)))
        } else {
            Fate::Well
        };
        guard.counts.faults += u64::from(fate != Fate::Well);
        (fate, before, after)
    }

    fn lost(&self, what: &str, name: &str) -> Error {
        self.world.note(&format!("{} {what} fails", self.who), name);
        Error::new(ErrorKind::Unavailable, "the store did not answer")
    }
}

#[async_trait]
impl Store for SimStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let (fate, before, after) = self.draw(false);
        self.world.time().after(before).await;
        if fate != Fate::Well {
            return Err(self.lost("get", name));
        }
        let body = get(&mut self.world.lock(), name);
        self.world.time().after(after).await;
        Ok(body)
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        let (fate, before, after) = self.draw(true);
        self.world.time().after(before).await;
        if fate == Fate::Before {
            return Err(self.lost("create", name));
        }
        if let Fate::Late(by) = fate {
            let at = self.world.time().now() + by;
            self.world.lock().late.push((at, name.to_owned(), body));
            return Err(self.lost("create (late)", name));
        }
        let created = create(&self.world, name, body);
        let what = if matches!(created, Created::Won { .. }) { "creates" } else { "loses" };
        self.world.note(&format!("{} {what}", self.who), name);
        self.world.time().after(after).await;
        if fate == Fate::After {
            return Err(self.lost("create (answer)", name));
        }
        Ok(created)
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let (fate, before, after) = self.draw(false);
        self.world.time().after(before).await;
        if fate != Fate::Well {
            return Err(self.lost("list", prefix));
        }
        let cut = self.world.lock().faults.page;
        let limit = if cut == 0 { limit } else { limit.min(cut) };
        let page = list(&self.world, prefix, from, limit);
        self.world.time().after(after).await;
        Ok(page)
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let (fate, before, _) = self.draw(false);
        self.world.time().after(before).await;
        if fate == Fate::Before {
            return Err(self.lost("delete", name));
        }
        self.world.lock().objects.remove(name);
        self.world.note(&format!("{} deletes", self.who), name);
        Ok(())
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
    inner.objects.get(name).map(|stored| stored.body.clone())
}

fn create(world: &World, name: &str, body: Bytes) -> Created {
    let now = world.time().now();
    let mut inner = world.lock();
    let at = inner.store_now(now);
    let folder = name.split('/').next().unwrap_or_default();
    match folder {
        "inbox" => inner.counts.segments += 1,
        "log" => inner.counts.commits += 1,
        _ => inner.counts.others += 1,
    }
    if inner.objects.contains_key(name) {
        return Created::Lost { at };
    }
    let body = stale(&mut inner, folder, body);
    inner.objects.insert(name.to_owned(), Stored { created: at, body });
    Created::Won { at }
}

/// What is stored for a snapshot: now and then what the one before it held.
fn stale(inner: &mut Inner, folder: &str, body: Bytes) -> Bytes {
    let rate = inner.faults.stale_snapshots;
    if folder != "snapshot" || !inner.random.per_mille(rate) {
        return body;
    }
    let mut snapshots = inner.objects.range("snapshot/".to_owned()..);
    let newest = snapshots.next().filter(|(name, _)| name.starts_with("snapshot/"));
    let Some(before) = newest.map(|(_, stored)| stored.body.clone()) else { return body };
    inner.snapshots_damaged = true;
    before
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
