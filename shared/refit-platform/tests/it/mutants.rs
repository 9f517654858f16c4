//! The suite itself, tried on stores that are wrong in one way each: a case that no wrong store fails is no case.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each place names the ways in which it may be wrong"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Clock as _, Created, Entry, Page, Store};
use refit_platform::clock::SystemClock;
use refit_testkit::conformance::{Backend, CASES, Traits};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    Overwrites,
    TellsLosersTheyWon,
    TellsTheSameBytesTheyWon,
    ForgetsEmptyBodies,
    KeepsTextOnly,
    CutsBigBodies,
    FindsByPrefix,
    DeletesNothing,
    DeletesTwiceWithAnError,
    DeletesByPrefix,
    DeletesForEver,
    CreatesAtNoTime,
    TellsAnotherTimeThanItLists,
    CountsBackwards,
    TellsLosersAnEarlyTime,
    SetsTheTimeAgain,
    KeepsLowerCaseOnly,
    CutsLongNames,
    TakesAnyName,
    ListsBackwards,
    ListsLate,
    ListsNoSizes,
    TakesAPrefixForAFolder,
    ShowsNeighbours,
    ListsAfterFrom,
    IgnoresFrom,
    FromBeatsPrefix,
    ListsInTheFuture,
    ListsWithoutALimit,
    SaysNothingOfMore,
    GoesOnTooLate,
    GoesOnTooEarly,
    AlwaysGoesOn,
    ShowsHalfOfALargeListing,
    HidesWhileWriting,
    ChecksThenWrites,
    ShowsHalfWrittenObjects,
    ForgetsWhenItIsOpenedAgain,
    BringsBackTheDeleted,
    KeepsOneBodyForAll,
    ServesAFewReadsOnly,
    TakesNamesByReading,
}

use Wrong as W;

type Objects = BTreeMap<String, (Bytes, Timestamp)>;

/// A store in memory that is wrong in one way.
#[derive(Clone)]
struct Mutant {
    wrong: Wrong,
    objects: Arc<Mutex<Objects>>,
    deleted: Arc<Mutex<Objects>>,
    made: Arc<Mutex<u32>>,
    reads: Arc<Mutex<u32>>,
}

impl Mutant {
    fn new(wrong: Wrong) -> Self {
        Self {
            wrong,
            objects: Arc::default(),
            deleted: Arc::default(),
            made: Arc::default(),
            reads: Arc::default(),
        }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }

    fn name(&self, name: &str) -> Result<String, Error> {
        let segment = |text: &str| {
            let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !text.is_empty() && !text.starts_with('.') && text.bytes().all(lawful)
        };
        let lawful = name.len() <= 512 && name.split('/').all(segment);
        match self.wrong {
            W::KeepsLowerCaseOnly if lawful => Ok(name.to_lowercase()),
            W::CutsLongNames if lawful => Ok(name.chars().take(64).collect()),
            W::TakesAnyName => Ok(name.to_owned()),
            _ if lawful => Ok(name.to_owned()),
            _ => Err(Error::new(ErrorKind::Invalid, "unlawful")),
        }
    }

    fn body(&self, body: Bytes) -> Bytes {
        match self.wrong {
            W::KeepsTextOnly => String::from_utf8_lossy(&body).into_owned().into(),
            W::CutsBigBodies => body.slice(..body.len().min(1 << 19)),
            _ => body,
        }
    }

    fn time(&self) -> Timestamp {
        let mut made = self.made.lock().unwrap();
        *made += 1;
        match self.wrong {
            W::CreatesAtNoTime => Timestamp::EPOCH,
            W::CountsBackwards => SystemClock.now() - Span::secs(i64::from(*made)),
            _ => SystemClock.now(),
        }
    }

    /// What a creator is told that does not come to write.
    fn loses(&self, objects: &mut Objects, name: &str, body: &Bytes) -> Option<Created> {
        let gone = self.is(W::DeletesForEver) && self.deleted.lock().unwrap().contains_key(name);
        let at =
            if self.is(W::TellsLosersAnEarlyTime) { Timestamp::EPOCH } else { SystemClock.now() };
        let Some((first, created)) = objects.get_mut(name) else {
            return gone.then_some(Created::Lost { at });
        };
        if self.is(W::SetsTheTimeAgain) {
            *created = *created + Span::secs(1);
        }
        let won = match self.wrong {
            W::TellsLosersTheyWon => true,
            W::TellsTheSameBytesTheyWon => first == body,
            W::Overwrites => return None,
            _ => false,
        };
        Some(if won { Created::Won { at } } else { Created::Lost { at } })
    }

