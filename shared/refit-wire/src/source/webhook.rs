//! Signed webhooks: GitHub, MLflow, and any sender that follows Standard Webhooks; and answers by signed links.
//!
//! A signature is verified on the bytes as they came, before anything is read of them. Several secrets may hold at a
//! time, so that one can be replaced. Where the signature covers the time of sending, that may be five minutes off.

mod comment;
mod github;
mod link;
mod mlflow;
mod standard;
mod tag;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use refit_core::time::{Span, Timestamp};
use sha2::Sha256;

use crate::link::{HEADER, KEY_BYTES_MIN};

use super::{Arrival, Delivery, Meaning, Rejected};

/// How far the time a webhook was sent may be from now.
const TOLERANCE: Span = Span::secs(300);
/// A message of a topic brings its attributes as headers, which then say nothing of the sender.
const FOREIGN: &str = "x-goog-pubsub-message-id";

/// Who sends webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// A repository or an organisation on GitHub.
    Github,
    /// A tracking server of MLflow 3.
    Mlflow,
    /// Anybody who follows Standard Webhooks.
    Standard,
    /// A person who follows a link that refit signed.
    Link,
}

/// The secrets that hold, by sender.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<Sender, Vec<Vec<u8>>>);

/// What a signature says, if it says it of these bytes.
struct Claim {
    signed: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    sent: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Sender {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Github, Self::Mlflow, Self::Standard, Self::Link];

    /// The sender that a request is of, by its headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if headers.contains_key(FOREIGN) {
            return None;
        }
        let sent = |sender: &Self| headers.contains_key(sender.mark());
        Self::ALL.into_iter().find(sent)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Mlflow => "mlflow",
            Self::Standard => "standard",
            Self::Link => "link",
        }
    }

    /// The header every webhook of the sender has.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Self::Github => "x-github-event",
            Self::Mlflow => "x-mlflow-delivery-id",
            Self::Standard => "webhook-id",
            Self::Link => HEADER,
        }
    }

    fn claim(self, delivery: &Delivery<'_>) -> Result<Claim, Rejected> {
        match self {
            Self::Github => github::claim(delivery),
            Self::Mlflow => mlflow::claim(delivery),
            Self::Standard => standard::claim(delivery),
            Self::Link => link::claim(delivery),
        }
    }
}

impl Secrets {
    /// Adds the secrets of a sender: one or several, apart by white space. One of Standard Webhooks begins with
    /// `whsec_` and is base64; any other is taken as it is.
    ///
    /// # Errors
    /// None is there, or one cannot be decoded; the message does not show it.
    pub fn add(&mut self, sender: Sender, text: &str) -> Result<(), String> {
        let keys = text.split_whitespace().map(|secret| match sender {
            Sender::Standard => standard::key(secret),
            Sender::Link if secret.len() < KEY_BYTES_MIN => {
                Err(format!("links need a secret of {KEY_BYTES_MIN} bytes at the least"))
            }
            Sender::Github | Sender::Mlflow | Sender::Link => Ok(secret.as_bytes().to_vec()),
        });
        let keys = keys.collect::<Result<Vec<_>, String>>()?;
        if keys.is_empty() {
            return Err("it is empty: it would let anybody in".to_owned());
        }
        self.0.entry(sender).or_default().extend(keys);
        Ok(())
    }

    /// Whether there is a secret of this sender.
    #[must_use]
    pub fn know(&self, sender: Sender) -> bool {
        self.0.contains_key(&sender)
    }

    /// Verifies the signature of a webhook; where `now` is given, also that it was sent about then.
    ///
    /// # Errors
    /// Status 401 and the reason: it has no sender that is known, no signature, a wrong one, or one of another time.
    pub fn verify(
        &self,
        delivery: &Delivery<'_>,
        now: Option<Timestamp>,
    ) -> Result<Sender, Rejected> {
        let sender = Sender::of(delivery.headers)
            .ok_or_else(|| refused("a webhook of no sender that is known"))?;
        let unknown = || refused(&format!("no secret is set for webhooks of {}", sender.name()));
        let keys = self.0.get(&sender).ok_or_else(unknown)?;
        let claim = sender.claim(delivery)?;
        if !keys.iter().any(|key| claim.holds(key)) {
            return Err(refused("the signature does not match the body"));
        }
        if claim.until.zip(now).is_some_and(|(until, now)| until <= now) {
            return Err(refused("the link holds no longer"));
        }
        match (claim.sent, now) {
            (Some(sent), Some(now)) if sent.since(now).max(now.since(sent)) > TOLERANCE => {
                Err(refused("the webhook was signed more than five minutes off"))
            }
            (_, _) => Ok(sender),
        }
    }
}

impl Claim {
    /// Whether one of the signatures was made with this key, compared in constant time.
    fn holds(&self, key: &[u8]) -> bool {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
        let mac = mac.chain_update(&self.signed);
        self.signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.0.iter().map(|(sender, keys)| (sender.name(), keys.len()));
        f.debug_map().entries(counted).finish()
    }
}

