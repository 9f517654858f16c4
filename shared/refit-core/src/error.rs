//! What went wrong, by what is to be done about it.

use std::fmt;

/// What the caller of a failed operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The sender or the configuration is wrong: mend it and send again.
    Invalid,
    /// Someone else was first: read again.
    Conflict,
    /// It may work later: try again, with growing pauses. A write may have taken effect.
    Unavailable,
    /// A permission or a secret is missing: no retries in a row, tell a person.
    Unauthorized,
    /// The other side said no for good.
    Rejected,
    /// Something stored cannot be read: leave it alone, tell a person.
    Data,
    /// A bug of ours.
    Internal,
}

/// An error: what to do, what happened, and why.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error; the message is a lower-case fragment with ``key=`value` `` last, never a body, never a token.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What the caller does.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with a word on where it happened before its message.
    #[must_use]
    pub fn context(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
