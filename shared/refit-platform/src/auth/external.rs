//! Google's tokens for a role of AWS, without a key: workload identity federation.
//!
//! AWS can tell whose signature a request has. Google's token service is handed such a request, which nobody sends
//! to AWS but Google, believes what it hears, and gives a token; with that, a service account gives one of its own. The
//! contract is AIP-4117, and what Google's own libraries do.

mod identity;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::Clock;
use refit_wire::address::place;
use refit_wire::credential::{self, Given, Token};
use refit_wire::http::{Auth, Request};
use serde::Deserialize;
use serde_json::json;
use url::{Host, Url, form_urlencoded};

use super::aws::Signer;
use super::google::{Kind, SCOPE};
use super::{bearer, refused};
use crate::env;
use crate::transport::{Allowed, Client};

/// The type of a configuration.
const TYPE: &str = "external_account";
/// What kind of a token a signed request of AWS is.
const SUBJECT: &str = "urn:ietf:params:aws:token-type:aws4_request";
/// The version of environments of AWS.
const ENVIRONMENT: &str = "aws1";
/// What a service account is asked for, at the end of the address of the configuration.
const ACCESS: &str = ":generateAccessToken";
/// The same for an ID token.
const ID: &str = ":generateIdToken";
/// How long one request may take.
const TIMEOUT: Span = Span::secs(5);
/// How long a token of a service account is to hold.
const LIFETIME: &str = "3600s";

/// A configuration as Google's tools write it. What is of other programs in it is not read.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "type")]
    ty: String,
    audience: String,
    subject_token_type: String,
    token_url: Url,
    service_account_impersonation_url: Option<Url>,
    credential_source: Source,
}

#[derive(Debug, Deserialize)]
struct Source {
    environment_id: Option<String>,
    regional_cred_verification_url: Option<String>,
}

/// Where tokens come from that AWS vouches for.
pub(super) struct External {
    client: Client,
    clock: Arc<dyn Clock>,
    signer: Arc<Signer>,
    document: Document,
    region: String,
    /// Where AWS tells whose signature a request has.
    verification: Url,
}

impl External {
    /// # Errors
    /// `Invalid` if the configuration is none of AWS, or leads elsewhere than to Google, or there is no region.
    pub(super) fn new(
        text: &str,
        region: Option<String>,
        (client, clock): (Client, Arc<dyn Clock>),
        signer: &Arc<Signer>,
    ) -> Result<Self, Error> {
        let document: Document = serde_json::from_str(text)
            .map_err(|_| wrong("it is not one of type external_account"))?;
        let source = &document.credential_source;
        if document.ty != TYPE || document.subject_token_type != SUBJECT {
            return Err(wrong("it is not one of type external_account for AWS"));
        }
        if source.environment_id.as_deref() != Some(ENVIRONMENT) {
            return Err(wrong("only environments of AWS are known, `aws1`"));
        }
        check(&document.token_url)?;
        document.service_account_impersonation_url.as_ref().map_or(Ok(()), check)?;
        let region = region.or_else(env::aws_region);
        let region = region.ok_or_else(|| wrong("AWS_REGION is not set"))?;
        let verification = verification(source, &region)?;
        let signer = Arc::clone(signer);
        Ok(Self { client, clock, signer, document, region, verification })
    }

    /// Fetches a token, and says how long it holds.
    pub(super) async fn fetch(&self, kind: &Kind) -> Result<Given, Error> {
        let federated = self.exchange().await?;
        match (kind, &self.document.service_account_impersonation_url) {
            (Kind::Access, None) => Ok(federated),
            (Kind::Access, Some(url)) => self.access_token(federated.0, url).await,
            (Kind::Id(audience), Some(url)) => self.id_token(federated.0, (url, audience)).await,
            (Kind::Id(_), None) => {
                let message = "a service account alone has ID tokens, and the configuration of workload identity names none";
                Err(Error::new(ErrorKind::Unauthorized, message))
            }
        }
    }

