//! The proof by simulation: many schedules with every fault, scenarios to the millisecond, mutants, cost.

/// Tells something on stderr that the test harness does not swallow: it is part of the result.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stderr(), $($text)*).expect("stderr takes what is told");
    }};
}

mod cost;
mod mutants;
mod product;
mod scenarios;
mod schedules;
mod world;
