//! Exploring a scope, and what came of it.

use std::fmt;
use std::time::Duration;

use stateright::{Checker, HasDiscoveries, Model};

use crate::property::{Wrong, check};
use crate::protocol::{Action, Protocol};
use crate::scope::Scope;

/// How far to explore.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads.
    pub threads: usize,
    /// Steps from the beginning at the most; none for all of them.
    pub depth: Option<usize>,
    /// How long at the most.
    pub time: Option<Duration>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was explored.
    pub scope: Scope,
    /// States, as often as they were reached.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// Steps from the beginning to the farthest.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether every state within the scope was explored.
    pub is_complete: bool,
    /// Different states of the ledger, and plans made of them.
    pub ledgers: (usize, usize),
    /// The first thing that is wrong, with the steps that lead to it.
    pub wrong: Option<(Wrong, Vec<Action>)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { events, deliveries, class, ticks, .. } = self.scope;
        let extent = if self.is_complete { "complete" } else { "cut short" };
        let (ledgers, plans) = self.ledgers;
        let seconds = self.took.as_secs_f64();
        write!(
            f,
            "{events} × {deliveries}, class {class:?}, {ticks} ticks: states {}, unique {}, depth {}, {seconds:.1} s, {extent} (ledgers {ledgers}, plans {plans})",
            self.states, self.unique, self.depth
        )?;
        if let Some((wrong, steps)) = &self.wrong {
            write!(f, "\n  wrong: {wrong}")?;
            for step in steps {
                write!(f, "\n    {step:?}")?;
            }
        }
        Ok(())
    }
}

/// Explores a scope.
#[expect(
    clippy::disallowed_methods,
    reason = "what the exploration took is measured by the machine's clock"
)]
#[must_use]
pub fn explore(scope: Scope, limits: Limits) -> Report {
    let started = std::time::Instant::now();
    let mut builder = Protocol::new(scope)
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = limits.depth {
        builder = builder.target_max_depth(depth);
    }
    if let Some(time) = limits.time {
        builder = builder.timeout(time);
    }
    let checker = builder.spawn_bfs().join();
    let took = started.elapsed();
    let is_timely = limits.time.is_none_or(|time| took < time);
    let is_deep = limits.depth.is_none_or(|depth| checker.max_depth() < depth);
    let model = checker.model();
    let shortest =
        checker.discoveries().into_values().min_by_key(|path| path.clone().into_actions().len());
    let wrong = shortest.and_then(|path| {
        let state = path.last_state().clone();
        let wrong = check(&state).or_else(|| model.recovers(&state))?;
        Some((wrong, path.into_actions()))
    });
    Report {
        scope,
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took,
        is_complete: is_timely && is_deep && wrong.is_none(),
        ledgers: model.ledger.sizes(),
        wrong,
    }
}
