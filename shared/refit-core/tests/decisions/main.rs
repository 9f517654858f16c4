//! Decisions as tables of text: what happens in, what is decided out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod approvers;
mod batches;
mod bytes;
mod conflicts;
mod drawn;
mod drift;
mod endurance;
mod events;
mod facts;
mod given_up;
mod gone;
mod guard;
mod invariants;
mod models;
#[cfg(feature = "mutants")]
mod mutants;
mod notices;
mod poison;
mod post;
mod promotions;
mod races;
mod removed;
mod reopened;
mod replacing;
mod rules;
mod runs;
mod schedule;
mod settings;
mod texts;
mod unseen;
mod world;

/// Compares what is decided with what is wanted.
fn check(world: &str, wanted: &expect_test::Expect) {
    wanted.assert_eq(&world::run(world));
}
