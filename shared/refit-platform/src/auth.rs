//! The credentials that requests name: fetched when needed, kept while they hold, shown to nobody.

#[cfg(feature = "aws")]
mod aws;
mod cache;
mod credential;
#[cfg(feature = "aws")]
mod external;
mod github;
mod google;
mod metadata;
mod secret;
mod secrets;
#[cfg(feature = "aws")]
mod secrets_manager;

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::Clock;
use refit_wire::credential::Token;
use refit_wire::http::{Auth, Request, Secret};
use serde_json::Value;
use url::Url;

use self::cache::Cache;
pub(crate) use self::credential::Credential;
#[cfg(feature = "aws")]
use self::external::External;
use self::github::Apps;
use self::google::{GoogleTokens, Kind};
use self::secret::SecretManager;
use self::secrets::Secrets;
#[cfg(feature = "aws")]
use self::secrets_manager::SecretsManager;
use crate::env;
use crate::transport::Clients;

/// The variable that names a file with credentials, as Google's own libraries know it.
const GOOGLE_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Where credentials come from.
#[derive(Clone, Debug)]
pub struct Places {
    /// A stand-in for Google's metadata server, as `host` or `host:port`; it then serves access tokens as well.
    pub metadata: Option<String>,
    /// A configuration of workload identity federation, in JSON: tokens of Google for whom AWS vouches. It takes a build
    /// with AWS.
    pub federation: Option<String>,
    /// Secret Manager.
    pub secret_manager: Url,
    /// A key of AWS in place of the one that the environment or the role of the function gives.
    pub aws: Option<AwsKey>,
    /// Secrets Manager of AWS, in place of that of the region a secret names.
    pub secrets_manager: Option<Url>,
    /// A region of AWS in place of the one that the environment names.
    pub aws_region: Option<String>,
}

