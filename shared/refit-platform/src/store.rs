//! Where a ledger lies: implementations of the [`Store`](refit_engine::port::Store) port.

mod local;
mod memory;
mod name;
mod open;

pub use local::LocalStore;
pub use memory::MemoryStore;
pub use open::{open, root_uri};

/// Entries one page of a listing holds at most.
const PAGE_ENTRIES_MAX: usize = 1000;
