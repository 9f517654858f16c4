//! One thread, virtual time: futures of several processes that can be paused, killed and started again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::random::Random;

/// A process of the world.
pub type ProcessId = usize;
/// A task of a process.
type TaskId = u64;
/// What a task does.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time of the world and everything that waits for it, shared with the futures.
#[derive(Clone, Debug)]
pub struct Time {
    inner: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    now: i64,
    count: u64,
    timers: BinaryHeap<Reverse<(i64, u64)>>,
    wakers: BTreeMap<u64, Waker>,
}

impl Time {
    /// Milliseconds since the world began.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.lock().now
    }

    /// Waits until that time.
    #[must_use]
    pub fn until(&self, at: i64) -> Until {
        Until { time: self.clone(), at, timer: None }
    }

    /// Waits so many milliseconds.
    #[must_use]
    pub fn after(&self, millis: i64) -> Until {
        self.until(self.now().saturating_add(millis.max(0)))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a time.
#[derive(Debug)]
pub struct Until {
    time: Time,
    at: i64,
    timer: Option<u64>,
}

impl Future for Until {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time.clone();
        let mut waiting = time.lock();
        if waiting.now >= self.at {
            return Poll::Ready(());
        }
        let timer = match self.timer {
            Some(timer) => timer,
            None => {
                waiting.count += 1;
                let timer = waiting.count;
                waiting.timers.push(Reverse((self.at, timer)));
                self.timer = Some(timer);
                timer
            }
        };
        waiting.wakers.insert(timer, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.time.lock().wakers.remove(&timer);
        }
    }
}

/// Marks a task as ready.
struct Ready {
    task: TaskId,
    queue: Arc<Mutex<Vec<TaskId>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.contains(&self.task) {
            queue.push(self.task);
        }
    }
}

struct Task {
    process: ProcessId,
    work: Work,
    waker: Waker,
}

/// Runs the tasks.
#[expect(missing_debug_implementations, reason = "futures have nothing to print")]
pub struct Executor {
    time: Time,
    tasks: BTreeMap<TaskId, Task>,
    queue: Arc<Mutex<Vec<TaskId>>>,
    paused: BTreeMap<ProcessId, i64>,
    count: TaskId,
}

impl Default for Executor {
    fn default() -> Self {
        let time = Time { inner: Arc::default() };
        Self {
            time,
            tasks: BTreeMap::new(),
            queue: Arc::default(),
            paused: BTreeMap::new(),
            count: 0,
        }
    }
}

impl Executor {
    /// The time of the world.
    #[must_use]
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// Gives a process something to do.
    pub fn spawn(&mut self, process: ProcessId, work: impl Future<Output = ()> + Send + 'static) {
        self.count += 1;
        let task = self.count;
        let waker = Waker::from(Arc::new(Ready { task, queue: Arc::clone(&self.queue) }));
        waker.wake_by_ref();
        self.tasks.insert(task, Task { process, work: Box::pin(work), waker });
    }

    /// Ends everything a process does, in the middle of whatever it is.
    pub fn kill(&mut self, process: ProcessId) {
        let mut doomed: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.process == process)
            .map(|(id, _)| *id)
            .collect();
        for id in doomed.drain(..) {
            self.tasks.remove(&id);
        }
        self.paused.remove(&process);
    }

    /// Lets a process do nothing until that time.
    pub fn pause(&mut self, process: ProcessId, until: i64) {
        self.paused.insert(process, until);
    }

    /// Runs one task that is ready, or lets time pass until one is; false where nothing is left to do by `end`.
    pub fn step(&mut self, random: &mut Random, end: i64) -> bool {
        loop {
            if let Some(id) = self.next_ready(random) {
                self.poll(id);
                return true;
            }
            if !self.advance(end) {
                return false;
            }
        }
    }

    /// Lets time pass until then although nothing is left to do before.
    pub fn skip_to(&mut self, at: i64) {
        let mut waiting = self.time.lock();
        waiting.now = waiting.now.max(at);
    }

    fn next_ready(&mut self, random: &mut Random) -> Option<TaskId> {
        let now = self.time.now();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.retain(|id| self.tasks.contains_key(id));
        let paused = |id: &TaskId| {
            self.paused.get(&self.tasks[id].process).is_some_and(|until| *until > now)
        };
        let ready: Vec<usize> = (0..queue.len()).filter(|at| !paused(&queue[*at])).collect();
        if ready.is_empty() {
            return None;
        }
        Some(queue.remove(*random.pick(&ready)))
    }

    fn poll(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let waker = task.waker.clone();
        if task.work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&id);
        }
    }

    /// Lets time pass until the next timer or the end of the next pause.
    fn advance(&mut self, end: i64) -> bool {
        let mut waiting = self.time.lock();
        let now = waiting.now;
        let timer = waiting.timers.peek().map(|Reverse((at, _))| *at);
        let pause = self.paused.values().filter(|until| **until > now).min().copied();
        let Some(next) = timer.into_iter().chain(pause).min().filter(|next| *next <= end) else {
            return false;
        };
        waiting.now = waiting.now.max(next);
        let mut due = Vec::new();
        while let Some(Reverse((at, id))) = waiting.timers.peek().copied() {
            if at > waiting.now {
                break;
            }
            waiting.timers.pop();
            due.extend(waiting.wakers.remove(&id));
        }
        drop(waiting);
        due.into_iter().for_each(Waker::wake);
        true
    }
}