/// A key of AWS. It can sign, and is never shown.
#[derive(Clone)]
pub struct AwsKey {
    /// Its public half.
    pub id: String,
    /// Its secret half.
    pub secret: String,
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Default for Places {
    fn default() -> Self {
        let secret_manager = "https://secretmanager.googleapis.com/".parse().expect("a URL");
        Self {
            metadata: None,
            federation: None,
            secret_manager,
            aws: None,
            secrets_manager: None,
            aws_region: None,
        }
    }
}

impl Places {
    /// The usual places, the stand-in that `GCE_METADATA_HOST` names, and the federation that
    /// `REFIT_GOOGLE_FEDERATION` holds, or the file of Google's own variable for credentials.
    #[must_use]
    pub fn from_env() -> Self {
        let federation = env::var("REFIT_GOOGLE_FEDERATION");
        let federation = federation.or_else(|| federation_in(&env::var(GOOGLE_FILE)?));
        Self { metadata: env::var("GCE_METADATA_HOST"), federation, ..Self::default() }
    }
}

/// The credentials of a process.
#[derive(Debug)]
pub(crate) struct Credentials {
    tokens: Arc<Cache<GoogleTokens>>,
    apps: Cache<Apps>,
    secrets: Arc<Secrets>,
    #[cfg(feature = "aws")]
    aws: Arc<aws::Signer>,
}

impl Credentials {
    /// # Errors
    /// `Invalid` if the metadata server is not named by a host.
    pub(crate) fn new(
        clients: &Clients,
        clock: Arc<dyn Clock>,
        places: Places,
    ) -> Result<Self, Error> {
        let client = &clients.open;
        let source =
            GoogleTokens::new(client.clone(), Arc::clone(&clock), places.metadata.as_deref())?;
        #[cfg(feature = "aws")]
        let aws = Arc::new(aws::Signer::new(places.aws));
        #[cfg(feature = "aws")]
        let source = {
            let ways = (client.clone(), Arc::clone(&clock));
            let (text, region) = (places.federation, places.aws_region);
            let external = text.map(|text| External::new(&text, region, ways, &aws));
            source.with(external.transpose()?)
        };
        #[cfg(not(feature = "aws"))]
        if places.federation.is_some() {
            let message =
                "workload identity of AWS is not in this build, install one with --features aws";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let tokens = Arc::new(Cache::new(source, Arc::clone(&clock)));
        #[cfg(feature = "aws")]
        let secrets_of_aws = {
            let (client, signer) = (client.clone(), Arc::clone(&aws));
            let manager = SecretsManager::new(client, signer, places.secrets_manager);
            Cache::new(manager, Arc::clone(&clock))
        };
        let manager =
            SecretManager::new(client.clone(), Arc::clone(&tokens), places.secret_manager);
        let secrets = Arc::new(Secrets {
            google: Cache::new(manager, Arc::clone(&clock)),
            #[cfg(feature = "aws")]
            aws: secrets_of_aws,
        });
        // Where a server is that gives tokens of an app is for rules to say.
        let guarded = clients.guarded.clone();
        let apps = Apps::new(guarded, Arc::clone(&clock), Arc::clone(&secrets));
        Ok(Self {
            tokens,
            apps: Cache::new(apps, clock),
            secrets,
            #[cfg(feature = "aws")]
            aws,
        })
    }

    /// Signs a request that names a signature.
    #[cfg(feature = "aws")]
    pub(crate) async fn sign(&self, request: &mut Request) -> Result<(), Error> {
        match request.auth.clone() {
            Auth::Aws { service, region } => self.aws.sign(request, &service, &region).await,
            _ => Ok(()),
        }
    }

    /// Refuses a request that names a signature.
    #[cfg(not(feature = "aws"))]
    #[expect(clippy::unused_async, reason = "a build with AWS asks for keys")]
    pub(crate) async fn sign(&self, request: &mut Request) -> Result<(), Error> {
        match &request.auth {
            Auth::Aws { service, .. } => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "aws is not in this build, install one with --features aws: service=`{service}`"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The credential a request names, but for a signature.
    pub(crate) async fn of(&self, auth: &Auth) -> Result<Option<Credential>, Error> {
        let credential = match auth {
            Auth::None | Auth::Aws { .. } | Auth::Url { .. } => return Ok(None),
            Auth::GoogleAccessToken { .. } => bearer(self.tokens.get(&Kind::Access).await?),
            Auth::GoogleIdToken { audience, .. } => {
                bearer(self.tokens.get(&Kind::Id(audience.clone())).await?)
            }
            Auth::Bearer(secret) => bearer(self.secrets.get(secret).await?),
            Auth::Scheme(scheme, secret) => {
                let scheme = format!("{scheme} ");
                Credential::new(AUTHORIZATION, &scheme, self.secrets.get(secret).await?)
            }
            Auth::Header(name, secret) => {
                Credential::new(name.clone(), "", self.secrets.get(secret).await?)
            }
            Auth::GithubApp(app) => bearer(self.apps.get(app).await?),
        };
        credential.map(Some)
    }

    /// The address a request names that is a secret, or has one in it. No error shows it.
    pub(crate) async fn address(&self, auth: &Auth) -> Result<Option<Url>, Error> {
        let Auth::Url { before, secret, after, .. } = auth else { return Ok(None) };
        let token = self.secrets.get(secret).await?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
        let is_whole = before.is_empty() && after.is_empty();
        let unfit = || Error::new(ErrorKind::Invalid, "a secret is no address, nor a part of one");
        if !is_whole && !token.as_str().bytes().all(is_plain) {
            return Err(unfit());
        }
        let url = format!("{before}{}{after}", token.as_str()).parse();
        url.map(Some).map_err(|_| unfit())
    }

    /// A secret, for what is not sent over HTTP.
    pub(crate) async fn password(&self, secret: &Secret) -> Result<Token, Error> {
        self.secrets.get(secret).await
    }

    /// Forgets a credential that was refused, so that the next request is sent with a fresh one.
    pub(crate) fn forget(&self, auth: &Auth, credential: &Credential) {
        match auth {
            Auth::GoogleAccessToken { .. } => self.tokens.forget(&Kind::Access, credential.token()),
            Auth::GoogleIdToken { audience, .. } => {
                self.tokens.forget(&Kind::Id(audience.clone()), credential.token())
            }
            Auth::Bearer(secret) | Auth::Scheme(_, secret) | Auth::Header(_, secret) => {
                self.forget_secret(secret, credential.token());
            }
            Auth::GithubApp(app) => self.apps.forget(app, credential.token()),
            Auth::None | Auth::Aws { .. } | Auth::Url { .. } => {}
        }
    }

    /// Forgets a secret that did not hold, so that it is read anew.
    pub(crate) fn forget_secret(&self, secret: &Secret, token: &Token) {
        self.secrets.forget(secret, token);
    }
}

/// The configuration of a federation of AWS that a file holds; none where it holds anything else, or where this build
/// could do nothing with it.
fn federation_in(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let document: Value = serde_json::from_str(&text).ok()?;
    let environment = document.pointer("/credential_source/environment_id")?.as_str()?;
    let is_ours = document["type"] == "external_account" && environment.starts_with("aws");
    (cfg!(feature = "aws") && is_ours).then_some(text)
}

/// What the status of an answer means in which nothing was given.
fn refused(status: u16) -> ErrorKind {
    match status {
        400..500 if status != 429 => ErrorKind::Unauthorized,
        _ => ErrorKind::Unavailable,
    }
}

fn bearer(token: Token) -> Result<Credential, Error> {
    Credential::new(AUTHORIZATION, "Bearer ", token)
}
