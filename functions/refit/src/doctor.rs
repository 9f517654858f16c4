//! What goes wrong around a ledger, seen from outside: facts are gathered first, and checks judge them.
//!
//! A check is a file in `checks/` and a row in its table. It sends nothing: what it needs is in [`facts::Facts`].

mod checks;
mod cures;
mod facts;
mod look;
mod report;
mod rights;
#[cfg(test)]
mod tests;

pub(crate) use checks::examine;
pub(crate) use facts::{Clocks, Facts, LedgerFacts};
pub(crate) use look::Look;
