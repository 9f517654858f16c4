//! A credential as a request has it.

use http::{HeaderName, HeaderValue};
use refit_core::error::{Error, ErrorKind};
use refit_wire::credential::Token;

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