/// Recognises them by their headers.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let Arrival::Request(delivery) = arrival else { return Ok(None) };
    match Sender::of(delivery.headers) {
        Some(Sender::Github) => github::read(delivery).map(Some),
        Some(Sender::Mlflow) => mlflow::read(delivery).map(Some),
        Some(Sender::Standard) => standard::read(delivery).map(Some),
        Some(Sender::Link) => link::read(delivery).map(Some),
        None => Ok(None),
    }
}

fn refused(reason: &str) -> Rejected {
    Rejected { status: 401, reason: reason.to_owned() }
}

/// A header that is a text and not empty.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// A time in seconds since 1970, as headers have it.
fn seconds(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from_millis(text.parse::<i64>().ok()?.checked_mul(1000)?))
}

/// The bytes `{id}.{time}.{body}`, which both MLflow and Standard Webhooks sign.
fn signed(id: &str, time: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", time.as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(header).collect()
    }

    fn secrets(sender: Sender, text: &str) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(sender, text).unwrap();
        secrets
    }

    /// What comes of a webhook: the sender, or the reason.
    fn verified(
        secrets: &Secrets,
        pairs: &[(&str, &str)],
        body: &str,
        now: Option<&str>,
    ) -> Result<Sender, String> {
        let headers = headers(pairs);
        let delivery = Delivery { headers: &headers, body: body.as_bytes() };
        let now = now.map(|text| text.parse().unwrap());
        secrets.verify(&delivery, now).map_err(|rejected| {
            assert_eq!(rejected.status, 401);
            rejected.reason
        })
    }

    const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const GITHUB_SECRET: &str = "It's-a-Secret-to-Everybody";

    /// The vector of GitHub's documentation, whose secret has spaces: added as it is.
    #[test]
    fn the_signature_of_githubs_documentation_holds() {
        let pairs = [("x-github-event", "ping"), ("x-hub-signature-256", GITHUB)];
        let key = b"It's a Secret to Everybody".to_vec();
        let known = Secrets(BTreeMap::from([(Sender::Github, vec![key])]));
        assert_eq!(verified(&known, &pairs, "Hello, World!", None), Ok(Sender::Github));
        let other = verified(&known, &pairs, "Hello, World?", None);
        assert_eq!(other, Err("the signature does not match the body".to_owned()));
    }

    /// The vector of the reference implementations of Standard Webhooks.
    #[test]
    fn the_signature_of_standard_webhooks_holds_for_five_minutes() {
        let known = secrets(Sender::Standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let pairs = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let body = "{\"test\": 2432232314}";
        for (now, is_near) in [
            ("2021-02-25T15:02:10Z", true),
            ("2021-02-25T15:07:09Z", true),
            ("2021-02-25T14:57:11Z", true),
            ("2021-02-25T15:07:11Z", false),
            ("2021-02-25T14:57:09Z", false),
        ] {
            let found = verified(&known, &pairs, body, Some(now));
            assert_eq!(found.is_ok(), is_near, "{now}: {found:?}");
        }
        assert!(verified(&known, &pairs, "{\"test\":2432232314}", None).is_err());
    }

    #[test]
    fn any_of_several_secrets_will_do_and_of_several_signatures() {
        let both = secrets(
            Sender::Standard,
            "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        );
        let pairs = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,AAAA v2,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let body = "{\"test\": 2432232314}";
        assert_eq!(verified(&both, &pairs, body, None), Ok(Sender::Standard));
    }

    #[test]
    fn whoever_cannot_be_verified_is_refused_with_the_reason() {
        let known = secrets(Sender::Github, GITHUB_SECRET);
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[], "a webhook of no sender that is known"),
            (&[("webhook-id", "1")], "no secret is set for webhooks of standard"),
            (&[("x-github-event", "push")], "the webhook has no signature"),
            (
                &[("x-github-event", "push"), ("x-hub-signature-256", "sha256=zz")],
                "the signature cannot be read",
            ),
            (
                &[("x-github-event", "push"), ("x-goog-pubsub-message-id", "1")],
                "a webhook of no sender that is known",
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(verified(&known, pairs, "{}", None), Err(expected.to_owned()));
        }
    }

    /// A link of ann, as it is handed on.
    fn link(key: &str) -> String {
        let link = crate::link::Link {
            ledger: crate::link::ledger_at("gs://acme-refit/prod"),
            model: "churn".to_owned(),
            version: "3".to_owned(),
            stage: refit_core::promotion::Stage::Production,
            request: 2,
            person: "ann".to_owned(),
            until: "2026-01-05T12:00:00Z".parse().unwrap(),
        };
        link.token(key.as_bytes()).unwrap()
    }

    #[test]
    fn a_link_holds_whole_by_its_secret_and_until_its_time() {
        let (key, other) =
            ("0123456789abcdef0123456789abcdef", "a-secret-of-somebody-else-entirely");
        let known = secrets(Sender::Link, &format!("{other}-too {key}"));
        let (whole, forged) = (link(key), link(other));
        let (said, signature) = whole.split_once('.').unwrap();
        let swapped = format!("{}.{signature}", link(other).replace('.', ""));
        let (before, after) = ("2026-01-05T11:59:59Z", "2026-01-05T12:00:00Z");
        for (token, now, expected) in [
            (whole.as_str(), before, Ok(Sender::Link)),
            (&whole, after, Err("the link holds no longer")),
            (&forged, before, Err("the signature does not match the body")),
            (&whole[..whole.len() - 3], before, Err("the signature does not match the body")),
            (said, before, Err("this is no link, or not all of it")),
            (&swapped, before, Err("this is no link, or not all of it")),
            (&whole[1..], before, Err("this is no link, or not all of it")),
            ("", before, Err("this is no link, or not all of it")),
        ] {
            let found = verified(&known, &[(HEADER, token)], "decision=approve", Some(now));
            assert_eq!(found, expected.map_err(str::to_owned), "{token}");
        }
        let short = Secrets::default().add(Sender::Link, "guessable").unwrap_err();
        assert!(short.contains("32 bytes") && !short.contains("guessable"), "{short}");
    }

    /// Hmac of these bytes.
    fn mac(key: &str, bytes: &[u8]) -> Vec<u8> {
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.chain_update(bytes).finalize().into_bytes().to_vec()
    }

    /// The headers a sender sends with this body, signed.
    fn sent_by(sender: Sender, key: &str, body: &str) -> Vec<(&'static str, String)> {
        use base64::Engine as _;
        let timed = |id: &str| {
            let bytes = mac(key, &signed(id, "1767614400", body.as_bytes()));
            format!("v1,{}", base64::prelude::BASE64_STANDARD.encode(bytes))
        };
        let mut headers = vec![(sender.mark(), "7".to_owned())];
        match sender {
            Sender::Github => {
                let hex: Vec<String> =
                    mac(key, body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
                headers = vec![
                    (sender.mark(), "push".to_owned()),
                    ("x-github-delivery", "7".to_owned()),
                    ("x-hub-signature-256", format!("sha256={}", hex.concat())),
                ];
            }
            Sender::Mlflow => headers.extend([
                ("x-mlflow-timestamp", "1767614400".to_owned()),
                ("x-mlflow-signature", timed("7")),
            ]),
            Sender::Standard => headers.extend([
                ("webhook-timestamp", "1767614400".to_owned()),
                ("webhook-signature", timed("7")),
            ]),
            Sender::Link => headers = vec![(sender.mark(), link(key))],
        }
        headers
    }

    /// Whoever may send one webhook could otherwise record anything.
    #[test]
    fn what_a_signature_does_not_cover_makes_nothing_else_of_a_webhook() {
        let key = "0123456789abcdef0123456789abcdef";
        let upload = r#"{"specversion": "1.0", "id": "1", "type": "t", "source": "/s",
            "data": {"bucket": "b", "name": "n", "generation": "1"}}"#;
        let bodies = [
            (Sender::Github, r#"{"ref": "r", "after": "a"}"#),
            (Sender::Mlflow, r#"{"entity": "e", "action": "a", "data": {"name": "churn"}}"#),
            (Sender::Standard, r#"{"type": "order.placed", "data": {}}"#),
            (Sender::Link, "decision=approve"),
            (Sender::Link, upload),
        ];
        let event = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-type", "google.cloud.storage.object.v1.finalized"),
            ("ce-source", "//storage.googleapis.com/projects/_/buckets/b"),
        ];
        let json = ("content-type", "application/json");
        let structured = ("content-type", "application/cloudevents+json");
        let batch = ("content-type", "application/cloudevents-batch+json");
        for (sender, body) in bodies {
            let own = sent_by(sender, key, body);
            let own: Vec<(&str, &str)> = own.iter().map(|(name, it)| (*name, &**it)).collect();
            let form = |more: &[(&str, &str)]| {
                let pairs = [&own[..], more].concat();
                let now = Some("2026-01-05T11:59:00Z");
                assert_eq!(verified(&secrets(sender, key), &pairs, body, now), Ok(sender));
                super::super::tests::form(&pairs, body)
            };
            let meant = form(&[json]);
            let is_said = sender != Sender::Link || body.starts_with("decision");
            assert_eq!(meant["outcome"] == "record", is_said, "{meant}");
            assert_eq!(form(&[&event[..], &[json]].concat()), meant);
            for media in [structured, batch] {
                for more in [vec![media], [&event[..], &[media]].concat()] {
                    let found = form(&more);
                    let is_refused = sender == Sender::Github && found["suggested_status"] == 415;
                    assert!(is_refused || found == meant, "{sender:?}: {found}");
                }
            }
        }
    }

    #[test]
    fn a_secret_that_is_empty_or_broken_is_refused_and_none_is_shown() {
        let mut secrets = Secrets::default();
        assert!(secrets.add(Sender::Github, " ").unwrap_err().contains("anybody"));
        let broken = secrets.add(Sender::Standard, "whsec_~secret~").unwrap_err();
        assert!(!broken.contains("~secret~"), "{broken}");
        secrets.add(Sender::Github, "one two").unwrap();
        assert_eq!(format!("{secrets:?}"), "{\"github\": 2}");
    }
}
