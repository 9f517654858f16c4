//! How a service is told who asks.

use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::Endpoint;
use crate::http;

/// The credential a service is asked with. Left out, it is `google` for hosts of Google and `none` for plain `http`;
/// for any other host it must be stated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// No credential, as for a service in the same cluster or behind `kubectl port-forward`.
    None,
    /// An access token of the function's service account, fetched for every call. It opens all of the project, so
    /// it is sent to `*.googleapis.com` and `*.pipelines.googleusercontent.com` over https only.
    Google,
    /// The same token for these hosts as well, each with its port where that is not the usual one: `HOST:PORT`. Whoever
    /// runs them can act as the service account.
    GoogleFor(Vec<String>),
    /// An ID token of the function's service account, as for a service behind Identity-Aware Proxy or on Cloud Run.
    IdToken {
        /// Whom the token is for: the URL of the service, or the OAuth client id of the proxy.
        audience: String,
        /// The hosts it is sent to where the audience is not a URL of theirs, each with its port where that is not the
        /// usual one: `HOST:PORT`. Whoever runs them can ask the audience as the service account.
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// `Authorization: Bearer` with a secret.
    Bearer(SecretRef),
}

/// Where a secret is kept. A rule file never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// In an environment variable of the function, by name.
    Env(String),
    /// In Secret Manager of Google: `projects/P/secrets/S`, or `projects/P/secrets/S/versions/V`; without a version,
    /// the latest. In Secrets Manager of AWS: its ARN, `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`.
    Secret(String),
}

impl Auth {
    /// The credential for an endpoint, the usual one where none is stated.
    ///
    /// # Errors
    /// Says why it may not be sent there, or what is wrong with it.
    pub fn resolve(stated: Option<&Self>, endpoint: &Endpoint) -> Result<http::Auth, String> {
        let auth = match stated {
            Some(auth) => auth.credential(endpoint)?,
            None if endpoint.is_of_google() => http::Auth::GoogleAccessToken { hosts: Vec::new() },
            None if endpoint.is_plain() => http::Auth::None,
            None => {
                let place = endpoint.place();
                return Err(format!(
                    "say with `auth` what this host is asked with: `none`, `{{ bearer: {{ env: NAME }} }}` or \
                     `{{ bearer: {{ secret: … }} }}`, `{{ id_token: {{ audience: … }} }}`, `{{ google_for: [\"{place}\"] }}`: \
                     host=`{place}`"
                ));
            }
        };
        check_sent(&auth, endpoint)?;
        Ok(auth)
    }

    fn credential(&self, endpoint: &Endpoint) -> Result<http::Auth, String> {
        match self {
            Self::None => Ok(http::Auth::None),
            Self::Google => google(&[], endpoint),
            Self::GoogleFor(hosts) => google(hosts, endpoint),
            Self::IdToken { audience, .. } if audience.is_empty() => {
                Err("an ID token needs an audience".to_owned())
            }
            Self::IdToken { audience, hosts } => id_token(audience, hosts, endpoint),
            Self::Bearer(secret) => secret.resolve().map(http::Auth::Bearer),
        }
    }
}

impl SecretRef {
    /// Where the secret is read.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn resolve(&self) -> Result<http::Secret, String> {
        match self {
            Self::Env(name) if is_env_name(name) => Ok(http::Secret::Env(name.clone())),
            Self::Env(_) => Err("`env` takes the name of a variable, never its value".to_owned()),
            Self::Secret(name) if is_of_aws(name) => secret_of_aws(name).map(http::Secret::Aws),
            Self::Secret(name) => secret_version(name).map(http::Secret::Google),
        }
    }
}

/// Refuses to send a credential where others could read it.
pub(super) fn check_sent(auth: &http::Auth, endpoint: &Endpoint) -> Result<(), String> {
    if *auth != http::Auth::None && endpoint.is_plain() && !endpoint.is_loopback() {
        let host = endpoint.host();
        return Err(format!("a credential is not sent over plain http: host=`{host}`"));
    }
    Ok(())
}