    fn put(&self, objects: &mut Objects, name: String, body: Bytes) -> Created {
        let at = self.time();
        let listed = if self.is(W::TellsAnotherTimeThanItLists) { at + Span::mins(1) } else { at };
        objects.insert(name, (body, listed));
        Created::Won { at }
    }
}

/// Gives others the time to see what they should not.
async fn pause() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Store for Mutant {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let name = self.name(name)?;
        let mut objects = self.objects();
        if self.is(W::TakesNamesByReading) {
            objects.entry(name.clone()).or_insert((Bytes::new(), SystemClock.now()));
        }
        let found = match self.wrong {
            W::FindsByPrefix => objects.range(name..).next().map(|(_, object)| object),
            W::KeepsOneBodyForAll => {
                objects.get(&name).and(objects.values().max_by_key(|(body, at)| (*at, body)))
            }
            _ => objects.get(&name),
        };
        let mut reads = self.reads.lock().unwrap();
        *reads += 1;
        let body = found
            .map(|(body, _)| body.clone())
            .filter(|_| !self.is(W::ServesAFewReadsOnly) || *reads < 3);
        Ok(body.filter(|body| !self.is(W::ForgetsEmptyBodies) || !body.is_empty()))
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        let (name, body) = (self.name(name)?, self.body(body));
        if self.is(W::ShowsHalfWrittenObjects) && !self.objects().contains_key(&name) {
            let half = body.slice(..body.len() / 2);
            self.objects().insert(name.clone(), (half, SystemClock.now()));
            pause().await;
            self.objects().remove(&name);
        }
        if self.is(W::ChecksThenWrites) {
            let lost = self.loses(&mut self.objects(), &name, &body);
            pause().await;
            return Ok(lost.unwrap_or_else(|| self.put(&mut self.objects(), name, body)));
        }
        let mut objects = self.objects();
        let lost = self.loses(&mut objects, &name, &body);
        Ok(lost.unwrap_or_else(|| self.put(&mut objects, name, body)))
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let objects = self.objects();
        let prefix = match self.wrong {
            W::TakesAPrefixForAFolder if !prefix.is_empty() && !objects.contains_key(prefix) => {
                format!("{}/", prefix.trim_end_matches('/'))
            }
            W::ShowsNeighbours => prefix.trim_end_matches('/').to_owned(),
            _ => prefix.to_owned(),
        };
        let starts = |name: &str| match self.wrong {
            W::IgnoresFrom => true,
            W::ListsAfterFrom => name > from,
            _ => name >= from,
        };
        let within = |name: &str| {
            name.starts_with(&prefix) || self.is(W::FromBeatsPrefix) && !from.is_empty()
        };
        let mut found: Vec<Entry> = objects
            .iter()
            .filter(|(name, _)| within(name) && starts(name))
            .map(|(name, (body, created))| Entry {
                name: name.clone(),
                size: if self.is(W::ListsNoSizes) { 0 } else { body.len() as u64 },
                created: *created,
            })
            .collect();
        match self.wrong {
            W::ListsBackwards => found.reverse(),
            W::ListsLate => drop(found.pop()),
            W::ShowsHalfOfALargeListing if found.len() > 50 => found.truncate(50),
            W::HidesWhileWriting if objects.len() > 110 && objects.len() < 400 => {
                drop(found.drain(..1.min(found.len())))
            }
            _ => {}
        }
        let limit = if self.is(W::ListsWithoutALimit) { limit } else { limit.min(1000) };
        let next = match self.wrong {
            W::SaysNothingOfMore => None,
            W::GoesOnTooLate => found.get(limit + 1),
            W::GoesOnTooEarly if found.len() > limit && limit > 1 => found.get(limit - 1),
            W::AlwaysGoesOn if found.len() == limit => found.last(),
            _ => found.get(limit),
        };
        let next = next.map(|entry| entry.name.clone());
        found.truncate(limit);
        let now = match self.wrong {
            W::CreatesAtNoTime => Timestamp::EPOCH,
            W::CountsBackwards => self.time(),
            _ => SystemClock.now(),
        };
        let now = if self.is(W::ListsInTheFuture) { now - Span::mins(1) } else { now };
        Ok(Page { entries: found, now, next })
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let name = self.name(name)?;
        let mut objects = self.objects();
        match self.wrong {
            W::DeletesNothing => {}
            W::DeletesByPrefix => objects.retain(|other, _| !other.starts_with(&name)),
            W::DeletesTwiceWithAnError if !objects.contains_key(&name) => {
                return Err(Error::new(ErrorKind::Invalid, "not there"));
            }
            _ => {
                let object = objects.remove(&name);
                self.deleted.lock().unwrap().extend(object.map(|object| (name, object)));
            }
        }
        Ok(())
    }
}

