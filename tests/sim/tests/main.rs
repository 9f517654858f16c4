//! The proof by simulation: many schedules with every fault, scenarios to the millisecond, mutants, cost.

mod cost;
mod mutants;
mod product;
mod scenarios;
mod schedules;
