use std::collections::BTreeSet;
use std::sync::Mutex as Held;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use refit_wire::http::{Failure, Reply, Response};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::*;

/// A key made for these tests, which protects nothing.
const KEY: &str = "\
     MIIEpAIBAAKCAQEA2m23zUPbcKUdQmepuHg6tfgJ27loGDjbVR/Y2qy0q1Fk9mWi8MBxHUVnROzDa1GhRgiQRbBCaN\
     lBnLDUqkRJZhS+oqJLTCmd8rHMMKeq24aliDbBidSTJo2NTWGEPbALTkoM0qgXIPxb03wiVwjtWtXvVmZwkmdqpkQs\
     R7dFhmX8fPnnGvdhzS/aiR8JKaKUR2ahu6LqpJNnQA2jYVLkZbPeHNbWokrFAbZpQsPvW5XMFreCG+12849/IGOIY+\
     WKiidY2JC4n3oNQHSwo8RzzsrRVbY4Ggbf71GQqso9VnNBGBMpwmXvoqjbdGWXqNu6nqsjJRfJuHs/TLpO8G2XkQID\
     AQABAoIBABOtpUy2k485LOLl5G40VLO+oiK7uCNQggAQA7EltIwno9Un8G9IoxgsP8K/otZpDwK4dEj2+XCpPAZCDx\
     K83rD15vvPa8GzkSGDf54ViOjIn2Kfbj282znysDt7sNZ+5PHbbX7P+m90FNC/gvd83CdeFTcfOP6TlxHeG/AlFHwo\
     Ssuty3TTj9OglUaze7o/Hz8atvNE/mkFwaj+ZdhKBhpOHeB1W3BKl2bhpviNo0S3SF/TIC4t3ed2G+Vm/yD9aTDcxV\
     wPrOyRzc70b/qGTm1AbcSsUccPzacrWddUrLHo8J2moNChyOBuKAVAwmw+BVU4wzC6VU0u3ZHJ3qkxNp0CgYEA/QFw\
     AvQUJ3Vf9amTUtSpFHkOAAF/0VtHxnTe3g0EGoGiOTtzed/0roIlpiSJoYuAattf/tOrmqkUP2XwxndUDDbUkByFkl\
     lf9cK0BVNsWkdKqxy7cqFXNiOgBSfQGZSoTdfVm1sRPSnzyRujHEn7bAf0iNkuoKW8vTqAgQZfacUCgYEA3QOEo5Mq\
     ARGmpHv2I5Xr5VIEYjUawVq35b6jgo9QTM8KlF5OER/cBmnXKUigs/jWoAr8daTCwxMUVShmRNXK4a5CRAVqZeyqOJ\
     WUDlt8XEcABhblWreFJtUMSID+JjP+VDq2Ze2NzNA5p08h/kfuXN1nxQ8yZxYNygdpFAiFL10CgYAOQb97Gx/rnUyb\
     /kND/qHMeonUbEE0ne0sfLd2UctyZu2qRfRa4Mjb8I+IjjSHOuIwo04EgQ8Bdxeh/u+Tb3P4ADr4J/NK7OhgY+lbB3\
     lqmOvXOpZBfl/4uAczYyvx1ROq10e9KmONS8jmAz2swWp+ivA3qe1bthstmpdVLfPAdQKBgQDOXGKUeOxXYyu9mSER\
     yQIhdJszN3Jr51Cd64qwdS/9B7RRJFywEJdYRaromS+z2zxK4vcmwVg43K+3c6lJzHVKk3K8IHJgCMJHYyKC5VkQsB\
     qNlQNB2OkygOqfKBIliZaG/usf8Nbdze6HEZQj4PXnL7Ocg7wEFMt7P8AVPH9e4QKBgQCDfcp5faI4orrOR43nBFh+\
     qGho9zYEAHz4cg0bCifPVmUzzywEQN+58TEMlZNdKrLq41xuPMW6X8wOwyov5xuW8ZGiIMHm6vKUejPvR178b7RjVF\
     jSUNSh7WL+cTZEDnZdpIgCGMlNlOmRehw+FoVMoJFth06ZBcymhSVkFAuZmQ==";
/// Its modulus, as it is published.
const MODULUS: &str = "\
     2m23zUPbcKUdQmepuHg6tfgJ27loGDjbVR_Y2qy0q1Fk9mWi8MBxHUVnROzDa1GhRgiQRbBCaNlBnLDUqkRJZhS-oq\
     JLTCmd8rHMMKeq24aliDbBidSTJo2NTWGEPbALTkoM0qgXIPxb03wiVwjtWtXvVmZwkmdqpkQsR7dFhmX8fPnnGvdh\
     zS_aiR8JKaKUR2ahu6LqpJNnQA2jYVLkZbPeHNbWokrFAbZpQsPvW5XMFreCG-12849_IGOIY-WKiidY2JC4n3oNQH\
     Swo8RzzsrRVbY4Ggbf71GQqso9VnNBGBMpwmXvoqjbdGWXqNu6nqsjJRfJuHs_TLpO8G2XkQ";