fn google(hosts: &[String], endpoint: &Endpoint) -> Result<http::Auth, String> {
    if endpoint.is_of_google() || endpoint.is_listed(hosts) {
        return Ok(http::Auth::GoogleAccessToken { hosts: hosts.to_vec() });
    }
    let place = endpoint.place();
    Err(format!(
        "a Google access token goes to hosts of Google only; to send it to others, write \
         `auth: {{ google_for: [\"{place}\"] }}`: host=`{place}`"
    ))
}

fn id_token(audience: &str, hosts: &[String], endpoint: &Endpoint) -> Result<http::Auth, String> {
    if endpoint.is_meant_by(audience) || endpoint.is_listed(hosts) {
        return Ok(http::Auth::GoogleIdToken {
            audience: audience.to_owned(),
            hosts: hosts.to_vec(),
        });
    }
    let place = endpoint.place();
    Err(format!(
        "an ID token goes to the host it is for only, and this audience is not a URL of it; where it is that of a proxy \
         before the host, write `auth: {{ id_token: {{ audience: {audience}, hosts: [\"{place}\"] }} }}`: host=`{place}`"
    ))
}

fn is_env_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(legal)
}

/// Whether the name of a secret is one in Secrets Manager of AWS, right or wrong.
#[must_use]
pub fn is_of_aws(name: &str) -> bool {
    name.starts_with("arn:")
}

/// The ARN of a secret, whole: a pattern or the name alone could be another's.
fn secret_of_aws(arn: &str) -> Result<String, String> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let legal = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    match parts[..] {
        ["arn", _, "secretsmanager", region, account, "secret", name]
            if !region.is_empty()
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && !name.is_empty()
                && name.chars().all(legal) =>
        {
            Ok(arn.to_owned())
        }
        _ => Err("`secret` takes an ARN such as arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, never the secret".to_owned()),
    }
}

