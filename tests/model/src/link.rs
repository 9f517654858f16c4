//! Shared values known by a hash of their content, so that the states that hold them are small.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

/// A shared value; equal where its content's hash is.
pub struct Link<T> {
    id: u64,
    value: Arc<T>,
}

impl<T> Link<T> {
    /// A value with the hash of what tells it from others.
    #[must_use]
    pub fn new(id: u64, value: T) -> Self {
        Self { id, value: Arc::new(value) }
    }

    /// The hash of its content.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self { id: self.id, value: Arc::clone(&self.value) }
    }
}

impl<T> PartialEq for Link<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<T> Eq for Link<T> {}

impl<T> Hash for Link<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<T> Deref for Link<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.id >> 32)
    }
}

/// The 64-bit hash of a value.
#[must_use]
pub fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What was computed once, by the hash of what it was computed from.
pub struct Table<V>(RwLock<HashMap<u64, V>>);

impl<V: Clone> Table<V> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self(RwLock::default())
    }

    /// What is known under that hash.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<V> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Notes it, unless something is known under that hash already; answers with what is known then.
    pub fn put(&self, id: u64, value: V) -> V {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.entry(id).or_insert(value).clone()
    }

    /// How much is known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<V: Clone> Default for Table<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}