const NOON: &str = "2026-01-05T12:00:00Z";
pub(crate) const PUSHER: &str = "push@acme.iam.gserviceaccount.com";

/// A clock that stands where it is put, and an issuer whose answers are given.
pub(crate) struct World {
    now: Held<Timestamp>,
    answers: Held<Vec<Option<(&'static str, &'static str)>>>,
    asked: Held<usize>,
}

#[async_trait]
impl Transport for World {
    async fn send(&self, request: Request) -> Reply {
        assert_eq!(request.url.as_str(), "https://keys.example/certs");
        *self.asked.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop().expect("no call is expected");
        let Some((kid, cache)) = answer else {
            return Err(Failure::Unclear("time-out".to_owned()));
        };
        let keys = json!({"keys": [
            {"kty": "EC", "kid": "other"},
            {"kty": "RSA", "kid": kid, "n": MODULUS, "e": "AQAB", "alg": "RS256"},
        ]});
        let headers =
            HeaderMap::from_iter([(http::header::CACHE_CONTROL, HeaderValue::from_static(cache))]);
        Ok(Response { status: 200, headers, body: keys.to_string().into() })
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn elapsed(&self) -> Span {
        Span::ZERO
    }

    async fn sleep(&self, _: Span) {}
}

impl World {
    /// The last answer is given first.
    pub(crate) fn new(answers: Vec<Option<(&'static str, &'static str)>>) -> Arc<Self> {
        let now = Held::new(NOON.parse().unwrap());
        Arc::new(Self { now, answers: Held::new(answers), asked: Held::default() })
    }

    pub(crate) fn tokens(self: &Arc<Self>) -> Tokens {
        let allowed = BTreeSet::from([PUSHER.to_owned()]);
        let settings = Oidc {
            audience: "https://object.example".to_owned(),
            accounts: BTreeMap::from([("/".to_owned(), allowed)]),
            keys: "https://keys.example/certs".parse().unwrap(),
        };
        Tokens::new(settings, Arc::<Self>::clone(self), Arc::<Self>::clone(self))
    }

    fn pass(&self, span: Span) {
        let mut now = self.now.lock().unwrap();
        *now = *now + span;
    }
}

pub(crate) fn claims() -> Value {
    let noon: Timestamp = NOON.parse().unwrap();
    json!({
        "aud": "https://object.example", "iss": "https://accounts.google.com", "sub": "1",
        "email": PUSHER, "email_verified": true, "exp": noon.as_millis() / 1000 + 3600,
    })
}

pub(crate) fn token(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = RsaKeyPair::from_der(&STANDARD.decode(KEY).unwrap()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) fn header(kid: &str) -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": kid})
}

async fn verify(tokens: &Tokens, token: &str, path: &str) -> Result<(), Refused> {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
    tokens.verify(&headers, path).await
}

#[tokio::test]
async fn a_token_lets_in_whom_it_names_where_it_is_for_and_nowhere_else() {
    let world = World::new(vec![Some(("k1", "public, max-age=86400, must-revalidate"))]);
    let tokens = world.tokens();
    let good = token(&header("k1"), &claims());
    assert_eq!(verify(&tokens, &good, "/").await, Ok(()));
    assert_eq!(verify(&tokens, &good, "/tick").await, Err(Refused::NotAllowed));
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        token(&header("k1"), &claims)
    };
    assert_eq!(verify(&tokens, &with("iss", json!(ISSUERS[1])), "/").await, Ok(()));
    let other = with("email", json!("somebody@example.com"));
    assert_eq!(verify(&tokens, &other, "/").await, Err(Refused::NotAllowed));
    let expired: Timestamp = "2026-01-05T11:58:59Z".parse().unwrap();
    let late = expired + Span::secs(1);
    for (name, value, reason) in [
        ("aud", json!("https://object.example/x"), "the token is for somebody else"),
        ("aud", Value::Null, "the token lacks what it must say"),
        ("iss", json!("https://accounts.example"), "the token is from somebody else"),
        ("email_verified", json!(false), "the token names no verified account"),
        ("email", Value::Null, "the token names no verified account"),
        ("exp", json!(expired.as_millis() / 1000), "the token has expired"),
        ("exp", Value::Null, "the token cannot be read"),
    ] {
        let found = verify(&tokens, &with(name, value), "/").await;
        assert_eq!(found, Err(Refused::Unknown(reason)), "{name}");
    }
    let just = with("exp", json!(late.as_millis() / 1000));
    assert_eq!(verify(&tokens, &just, "/").await, Ok(()), "clocks are a minute apart");
    assert_eq!(*world.asked.lock().unwrap(), 1, "keys are kept");
}