struct Mutants {
    wrong: Wrong,
    stores: Mutex<HashMap<String, Mutant>>,
}

#[async_trait]
impl Backend for Mutants {
    async fn open(&self, place: &str) -> Arc<dyn Store> {
        let mut stores = self.stores.lock().unwrap();
        let store = stores.entry(place.to_owned()).or_insert_with(|| Mutant::new(self.wrong));
        match self.wrong {
            W::ForgetsWhenItIsOpenedAgain => *store = Mutant::new(self.wrong),
            W::BringsBackTheDeleted => store.objects().append(&mut store.deleted.lock().unwrap()),
            _ => {}
        }
        Arc::new(store.clone())
    }

    fn traits(&self) -> Traits {
        Traits { slack: Span::from_millis(20), persistent: true }
    }
}

/// The cases that this store fails.
async fn failing(wrong: Wrong) -> BTreeSet<&'static str> {
    let backend: Arc<dyn Backend> = Arc::new(Mutants { wrong, stores: Mutex::default() });
    let mut failing = BTreeSet::new();
    for case in CASES {
        if AssertUnwindSafe(case.play(Arc::clone(&backend))).catch_unwind().await.is_err() {
            failing.insert(case.name);
        }
    }
    failing
}

const ALL: &[Wrong] = &[
    W::Overwrites,
    W::TellsLosersTheyWon,
    W::TellsTheSameBytesTheyWon,
    W::ForgetsEmptyBodies,
    W::KeepsTextOnly,
    W::CutsBigBodies,
    W::FindsByPrefix,
    W::DeletesNothing,
    W::DeletesTwiceWithAnError,
    W::DeletesByPrefix,
    W::DeletesForEver,
    W::CreatesAtNoTime,
    W::TellsAnotherTimeThanItLists,
    W::CountsBackwards,
    W::TellsLosersAnEarlyTime,
    W::SetsTheTimeAgain,
    W::KeepsLowerCaseOnly,
    W::CutsLongNames,
    W::TakesAnyName,
    W::ListsBackwards,
    W::ListsLate,
    W::ListsNoSizes,
    W::TakesAPrefixForAFolder,
    W::ShowsNeighbours,
    W::ListsAfterFrom,
    W::IgnoresFrom,
    W::FromBeatsPrefix,
    W::ListsInTheFuture,
    W::ListsWithoutALimit,
    W::SaysNothingOfMore,
    W::GoesOnTooLate,
    W::GoesOnTooEarly,
    W::AlwaysGoesOn,
    W::ShowsHalfOfALargeListing,
    W::HidesWhileWriting,
    W::ChecksThenWrites,
    W::ShowsHalfWrittenObjects,
    W::ForgetsWhenItIsOpenedAgain,
    W::BringsBackTheDeleted,
    W::KeepsOneBodyForAll,
    W::ServesAFewReadsOnly,
    W::TakesNamesByReading,
];

// On one thread, so that who sees what is the same each time.
#[tokio::test]
async fn a_right_store_passes_and_every_wrong_one_fails_and_every_case_fails_one() {
    assert_eq!(failing(W::Nothing).await, BTreeSet::new());
    let mut useful = BTreeSet::new();
    for wrong in ALL {
        let failing = failing(*wrong).await;
        assert!(!failing.is_empty(), "{wrong:?} passes");
        useful.extend(failing);
    }
    let useless: Vec<_> = CASES.iter().filter(|case| !useful.contains(case.name)).collect();
    assert!(useless.is_empty(), "no wrong store fails {useless:?}");
}