    /// Exchanges who AWS says the caller is for a token of Google.
    async fn exchange(&self) -> Result<Given, Error> {
        let key = self.signer.credential().await?;
        let of = (&self.verification, &*self.region, &*self.document.audience);
        let subject = identity::signed(of, &key, self.clock.now());
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
            .append_pair("audience", &self.document.audience)
            .append_pair("scope", SCOPE)
            .append_pair("subject_token_type", SUBJECT)
            .append_pair("subject_token", &subject)
            .finish();
        let mut request = Request::new(Method::POST, self.document.token_url.clone());
        let encoding = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, encoding);
        request.body = form.into();
        let body = self.ask("Google's token service", request, None).await?;
        credential::access_token(&body).ok_or_else(unreadable)
    }

    async fn access_token(&self, federated: Token, url: &Url) -> Result<Given, Error> {
        let body = json!({ "scope": [SCOPE], "lifetime": LIFETIME });
        let request = Request::new(Method::POST, url.clone()).json(&body);
        let body = self.ask("the service account", request, Some(federated)).await?;
        credential::access_token_of_account(&body, self.clock.now()).ok_or_else(unreadable)
    }

    async fn id_token(
        &self,
        federated: Token,
        (url, audience): (&Url, &str),
    ) -> Result<Given, Error> {
        let path = url.path().strip_suffix(ACCESS).ok_or_else(|| {
            wrong("the address of its service account does not end with :generateAccessToken")
        })?;
        let mut url = url.clone();
        url.set_path(&format!("{path}{ID}"));
        let body = json!({ "audience": audience, "includeEmail": true });
        let request = Request::new(Method::POST, url).json(&body);
        let body = self.ask("the service account", request, Some(federated)).await?;
        credential::id_token_of_account(&body, self.clock.now()).ok_or_else(unreadable)
    }

    /// The body of the answer of somebody who gives.
    async fn ask(
        &self,
        whom: &str,
        request: Request,
        shown: Option<Token>,
    ) -> Result<Bytes, Error> {
        let credential = shown.map(bearer).transpose()?;
        let reply = self.client.send(request, credential.as_ref(), TIMEOUT).await;
        let response = reply.map_err(|failure| {
            Error::new(ErrorKind::Unavailable, format!("no token from {whom}: {failure}"))
        })?;
        match response.status {
            200 => Ok(response.body),
            status => {
                let message = format!("no token from {whom}: status=`{status}`");
                Err(Error::new(refused(status), message))
            }
        }
    }
}

/// Refuses to send anything elsewhere than to Google, or to a stand-in on this machine.
fn check(url: &Url) -> Result<(), Error> {
    let is_here = matches!(url.host(), Some(Host::Ipv4(address)) if address.is_loopback());
    let hosts = is_here.then(|| place(url)).into_iter().collect();
    let checked = Allowed::default().check(url, &Auth::GoogleAccessToken { hosts });
    checked.map_err(|why| wrong(&why))
}

/// Where AWS tells whose signature a request has. Signed for elsewhere, it would be somebody's to use.
fn verification(source: &Source, region: &str) -> Result<Url, Error> {
    let template = source.regional_cred_verification_url.as_deref().unwrap_or_default();
    let url: Option<Url> = template.replace("{region}", region).parse().ok();
    let is_aws = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        let below = [".amazonaws.com", ".amazonaws.com.cn"];
        let is_sts = host.starts_with("sts.") && below.iter().any(|end| host.ends_with(end));
        is_sts && url.scheme() == "https" && url.path() == "/"
    };
    url.filter(is_aws).ok_or_else(|| {
        wrong("its regional_cred_verification_url is not that of AWS, such as https://sts.{region}.amazonaws.com?…")
    })
}

fn wrong(why: &str) -> Error {
    let message = format!("the configuration of workload identity cannot be used: {why}");
    Error::new(ErrorKind::Invalid, message)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Unavailable, "what Google answers to AWS's word is not a token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_or_signed_for_elsewhere_than_google_and_aws() {
        for (url, may) in [
            ("https://sts.googleapis.com/v1/token", true),
            ("https://iamcredentials.googleapis.com/v1/x:generateAccessToken", true),
            ("http://127.0.0.1:9000/v1/token", true),
            ("https://sts.googleapis.com.evil.com/v1/token", false),
            ("https://evil.com/v1/token", false),
            ("http://sts.googleapis.com/v1/token", false),
            ("http://10.0.0.1/v1/token", false),
            ("http://169.254.169.254/v1/token", false),
        ] {
            assert_eq!(check(&url.parse().unwrap()).is_ok(), may, "{url}");
        }
        for (template, may) in [
            (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
                true,
            ),
            ("https://sts.{region}.amazonaws.com.cn/?Action=GetCallerIdentity", true),
            ("https://sts.{region}.amazonaws.com.evil.com?Action=GetCallerIdentity", false),
            ("https://s3.{region}.amazonaws.com/bucket", false),
            ("http://sts.{region}.amazonaws.com", false),
            ("", false),
        ] {
            let url = Some(template.to_owned());
            let source = Source { environment_id: None, regional_cred_verification_url: url };
            assert_eq!(verification(&source, "eu-central-1").is_ok(), may, "{template}");
        }
    }
}
