//! Answers of those who give credentials or publish keys: whose it is and, of keys, how long they may be kept; a line end;
//! the body.

use http::HeaderValue;
use http::header::CACHE_CONTROL;
use refit_core::time::{Span, Timestamp};
use refit_wire::credential::{self, Given, Token};
use refit_wire::http::Response;
use refit_wire::keys::{self, PublishedKeys};

use super::{Outcome, Target, first_line};

pub(super) const CREDENTIALS: Target = Target {
    name: "credentials",
    about: "answers of those who give credentials, and the keys of issuers",
    seeds,
    give,
};

/// When they are read.
const NOW: &str = "2026-01-05T12:00:00Z";
/// The longest anything is kept.
const LIFE_MAX: Span = Span::days(1);

/// The claims are `{"aud":"x","iat":1767614400,"exp":1767618000}`.
const SEEDS: &[&str] = &[
    "access\n{\"access_token\": \"ya29.c\", \"expires_in\": 3599, \"token_type\": \"Bearer\"}",
    "access\n{\"access_token\": \"ya29.d\", \"issued_token_type\": \
     \"urn:ietf:params:oauth:token-type:access_token\", \"token_type\": \"Bearer\", \"expires_in\": 3600}",
    "id\ne30.eyJhdWQiOiJ4IiwiaWF0IjoxNzY3NjE0NDAwLCJleHAiOjE3Njc2MTgwMDB9.c2ln\n",
    "account\n{\"accessToken\": \"ya29.e\", \"expireTime\": \"2026-01-05T13:00:00Z\"}",
    "id-of-account\n{\"token\": \"e30.eyJhdWQiOiJ4IiwiaWF0IjoxNzY3NjE0NDAwLCJleHAiOjE3Njc2MTgwMDB9.c2ln\"}",
    "app\n{\"token\": \"ghs_16C7e42F292c6912E7710c838347Ae178B4a\", \"expires_at\": \"2026-01-05T13:00:00Z\", \
     \"permissions\": {\"actions\": \"write\"}, \"repository_selection\": \"selected\"}",
    "google\n{\"name\": \"projects/1/secrets/kfp/versions/3\", \"payload\": {\"data\": \"b25lCnR3bwo=\", \
     \"dataCrc32c\": \"1\"}}",
    "aws\n{\"ARN\": \"arn:aws:secretsmanager:eu-central-1:1:secret:kfp\", \"SecretString\": \"one\\ntwo\", \
     \"VersionStages\": [\"AWSCURRENT\"]}",
    "keys public, max-age=60\n{\"keys\": [{\"kty\": \"EC\", \"kid\": \"a\"}, {\"kty\": \"RSA\", \"kid\": \"b\", \
     \"n\": \"2m23zUPb\", \"e\": \"AQAB\", \"alg\": \"RS256\", \"use\": \"sig\"}]}",
];

fn seeds() -> Vec<Vec<u8>> {
    SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn give(input: &[u8]) -> Outcome {
    let (head, body) = first_line(input);
    let head = String::from_utf8_lossy(head);
    let (whose, cache) = head.split_once(' ').unwrap_or((&head, ""));
    let now: Timestamp = NOW.parse().expect("it is a time");
    let read = match whose {
        "access" => credential::access_token(body).as_ref().map(check_given),
        "id" => credential::id_token(body, now).as_ref().map(check_given),
        "account" => credential::access_token_of_account(body, now).as_ref().map(check_given),
        "id-of-account" => credential::id_token_of_account(body, now).as_ref().map(check_given),
        "app" => credential::token_of_app(body, now).as_ref().map(check_given),
        "google" => credential::secret_of_google(body).as_ref().map(check_token),
        "aws" => credential::secret_of_aws(body).as_ref().map(check_token),
        "keys" => keys::read(&answer(cache, body)).as_ref().map(check_keys),
        _ => return Outcome::Refused("nobody".to_owned()),
    };
    match read {
        Some(kind) => Outcome::Understood(format!("{whose} {kind}")),
        None => Outcome::Refused(whose.to_owned()),
    }
}

fn answer(cache: &str, body: &[u8]) -> Response {
    let cache = HeaderValue::from_str(cache).ok().map(|value| (CACHE_CONTROL, value));
    Response { status: 200, headers: cache.into_iter().collect(), body: body.to_vec().into() }
}

/// A token can be sent, and is kept for a bounded time.
fn check_given((token, life): &Given) -> String {
    assert!(HeaderValue::from_str(token.as_str()).is_ok(), "no header can hold it");
    assert!(!token.as_str().is_empty() && *life <= LIFE_MAX, "empty, or for {life}");
    check_token(token)
}

/// Nothing of it is shown, and there is no white space around it.
fn check_token(token: &Token) -> String {
    assert_eq!(format!("{token:?}"), "Token(…)");
    assert_eq!(token.as_str(), token.as_str().trim());
    format!("lines: {}", token.as_str().lines().count().min(2))
}

/// There is a key, and keys are kept for a bounded time.
fn check_keys(published: &PublishedKeys) -> String {
    assert!(!published.keys.is_empty() && published.life <= LIFE_MAX, "{published:?}");
    format!("{}", published.keys.len() > 1)
}
