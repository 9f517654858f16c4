//! The secrets of webhooks: those in the environment, and those that it names in a secret store.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use refit_core::key::Hash128;
use refit_core::time::Span;
use refit_engine::port::{Clock, Transport};
use refit_wire::http::Secret;
use refit_wire::link::Link;
use refit_wire::pipeline::auth::SecretRef;
use refit_wire::source::{Delivery, Rejected, Secrets, Sender};

/// How often kept secrets are read again at most because a signature did not hold: anybody can send such.
const AGAIN: Span = Span::mins(1);

/// The secrets of webhooks as the environment gives them.
#[derive(Clone, Default)]
pub struct HookSecrets {
    /// Those in the environment.
    pub plain: Secrets,
    /// Those it names, and whose they are.
    pub kept: Vec<(Sender, Secret)>,
}

/// The text of a kept secret, or why it cannot be read.
type Text = Result<String, String>;

/// Who verifies webhooks.
pub(crate) struct Verifier {
    secrets: HookSecrets,
    /// How links name the ledger they may be of.
    ledger: Hash128,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// When kept secrets were last read again.
    again: Mutex<Option<Span>>,
}

impl fmt::Debug for HookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookSecrets").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl HookSecrets {
    /// Adds the secrets of a sender: one or several, apart by white space, each as it is or as the name of a secret in a
    /// store, such as `projects/P/secrets/S` or the ARN of one of AWS.
    ///
    /// # Errors
    /// None is there, or one cannot be decoded; the message does not show it.
    pub fn add(&mut self, sender: Sender, text: &str) -> Result<(), String> {
        let named = |word: &&str| word.starts_with("projects/") || word.starts_with("arn:aws");
        let (kept, plain): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(named);
        for name in &kept {
            let secret = SecretRef::Secret((*name).to_owned()).resolve()?;
            self.kept.push((sender, secret));
        }
        match (plain.is_empty(), kept.is_empty()) {
            (true, false) => Ok(()),
            (_, _) => self.plain.add(sender, &plain.join(" ")),
        }
    }
}

impl Verifier {
    pub(crate) fn new(
        secrets: HookSecrets,
        ledger: Hash128,
        (transport, clock): (Arc<dyn Transport>, Arc<dyn Clock>),
    ) -> Self {
        Self { secrets, ledger, transport, clock, again: Mutex::default() }
    }

