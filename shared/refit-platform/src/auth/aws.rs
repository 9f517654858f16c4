//! Signatures of AWS, by the role of the function.

use std::fmt;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};
use refit_core::error::{Error, ErrorKind};
use refit_wire::http::Request;
use tokio::sync::OnceCell;

use super::AwsKey;

/// Finding credentials takes a bucket's name, which plays no part in it.
const NO_BUCKET: &str = "none";

/// Signs requests with the key it was given, else with that of the environment or of the role of the function.
pub(super) struct Signer {
    key: Option<AwsKey>,
    found: OnceCell<AwsCredentialProvider>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(super) fn new(key: Option<AwsKey>) -> Self {
        Self { key, found: OnceCell::new() }
    }

    /// Adds the headers of a signature, which holds for this request, to the byte, and for a few minutes.
    pub(super) async fn sign(
        &self,
        request: &mut Request,
        service: &str,
        region: &str,
    ) -> Result<(), Error> {
        let credential = self.credential().await?;
        let mut signed = unsigned(request)?;
        let authorizer = AwsAuthorizer::new(&credential, service, region);
        authorizer.try_authorize(&mut signed, None).map_err(|error| failed(&error))?;
        request.headers = signed.into_parts().0.headers;
        for (name, value) in &mut request.headers {
            let secret = ["authorization", "x-amz-security-token"].contains(&name.as_str());
            value.set_sensitive(secret);
        }
        Ok(())
    }

    /// The key that is signed with.
    pub(super) async fn credential(&self) -> Result<AwsCredential, Error> {
        if let Some(AwsKey { id, secret }) = &self.key {
            let (key_id, secret_key) = (id.clone(), secret.clone());
            return Ok(AwsCredential { key_id, secret_key, token: None });
        }
        let provider = self.found.get_or_try_init(async || find()).await?;
        let credential = provider.get_credential().await.map_err(|error| failed(&error))?;
        let AwsCredential { key_id, secret_key, token } = &*credential;
        Ok(AwsCredential {
            key_id: key_id.clone(),
            secret_key: secret_key.clone(),
            token: token.clone(),
        })
    }
}

/// Where the process gets its credentials: the environment, as on Lambda, a web identity, a container or an instance.
fn find() -> Result<AwsCredentialProvider, Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let found = AmazonS3Builder::from_env().with_bucket_name(NO_BUCKET).build();
    found.map(|store| Arc::clone(store.credentials())).map_err(|error| failed(&error))
}

fn unsigned(request: &Request) -> Result<HttpRequest, Error> {
    let mut unsigned = http::Request::builder()
        .method(request.method.clone())
        .uri(request.url.as_str())
        .body(HttpRequestBody::from(request.body.clone()))
        .map_err(|_| Error::new(ErrorKind::Invalid, "a URL cannot be signed"))?;
    *unsigned.headers_mut() = request.headers.clone();
    Ok(unsigned)
}

/// The causes are left out: they might show what credentials were read from.
fn failed(error: &object_store::Error) -> Error {
    let kind = match error {
        object_store::Error::Generic { .. } => ErrorKind::Unavailable,
        _ => ErrorKind::Unauthorized,
    };
    Error::new(kind, "no credentials of AWS, neither in the environment nor by a role")
}
