//! Those who deliver events, again and again until they are acknowledged, as a message service does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use refit_core::event::{Event, Fact, ObjectChange};
use refit_engine::intake::Intake;

use crate::executor::{Executor, ProcessId};
use crate::faults::Fault;
use crate::world::World;

/// How long a deliverer waits for an answer, in milliseconds.
const PATIENCE: i64 = 10_000;

/// Something a process outside asks a process of the product to do.
type Spawned = Box<dyn FnOnce(&mut Executor) + Send>;

/// The way to one intake; none while its process is dead.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "an intake has nothing to print")]
pub struct Door {
    /// The process it is in.
    pub process: ProcessId,
    /// The intake.
    pub intake: Arc<Mutex<Option<Intake>>>,
}

/// What the deliverers share with the stage.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "futures have nothing to print")]
pub struct Outside {
    world: World,
    doors: Vec<Door>,
    spawned: Arc<Mutex<Vec<Spawned>>>,
    acknowledged: Arc<Mutex<Vec<Event>>>,
    outstanding: Arc<Mutex<usize>>,
    wakes: Arc<Mutex<Vec<mpsc::UnboundedSender<()>>>>,
}

/// Takes what a lock guards; a panic elsewhere has been reported already.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether one tells of an older generation of the object that the other tells of.
fn is_older(event: &Event, other: &Event) -> bool {
    let (Fact::Object(one), Fact::Object(other)) = (&event.fact, &other.fact) else { return false };
    let generation = |change: &ObjectChange| change.object.generation.as_ref()?.parse::<u64>().ok();
    one.object.place() == other.object.place() && generation(one) < generation(other)
}

impl Outside {
    /// Deliverers that know these doors.
    #[must_use]
    pub fn new(world: World, doors: Vec<Door>) -> Self {
        Self {
            world,
            doors,
            spawned: Arc::default(),
            acknowledged: Arc::default(),
            outstanding: Arc::default(),
            wakes: Arc::default(),
        }
    }

    /// Notes that one more delivery is under way.
    pub fn expect_one(&self) {
        *lock(&self.outstanding) += 1;
    }

    /// Deliveries that are not over.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        *lock(&self.outstanding)
    }

    /// All events that were acknowledged, as often as they were.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Event> {
        lock(&self.acknowledged).clone()
    }

    /// How many events arrived for the first time after one of a newer generation of their object.
    #[must_use]
    pub fn reordered(&self) -> usize {
        let all = lock(&self.acknowledged);
        let is_late = |at: &usize| {
            let (event, before) = (&all[*at], &all[..*at]);
            before.iter().any(|other| is_older(event, other))
                && before.iter().all(|other| other.identity != event.identity)
        };
        (0..all.len()).filter(is_late).count()
    }

    /// Says who can be woken.
    pub fn set_wakes(&self, wakes: Vec<mpsc::UnboundedSender<()>>) {
        *lock(&self.wakes) = wakes;
    }

    /// Lets the processes begin what they were asked to do.
    pub fn spawn_all(&self, executor: &mut Executor) {
        let spawned = std::mem::take(&mut *lock(&self.spawned));
        spawned.into_iter().for_each(|spawn| spawn(executor));
    }

    /// Delivers events in one request from that time on until they are acknowledged, and perhaps once more.
    pub async fn deliver(self, at: i64, events: Vec<Event>) {
        let time = self.world.time().clone();
        time.until(at).await;
        loop {
            let acknowledged = self.try_deliver(events.clone()).await;
            let (again, pause) = {
                let mut inner = self.world.lock();
                let duplicates = inner.faults.duplicates;
                (inner.random.per_mille(duplicates), inner.random.between(500, 20_000))
            };
            if acknowledged {
                lock(&self.acknowledged).extend_from_slice(&events);
                if !again {
                    *lock(&self.outstanding) -= 1;
                    return;
                }
                self.world.inject(Fault::Duplicate);
            }
            time.after(pause).await;
        }
    }

    async fn try_deliver(&self, events: Vec<Event>) -> bool {
        let (door, wake) = {
            let mut inner = self.world.lock();
            let door = inner.random.pick(&self.doors).clone();
            let lost = inner.faults.wakes_lost;
            (door, !inner.random.per_mille(lost))
        };
        let intake = lock(&door.intake).clone();
        let Some(intake) = intake else { return false };
        self.world.lock().counts.requests += 1;
        if !wake {
            self.world.inject(Fault::WakeLost);
        }
        let (answer, answered) = oneshot::channel();
        let work = async move {
            let _ = answer.send(intake.append(events).await.is_ok());
        };
        let spawn: Spawned = Box::new(move |executor| executor.spawn(door.process, work));
        lock(&self.spawned).push(spawn);
        let limit = self.world.time().after(PATIENCE);
        let acknowledged = match select(answered, std::pin::pin!(limit)).await {
            Either::Left((answer, _)) => answer.unwrap_or(false),
            Either::Right(_) => false,
        };
        if acknowledged && wake {
            self.wake();
        }
        acknowledged
    }

    /// A wake reaches one instance, whichever it is.
    fn wake(&self) {
        let wakes = lock(&self.wakes);
        if !wakes.is_empty() {
            let _ = self.world.lock().random.pick(&wakes).unbounded_send(());
        }
    }
}
