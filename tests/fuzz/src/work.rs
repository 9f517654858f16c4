//! Running inputs, one after another.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use refit_sim::random::Random;
use rustix::time::{ClockId, clock_gettime};

use crate::mutate::change;
use crate::targets::{Outcome, Target};

/// The stack of a worker of the product, and of a thread of a test.
const STACK_BYTES: usize = 2 << 20;
/// Inputs that are changed further at the most; a new one takes the place of another.
const INPUTS_MAX: usize = 4000;
/// How many of them may have been refused: what is understood leads further.
const REFUSED_MAX: usize = 200;
/// Bytes of an input that is worth keeping for that.
const KEPT_BYTES_MAX: usize = 8 << 10;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Inputs that were given.
    pub given: u64,
    /// How many of them were understood.
    pub understood: u64,
    /// Sorts of outcomes.
    pub outcomes: usize,
    /// How much of a processor the slowest took, and what it was.
    pub slowest: (Duration, Vec<u8>),
}

/// How long to go on.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// So many inputs.
    Inputs(u64),
    /// Until then.
    Until(Instant),
}

/// Gives a target its inputs, and changed ones from a seed, on a thread with a stack as in the product. `watch` is shown
/// each input before it is given.
///
/// # Panics
/// If the target does.
pub fn run(
    target: &'static Target,
    seed: u64,
    bound: Bound,
    mut watch: impl FnMut(&[u8]) + Send,
) -> Summary {
    // They are made here: who makes them may use more stack than who reads them.
    let inputs = target.inputs();
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        let work = || Work::new(target, seed, inputs).run(bound, &mut watch);
        let handle = thread.spawn_scoped(scope, work).expect("a thread can be started");
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How much was taken of a processor, by a clock that counts that: others may be at work as well.
pub(crate) fn taken(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

struct Work {
    target: &'static Target,
    random: Random,
    inputs: Vec<Vec<u8>>,
    sorts: BTreeSet<u64>,
    /// Inputs that were refused and are changed further.
    refused: usize,
    summary: Summary,
}

impl Work {
    fn new(target: &'static Target, seed: u64, inputs: Vec<Vec<u8>>) -> Self {
        let (random, sorts) = (Random::new(seed), BTreeSet::new());
        Self { target, random, inputs, sorts, refused: 0, summary: Summary::default() }
    }

    fn run(mut self, bound: Bound, watch: &mut impl FnMut(&[u8])) -> Summary {
        for input in self.inputs.clone() {
            self.give(input, watch);
        }
        while !self.is_over(bound) {
            let input = change(&mut self.random, &self.inputs);
            self.give(input, watch);
        }
        self.summary.outcomes = self.sorts.len();
        self.summary
    }

    #[expect(clippy::disallowed_methods, reason = "a run is as long as it was asked to be")]
    fn is_over(&self, bound: Bound) -> bool {
        match bound {
            Bound::Inputs(count) => self.summary.given >= count,
            Bound::Until(end) => Instant::now() >= end,
        }
    }

    fn give(&mut self, input: Vec<u8>, watch: &mut impl FnMut(&[u8])) {
        watch(&input);
        let begun = taken(ClockId::ThreadCPUTime);
        let outcome = (self.target.give)(&input);
        let took = taken(ClockId::ThreadCPUTime).saturating_sub(begun);
        if took > self.summary.slowest.0 {
            self.summary.slowest = (took, input.clone());
        }
        self.summary.given += 1;
        let is_understood = matches!(outcome, Outcome::Understood(_));
        self.summary.understood += u64::from(is_understood);
        if self.sorts.insert(outcome.sort()) && input.len() <= KEPT_BYTES_MAX {
            self.refused += usize::from(!is_understood);
            if is_understood || self.refused <= REFUSED_MAX {
                self.keep(input);
            }
        }
    }

    fn keep(&mut self, input: Vec<u8>) {
        if self.inputs.len() < INPUTS_MAX {
            self.inputs.push(input);
            return;
        }
        let at = usize::try_from(self.random.below(INPUTS_MAX as u64)).unwrap_or(0);
        self.inputs[at] = input;
    }
}