/// The name of a secret's version; of its latest where none is named.
fn secret_version(name: &str) -> Result<String, String> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        _ if parts.contains(&"") => {}
        ["projects", _, "secrets", _] => return Ok(format!("{name}/versions/latest")),
        ["projects", _, "secrets", _, "versions", _] => return Ok(name.to_owned()),
        _ => {}
    }
    Err("`secret` takes a name such as projects/P/secrets/S, never the secret".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resolve(endpoint: &str, auth: Value) -> Result<http::Auth, String> {
        let auth: Option<Auth> = serde_json::from_value(auth).unwrap();
        Auth::resolve(auth.as_ref(), &Endpoint::new(endpoint).unwrap())
    }

    #[test]
    fn the_usual_credential_follows_from_the_host() {
        let google = http::Auth::GoogleAccessToken { hosts: Vec::new() };
        let null = Value::Null;
        assert_eq!(resolve("https://x.pipelines.googleusercontent.com", null.clone()), Ok(google));
        assert_eq!(resolve("http://ml-pipeline:8888", null.clone()), Ok(http::Auth::None));
        let told = resolve("https://kfp.acme.example", null.clone()).unwrap_err();
        assert!(told.contains("`none`, `{ bearer: { env: NAME } }`"), "{told}");
        assert!(resolve("https://evilgoogleapis.com", null.clone()).is_err());
        assert!(resolve("https://storage.googleapis.com:8443", null).is_err());
    }

    #[test]
    fn a_credential_goes_where_it_may_go_only() {
        let cases = [
            ("https://kfp.acme.example", json!("none"), true),
            ("https://kfp.acme.example", json!("google"), false),
            ("https://kfp.acme.example", json!({"google_for": ["KFP.acme.example"]}), true),
            ("https://kfp.acme.example", json!({"google_for": ["acme.example"]}), false),
            ("https://kfp.acme.example:443", json!({"google_for": ["kfp.acme.example"]}), true),
            ("https://kfp.acme.example:8443", json!({"google_for": ["kfp.acme.example"]}), false),
            (
                "https://kfp.acme.example:8443",
                json!({"google_for": ["KFP.acme.example:8443"]}),
                true,
            ),
            ("https://kfp.acme.example", json!({"google_for": ["kfp.acme.example:8443"]}), false),
            ("https://storage.googleapis.com", json!("google"), true),
            ("https://storage.googleapis.com:8443", json!("google"), false),
            ("https://8.8.34.bc.googleusercontent.com", json!("google"), false),
            (
                "https://kfp.acme.example",
                json!({"id_token": {"audience": "https://KFP.acme.example/x"}}),
                true,
            ),
            (
                "https://kfp.acme.example",
                json!({"id_token": {"audience": "https://mlflow.acme.example"}}),
                false,
            ),
            (
                "https://kfp.acme.example",
                json!({"id_token": {"audience": "1-a.apps.googleusercontent.com"}}),
                false,
            ),
            (
                "https://kfp.acme.example",
                json!({"id_token": {"audience": "a", "hosts": ["KFP.acme.example"]}}),
                true,
            ),
            (
                "https://kfp.acme.example:8443",
                json!({"id_token": {"audience": "a", "hosts": ["kfp.acme.example"]}}),
                false,
            ),
            ("https://kfp.acme.example", json!({"id_token": {"audience": ""}}), false),
            ("https://kfp.acme.example", json!({"bearer": {"env": "KFP_TOKEN"}}), true),
            ("https://kfp.acme.example", json!({"bearer": {"env": "ya29.a0-x"}}), false),
            ("https://kfp.acme.example", json!({"bearer": {"secret": "ya29.a0-x"}}), false),
            ("http://ml-pipeline:8888", json!({"bearer": {"env": "KFP_TOKEN"}}), false),
            ("http://ml-pipeline:8888", json!({"google_for": ["ml-pipeline"]}), false),
            ("http://127.0.0.1:8888", json!({"bearer": {"env": "KFP_TOKEN"}}), true),
            ("http://127.0.0.1:8888", json!("google"), false),
            ("http://127.0.0.1:8888", json!({"google_for": ["127.0.0.1"]}), false),
            ("http://127.0.0.1:8888", json!({"google_for": ["127.0.0.1:8888"]}), true),
        ];
        for (endpoint, auth, good) in cases {
            let resolved = resolve(endpoint, auth.clone());
            assert_eq!(resolved.is_ok(), good, "{endpoint} {auth} {resolved:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_place_in_the_form_that_is_taken() {
        for endpoint in
            ["https://kfp.acme.example", "https://kfp.acme.example:8443", "https://[fd00::1]:8443"]
        {
            for auth in [Value::Null, json!("google"), json!({"google_for": ["acme.example"]})] {
                let told = resolve(endpoint, auth).unwrap_err();
                let (_, advice) = told.split_once("{ google_for: ").unwrap();
                let (listed, _) = advice.split_once(" }").unwrap();
                let listed: Value = serde_json::from_str(listed).unwrap();
                assert!(resolve(endpoint, json!({ "google_for": listed })).is_ok(), "{told}");
            }
        }
    }

    #[test]
    fn a_secret_is_named_with_its_version() {
        let version = |name: &str| SecretRef::Secret(name.to_owned()).resolve();
        let latest = http::Secret::Google("projects/p/secrets/s/versions/latest".to_owned());
        assert_eq!(version("projects/p/secrets/s"), Ok(latest));
        assert!(version("projects/p/secrets/s/versions/3").is_ok());
        assert!(version("projects//secrets/s").is_err());
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refit/kfp-AbCdEf";
        assert_eq!(version(arn), Ok(http::Secret::Aws(arn.to_owned())));
        for wrong in [
            "arn:aws:ssm:x:1:secret:s",
            "arn:aws:secretsmanager:x:1:secret:",
            "arn:x",
            "arn:aws:secretsmanager:x:a:secret:s",
            "arn:aws:secretsmanager:x:1:secret:s*",
        ] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
    }
}
