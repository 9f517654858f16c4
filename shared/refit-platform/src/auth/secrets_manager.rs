//! Secrets in AWS Secrets Manager, read by the role of the function.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_wire::credential::{Given, secret_of_aws};
use refit_wire::http::{Request, Response};
use serde_json::json;
use url::Url;

use super::aws::Signer;
use super::cache::Source;
use super::secret::{LIFE, refusal, trouble};
use crate::transport::Client;

/// The service, as AWS names it.
const SERVICE: &str = "secretsmanager";
/// How long reading one may take.
const TIMEOUT: Span = Span::secs(5);
/// What is asked, in the header that says so.
const ASKED: (&str, &str) = ("x-amz-target", "secretsmanager.GetSecretValue");
/// How its requests are written.
const ENCODING: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// The client of Secrets Manager.
pub(super) struct SecretsManager {
    client: Client,
    signer: Arc<Signer>,
    /// Where it is, in place of Amazon's.
    endpoint: Option<Url>,
}

impl SecretsManager {
    pub(super) fn new(client: Client, signer: Arc<Signer>, endpoint: Option<Url>) -> Self {
        Self { client, signer, endpoint }
    }

    async fn access(&self, arn: &str) -> Result<Response, Error> {
        let (region, usual) =
            place(arn).ok_or_else(|| trouble(ErrorKind::Invalid, arn, "not an ARN of a secret"))?;
        let url = self.endpoint.clone().unwrap_or(usual);
        let mut request = Request::new(Method::POST, url).json(&json!({ "SecretId": arn }));
        request.headers.insert(header::CONTENT_TYPE, ENCODING);
        request.headers.insert(ASKED.0, HeaderValue::from_static(ASKED.1));
        self.signer.sign(&mut request, SERVICE, region).await?;
        let reply = self.client.send(request, None, TIMEOUT).await;
        reply.map_err(|failure| trouble(ErrorKind::Unavailable, arn, &failure.to_string()))
    }
}

/// The region a secret is in, and where it is read there: `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`.
fn place(arn: &str) -> Option<(&str, Url)> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", partition, SERVICE, region, _, "secret", _] = parts[..] else { return None };
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(is_region) {
        return None;
    }
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let url = Url::parse(&format!("https://{SERVICE}.{region}.{domain}/")).ok()?;
    Some((region, url))
}

#[async_trait]
impl Source for SecretsManager {
    type Key = String;

    async fn fetch(&self, arn: &String) -> Result<Given, Error> {
        let response = self.access(arn).await?;
        if response.status != 200 {
            return Err(refusal(response.status, arn));
        }
        let secret = secret_of_aws(&response.body);
        let secret = secret.ok_or_else(|| trouble(ErrorKind::Data, arn, "it is not text"))?;
        Ok((secret, LIFE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_where_its_name_says() {
        for (arn, url) in [
            (
                "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/kfp-AbCdEf",
                Some("https://secretsmanager.eu-central-1.amazonaws.com/"),
            ),
            (
                "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:kfp-AbCdEf",
                Some("https://secretsmanager.cn-north-1.amazonaws.com.cn/"),
            ),
            ("arn:aws:secretsmanager:evil.example/:123456789012:secret:kfp", None),
            ("arn:aws:secretsmanager::123456789012:secret:kfp", None),
            ("arn:aws:ssm:eu-central-1:123456789012:secret:kfp", None),
            ("kfp", None),
        ] {
            let found = place(arn).map(|(_, url)| url.to_string());
            assert_eq!(found.as_deref(), url, "{arn}");
        }
    }
}
