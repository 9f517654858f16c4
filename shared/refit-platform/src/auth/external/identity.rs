//! A request that asks AWS who its signer is, signed (version 4) and never sent: Google sends it.
//!
//! It is signed here and not by [`super::Signer`], whose signatures are over headers that Google's libraries leave out.

use object_store::aws::AwsCredential;
use refit_core::key::sha256_hex;
use refit_core::time::Timestamp;
use ring::hmac::{HMAC_SHA256, Key, Tag, sign};
use serde_json::json;
use url::{Url, form_urlencoded};

/// What is signed, and by which rules.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The service that tells.
const SERVICE: &str = "sts";
/// The end of every scope of a signature.
const SCOPE_END: &str = "aws4_request";
/// The header that says for whom the request is meant, so that nobody else can use it.
const MEANT_FOR: &str = "x-goog-cloud-target-resource";

/// The request as a token of who the caller is, meant for an audience: its text in JSON, encoded as part of a URL.
pub(super) fn signed(
    (url, region, audience): (&Url, &str, &str),
    key: &AwsCredential,
    now: Timestamp,
) -> String {
    let time = time(now);
    let mut headers = vec![
        ("host", url.host_str().unwrap_or_default()),
        ("x-amz-date", &time),
        (MEANT_FOR, audience),
    ];
    headers.extend(key.token.as_deref().map(|token| ("x-amz-security-token", token)));
    headers.sort_unstable();
    let authorization = authorization((url, region), &headers, (key, &time));
    headers.push(("Authorization", &authorization));
    let listed = headers.iter().map(|(key, value)| json!({ "key": key, "value": value }));
    let listed: Vec<_> = listed.collect();
    let request = json!({ "url": url.as_str(), "method": "POST", "headers": listed, "body": "" });
    form_urlencoded::byte_serialize(request.to_string().as_bytes()).collect()
}

fn authorization(
    (url, region): (&Url, &str),
    headers: &[(&str, &str)],
    (key, time): (&AwsCredential, &str),
) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim()));
    let lines: String = lines.collect();
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.sort_unstable();
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let nothing = sha256_hex(b"");
    let canonical = format!("POST\n/\n{query}\n{lines}\n{names}\n{nothing}");
    let day = &time[..8];
    let scope = format!("{day}/{region}/{SERVICE}/{SCOPE_END}");
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    let first = sign(&keyed(format!("AWS4{}", key.secret_key).as_bytes()), day.as_bytes());
    let parts = [region, SERVICE, SCOPE_END, &text];
    let signature =
        parts.iter().fold(first, |last: Tag, part| sign(&keyed(last.as_ref()), part.as_bytes()));
    let signature: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = &key.key_id;
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn keyed(bytes: &[u8]) -> Key {
    Key::new(HMAC_SHA256, bytes)
}

/// A time as AWS writes it, to the second.
fn time(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::Value;

    use super::*;

    const AUDIENCE: &str = "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/refit/providers/aws";

    /// Signatures that Google's own library for Python gives, `google.auth.aws.RequestSigner` of google-auth 2.62.2.
    #[test]
    fn a_signature_is_that_of_googles_own_library() {
        let url =
            "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        let url: Url = url.parse().unwrap();
        let now = "2026-01-05T12:00:00Z".parse().unwrap();
        let names = "SignedHeaders=host;x-amz-date;";
        for (token, names, signature) in [
            (
                None,
                format!("{names}{MEANT_FOR}"),
                "80f3f0fe321b5d36e6aeb37a144265b567d7f7c9087d64ec2bf26f0dcfde430e",
            ),
            (
                Some("session/token+x=="),
                format!("{names}x-amz-security-token;{MEANT_FOR}"),
                "6cba5051ae641442646367ecf3523b8a5319c1d23035221cb89a29cf0e1badde",
            ),
        ] {
            let key = AwsCredential {
                key_id: "AKIDEXAMPLE".to_owned(),
                secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                token: token.map(str::to_owned),
            };
            let signed = signed((&url, "eu-central-1", AUDIENCE), &key, now);
            let pair = format!("x={signed}");
            let decoded = form_urlencoded::parse(pair.as_bytes()).next().map(|(_, text)| text);
            let request: Value =
                serde_json::from_str(&decoded.map(Cow::into_owned).unwrap()).unwrap();
            let headers = request["headers"].as_array().unwrap();
            let value = |name: &str| {
                headers.iter().find(|it| it["key"] == name).map(|it| it["value"].as_str().unwrap())
            };
            let authorization = value("Authorization").unwrap();
            assert_eq!(
                authorization,
                format!(
                    "{ALGORITHM} Credential=AKIDEXAMPLE/20260105/eu-central-1/sts/aws4_request, {names}, Signature={signature}"
                )
            );
            assert_eq!((value(MEANT_FOR), value("x-amz-security-token")), (Some(AUDIENCE), token));
            assert!(!signed.contains("wJalr"), "the key is not in it");
        }
    }
}