    /// Verifies the signature of a webhook, and that a link is of this ledger: one secret may be that of several, and
    /// the same model and request may be in each.
    pub(crate) async fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Rejected> {
        self.verify_signature(delivery).await?;
        match Link::of(delivery.headers) {
            Some(link) if link.ledger != self.ledger => Err(Rejected {
                status: 403,
                reason: "the link is of another ledger than this door takes answers for".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Where a signature holds by no secret as they were last read, those in a store are read once more: one may have
    /// been replaced.
    async fn verify_signature(&self, delivery: &Delivery<'_>) -> Result<(), Rejected> {
        let sender = Sender::of(delivery.headers);
        let kept = self.secrets.kept.iter().filter(|(of, _)| Some(*of) == sender);
        let kept: Vec<&(Sender, Secret)> = kept.collect();
        let texts = self.read(&kept, &[]).await;
        match self.holds(delivery, &kept, &texts) {
            Err(_) if texts.iter().any(Result::is_ok) && self.may_read_again() => {
                let texts = self.read(&kept, &texts).await;
                self.holds(delivery, &kept, &texts)
            }
            held => held,
        }
    }

    /// The texts of kept secrets, or why one cannot be read; those that did not hold are read anew.
    async fn read(&self, kept: &[&(Sender, Secret)], refused: &[Text]) -> Vec<Text> {
        let reads = kept.iter().enumerate().map(async |(index, (_, secret))| {
            let refused = refused.get(index).and_then(|text| text.as_deref().ok());
            let read = self.transport.secret(secret, refused).await;
            read.map_err(|error| error.to_string())
        });
        futures::future::join_all(reads).await
    }

    /// Whether a signature holds by a secret that could be read. By one that could not it may hold: one of several may
    /// be gone already that another has replaced.
    fn holds(
        &self,
        delivery: &Delivery<'_>,
        kept: &[&(Sender, Secret)],
        texts: &[Text],
    ) -> Result<(), Rejected> {
        let (mut secrets, mut missing) = (self.secrets.plain.clone(), None);
        for ((sender, _), text) in kept.iter().zip(texts) {
            let added = text.clone().and_then(|text| secrets.add(*sender, &text));
            missing = missing.or(added.err());
        }
        let held = secrets.verify(delivery, Some(self.clock.now())).map(drop);
        held.map_err(|rejected| missing.map_or(rejected, |why| unavailable(&why)))
    }

    fn may_read_again(&self) -> bool {
        let now = self.clock.elapsed();
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        let may = again.is_none_or(|last| now >= last + AGAIN);
        if may {
            *again = Some(now);
        }
        may
    }
}

/// The sender is to come again: what it sent may be good.
fn unavailable(why: &str) -> Rejected {
    Rejected { status: 503, reason: format!("the secrets of webhooks cannot be read: {why}") }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use http::HeaderMap;
    use refit_core::error::{Error, ErrorKind};
    use refit_core::time::Timestamp;
    use refit_testkit::clock::ManualClock;
    use refit_wire::http::{Reply, Request};
    use refit_wire::link::ledger_at;
    use sha2::Sha256;

    use super::*;

    const NAME: &str = "projects/acme/secrets/hook";
    const GONE: &str = "projects/acme/secrets/gone";

    /// A store with one secret, which can be replaced; what was read stays until it is said not to hold.
    #[derive(Default)]
    struct Store {
        text: Mutex<String>,
        kept: Mutex<Option<String>>,
        reads: Mutex<usize>,
    }

    #[async_trait]
    impl Transport for Store {
        async fn send(&self, _: Request) -> Reply {
            panic!("nothing is sent")
        }

        async fn secret(&self, secret: &Secret, refused: Option<&str>) -> Result<String, Error> {
            if *secret == Secret::Google(format!("{GONE}/versions/latest")) {
                return Err(Error::new(ErrorKind::Rejected, "it was destroyed"));
            }
            assert_eq!(*secret, Secret::Google(format!("{NAME}/versions/latest")));
            let mut kept = self.kept.lock().unwrap();
            kept.take_if(|text| refused == Some(text));
            if kept.is_none() {
                *self.reads.lock().unwrap() += 1;
                *kept = Some(self.text.lock().unwrap().clone()).filter(|text| !text.is_empty());
            }
            kept.clone().ok_or_else(|| Error::new(ErrorKind::Unavailable, "not now"))
        }
    }

    fn headers(secret: &str) -> HeaderMap {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(b"{}");
        let signature: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("sha256={signature}");
        let pairs = [
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", "1".to_owned()),
            ("x-hub-signature-256", signature),
        ];
        let pair = |(name, value): (&'static str, String)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.into_iter().map(pair).collect()
    }

    #[tokio::test]
    async fn a_secret_of_a_store_is_read_again_when_a_signature_does_not_hold_but_not_for_everybody()
     {
        let (store, clock) = (
            Arc::new(Store::default()),
            Arc::new(ManualClock::new("2026-01-05T12:00:00Z".parse().unwrap())),
        );
        let mut secrets = HookSecrets::default();
        secrets.add(Sender::Github, &format!("{NAME} old")).unwrap();
        assert!(!format!("{secrets:?}").contains("old"));
        let (transport, given): (Arc<dyn Transport>, Arc<dyn Clock>) =
            (Arc::<Store>::clone(&store), Arc::<ManualClock>::clone(&clock));
        let verifier = Verifier::new(secrets, ledger_at("memory:/"), (transport, given));
        let verify = async |secret: &str| {
            let headers = headers(secret);
            let delivery = Delivery { headers: &headers, body: b"{}" };
            verifier.verify(&delivery).await.map_err(|rejected| rejected.status)
        };
        let reads = || *store.reads.lock().unwrap();
        assert_eq!((verify("first").await, reads()), (Err(503), 1), "the store cannot be read");
        *store.text.lock().unwrap() = "first".to_owned();
        assert_eq!((verify("first").await, reads()), (Ok(()), 2));
        assert_eq!((verify("old").await, reads()), (Ok(()), 2), "the one in the environment");
        *store.text.lock().unwrap() = "second".to_owned();
        assert_eq!((verify("first").await, reads()), (Ok(()), 2), "kept");
        assert_eq!((verify("second").await, reads()), (Ok(()), 3), "read again");
        for _ in 0..5 {
            assert_eq!(
                (verify("forged").await, reads()),
                (Err(401), 3),
                "not again within a minute"
            );
        }
        clock.advance(Span::mins(1));
        assert_eq!((verify("forged").await, reads()), (Err(401), 4));
    }

    #[tokio::test]
    async fn a_secret_that_is_gone_keeps_nobody_out_who_signs_by_another() {
        let (store, clock) =
            (Arc::new(Store::default()), Arc::new(ManualClock::new(Timestamp::EPOCH)));
        let mut secrets = HookSecrets::default();
        secrets.add(Sender::Github, &format!("{NAME} {GONE} plain")).unwrap();
        *store.text.lock().unwrap() = "new".to_owned();
        let verifier = Verifier::new(secrets, ledger_at("memory:/"), (store, clock));
        for (secret, verified) in [("new", Ok(())), ("plain", Ok(())), ("forged", Err(503))] {
            let headers = headers(secret);
            let delivery = Delivery { headers: &headers, body: b"{}" };
            let said = verifier.verify(&delivery).await.map_err(|rejected| rejected.status);
            assert_eq!(said, verified, "{secret}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in ["", " ", "projects/acme", "arn:aws:ssm:eu-central-1:1:parameter/x"] {
            assert!(HookSecrets::default().add(Sender::Github, text).is_err(), "{text}");
        }
        let mut secrets = HookSecrets::default();
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hook-AbCdEf";
        secrets.add(Sender::Standard, arn).unwrap();
        assert_eq!(secrets.kept, [(Sender::Standard, Secret::Aws(arn.to_owned()))]);
        assert!(!secrets.plain.know(Sender::Standard));
    }
}
