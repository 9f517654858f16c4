//! Where a ledger lies: implementations of the [`Store`](refit_engine::port::Store) port.

#[cfg(any(feature = "aws", feature = "gcp"))]
mod bucket;
#[cfg(feature = "gcp")]
mod gcs;
mod local;
mod memory;
mod name;
mod open;
#[cfg(feature = "aws")]
mod s3;

#[cfg(any(feature = "aws", feature = "gcp"))]
pub use bucket::Folder;
#[cfg(feature = "gcp")]
pub use gcs::GcsStore;
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use open::{open, root_uri};
#[cfg(feature = "aws")]
pub use s3::{S3Place, S3Store};

/// Entries one page of a listing holds at most.
const PAGE_ENTRIES_MAX: usize = 1000;
