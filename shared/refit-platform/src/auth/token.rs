//! A secret in the memory of the process.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use refit_core::error::{Error, ErrorKind};

/// A token or a secret. It can be compared and sent, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// A token; white space around it, as files and secret stores add it, is cut.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A header with a token.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    name: HeaderName,
    value: HeaderValue,
    token: Token,
}

impl Credential {
    /// # Errors
    /// `Invalid` if the token is empty or holds what no header may.
    pub(super) fn new(name: HeaderName, scheme: &str, token: Token) -> Result<Self, Error> {
        let value = HeaderValue::try_from(format!("{scheme}{}", token.as_str()));
        // The cause is left out: it might show what is in the token.
        let mut value = value.map_err(|_| unfit(&name, "holds characters that no header may"))?;
        if token.as_str().is_empty() {
            return Err(unfit(&name, "is empty"));
        }
        value.set_sensitive(true);
        Ok(Self { name, value, token })
    }

    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }
}

fn unfit(header: &HeaderName, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("a credential {why}: header=`{header}`"))
}
