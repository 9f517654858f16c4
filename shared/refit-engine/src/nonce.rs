//! Names no other writer uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nonces of one process: its own random name, and a number.
#[derive(Clone, Debug)]
pub struct Nonces {
    process: Arc<str>,
    count: Arc<AtomicU64>,
}

impl Nonces {
    /// Nonces for a process with this name, which no other process may have.
    #[must_use]
    pub fn new(process: &str) -> Self {
        Self { process: process.into(), count: Arc::default() }
    }

    /// The next one.
    #[must_use]
    pub fn next(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:06}", self.process)
    }
}
