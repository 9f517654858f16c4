//! The secrets that rules name, wherever they are kept.

use refit_core::error::{Error, ErrorKind};
use refit_wire::credential::Token;
use refit_wire::http::Secret;

use super::cache::Cache;
use super::secret::SecretManager;
#[cfg(feature = "aws")]
use super::secrets_manager::SecretsManager;
use crate::env;

/// The places where secrets are kept, with those that were read lately.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) google: Cache<SecretManager>,
    #[cfg(feature = "aws")]
    pub(super) aws: Cache<SecretsManager>,
}

impl Secrets {
    pub(super) async fn get(&self, secret: &Secret) -> Result<Token, Error> {
        match secret {
            Secret::Google(name) => self.google.get(name).await,
            #[cfg(feature = "aws")]
            Secret::Aws(arn) => self.aws.get(arn).await,
            #[cfg(not(feature = "aws"))]
            Secret::Aws(arn) => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "aws is not in this build, install one with --features aws: secret=`{arn}`"
                ),
            )),
            Secret::Env(name) => env::var(name).map(|value| Token::new(&value)).ok_or_else(|| {
                Error::new(
                    ErrorKind::Unauthorized,
                    format!("a secret is not in the environment: variable=`{name}`"),
                )
            }),
        }
    }

    /// Forgets a secret that did not hold, so that it is read anew.
    pub(super) fn forget(&self, secret: &Secret, token: &Token) {
        match secret {
            Secret::Google(name) => self.google.forget(name, token),
            #[cfg(feature = "aws")]
            Secret::Aws(arn) => self.aws.forget(arn, token),
            #[cfg(not(feature = "aws"))]
            Secret::Aws(_) => {}
            Secret::Env(_) => {}
        }
    }
}