#[tokio::test]
async fn a_token_that_was_tampered_with_or_stripped_is_refused() {
    let world = World::new(vec![Some(("k1", "max-age=60"))]);
    let tokens = world.tokens();
    let good = token(&header("k1"), &claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let wrong = Err(Refused::Unknown("the signature of the token does not hold"));
    let stripped = format!("{signed}.SIGNATURE_REMOVED_BY_GOOGLE");
    assert!(verify(&tokens, &stripped, "/").await.is_err());
    let (head, _) = signed.split_once('.').unwrap();
    let forged = URL_SAFE_NO_PAD.encode(claims().to_string().replace(PUSHER, "evil@example.com"));
    assert_eq!(verify(&tokens, &format!("{head}.{forged}.{signature}"), "/").await, wrong);
    let plain = json!({"alg": "HS256", "kid": "k1"});
    let unsigned = Err(Refused::Unknown("the token is not signed with RS256"));
    assert_eq!(verify(&tokens, &token(&plain, &claims()), "/").await, unsigned);
    for text in ["", "x", "a.b.c"] {
        assert!(verify(&tokens, text, "/").await.is_err(), "{text}");
    }
    let none = tokens.verify(&HeaderMap::new(), "/").await;
    assert_eq!(none, Err(Refused::Unknown("there is no token")));
}

#[tokio::test]
async fn no_change_of_a_token_lets_anybody_in() {
    let world = World::new(vec![Some(("k1", "max-age=3600"))]);
    let tokens = world.tokens();
    let good = token(&header("k1"), &claims());
    assert_eq!(verify(&tokens, &good, "/").await, Ok(()));
    let mut tried = 0;
    for at in 0..good.len() {
        let ((before, _), (until, after)) = (good.split_at(at), good.split_at(at + 1));
        let put = ["", "A", "z", "0", "-", "_", ".", "=", "+", "/", "%", "\"", "{", "\t"];
        let replaced = put.iter().map(|other| format!("{before}{other}{after}"));
        let inserted = put.iter().map(|other| format!("{until}{other}.{after}"));
        let cut = [before.to_owned(), after.to_owned(), format!("{after}.{until}")];
        for changed in replaced.chain(inserted).chain(cut).filter(|changed| *changed != good) {
            let found = verify(&tokens, &changed, "/").await;
            let is_out = matches!(found, Err(Refused::Unknown(_) | Refused::NotAllowed));
            assert!(is_out, "{found:?}: {changed}");
            tried += 1;
        }
    }
    assert!(tried > 10_000, "{tried}");
    assert_eq!(verify(&tokens, &good, "/").await, Ok(()), "and it still holds");
    assert_eq!(*world.asked.lock().unwrap(), 1, "nobody makes it ask for keys again and again");
}

#[tokio::test]
async fn a_key_nobody_knows_is_looked_for_once_a_minute() {
    let world = World::new(vec![Some(("k2", "max-age=3600")), Some(("k1", "max-age=3600"))]);
    let tokens = world.tokens();
    let newer = token(&header("k2"), &claims());
    let unknown = Err(Refused::Unknown("the token is signed with a key nobody knows"));
    assert_eq!(verify(&tokens, &newer, "/").await, unknown);
    assert_eq!(verify(&tokens, &newer, "/").await, unknown);
    assert_eq!(*world.asked.lock().unwrap(), 1);
    world.pass(PAUSE);
    assert_eq!(verify(&tokens, &newer, "/").await, Ok(()));
}

#[tokio::test]
async fn keys_hold_for_another_hour_where_the_issuer_cannot_be_reached() {
    let world = World::new(vec![None, None, Some(("k1", "max-age=60"))]);
    let tokens = world.tokens();
    let mut lasting = claims();
    lasting["exp"] = json!(lasting["exp"].as_i64().unwrap() + 86400);
    let good = token(&header("k1"), &lasting);
    assert_eq!(verify(&tokens, &good, "/").await, Ok(()));
    world.pass(Span::mins(30));
    assert_eq!(verify(&tokens, &good, "/").await, Ok(()));
    world.pass(Span::mins(40));
    assert_eq!(verify(&tokens, &good, "/").await, Err(Refused::Unavailable));
}
