//! A stand-in for Google's metadata server: it gives tokens that expire, and knows those it gave.
//!
//! Its tokens open the local pipeline service and nothing else; a service of Google refuses them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use refit_core::time::Span;
use refit_engine::port::Clock;
use refit_platform::env;
use serde::Deserialize;
use serde_json::json;

/// The header that both sides must send.
const FLAVOR: &str = "metadata-flavor";
/// The header of a request that came through a proxy, which a metadata server refuses.
const FORWARDED: &str = "x-forwarded-for";
/// Whom the tokens speak for.
const EMAIL: &str = "refit-dev@localhost.invalid";

/// The tokens that were given.
pub struct Metadata {
    clock: Arc<dyn Clock>,
    life: Span,
    /// When each ends, by the clock that never jumps.
    given: Mutex<BTreeMap<String, Span>>,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata").field("life", &self.life).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Wanted {
    audience: String,
}

impl Metadata {
    /// A server whose tokens hold for so long, in whole seconds.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, life: Span) -> Arc<Self> {
        Arc::new(Self { clock, life, given: Mutex::default() })
    }

    /// Whether it gave this token, and the token still holds.
    #[must_use]
    pub fn is_good(&self, token: &str) -> bool {
        self.given().get(token).is_some_and(|end| self.clock.elapsed() < *end)
    }

    fn give(&self, token: String) -> String {
        let now = self.clock.elapsed();
        let mut given = self.given();
        given.retain(|_, end| now < *end);
        given.insert(token.clone(), now + self.life);
        token
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<String, Span>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn life_seconds(&self) -> i64 {
        self.life.as_millis() / 1000
    }
}

/// The server over HTTP, below `/computeMetadata/v1/`.
pub fn router(metadata: &Arc<Metadata>) -> Router {
    let account = "/computeMetadata/v1/instance/service-accounts/default";
    Router::new()
        .route(&format!("{account}/token"), get(token))
        .route(&format!("{account}/identity"), get(identity))
        .route(&format!("{account}/email"), get(|| async { EMAIL }))
        .route_layer(from_fn(guard))
        .with_state(Arc::clone(metadata))
}

/// Refuses what no program that means a metadata server would send, and says that this is one.
async fn guard(headers: HeaderMap, request: Request, next: Next) -> Response {
    let is_meant = headers.get(FLAVOR).is_some_and(|flavor| flavor == "Google");
    let mut response = match is_meant && !headers.contains_key(FORWARDED) {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, "Missing Metadata-Flavor:Google header.").into_response(),
    };
    response.headers_mut().insert(FLAVOR, HeaderValue::from_static("Google"));
    response
}

async fn token(State(metadata): State<Arc<Metadata>>) -> Response {
    let token = metadata.give(format!("refit-dev-{}", env::nonce()));
    let life = metadata.life_seconds();
    let body = json!({ "access_token": token, "expires_in": life, "token_type": "Bearer" });
    Json(body).into_response()
}

async fn identity(
    State(metadata): State<Arc<Metadata>>,
    Query(Wanted { audience }): Query<Wanted>,
) -> String {
    let now = metadata.clock.now().as_millis() / 1000;
    let claims = json!({
        "aud": audience, "email": EMAIL, "sub": env::nonce(),
        "iat": now, "exp": now + metadata.life_seconds(),
    });
    let head = json!({ "alg": "none", "typ": "JWT" });
    let [head, claims] = [head, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    metadata.give(format!("{head}.{claims}.{}", env::nonce()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use refit_core::time::Timestamp;
    use refit_testkit::clock::ManualClock;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;

    const ACCOUNT: &str = "/computeMetadata/v1/instance/service-accounts/default";
    const LIFE: Span = Span::mins(5);

    fn server() -> (Arc<ManualClock>, Arc<Metadata>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let metadata = Metadata::new(Arc::<ManualClock>::clone(&clock), LIFE);
        (clock, metadata)
    }

    /// Asks with these headers, and reads the answer.
    async fn ask(
        metadata: &Arc<Metadata>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, String) {
        let request = Request::builder().uri(format!("{ACCOUNT}{path}"));
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let request = request.body(Body::empty()).unwrap();
        let response = router(metadata).oneshot(request).await.unwrap();
        assert_eq!(response.headers().get(FLAVOR).unwrap(), "Google", "{path}");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn access_token(metadata: &Arc<Metadata>) -> Value {
        let (status, body) = ask(metadata, "/token", &[(FLAVOR, "Google")]).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_ends_and_every_one_is_new() {
        let (clock, metadata) = server();
        let [first, second] = [access_token(&metadata).await, access_token(&metadata).await]
            .map(|answer| answer["access_token"].as_str().unwrap().to_owned());
        assert_ne!(first, second);
        assert!(metadata.is_good(&first) && metadata.is_good(&second));
        assert!(!metadata.is_good("refit-dev-") && !metadata.is_good(""));

        clock.advance(Span::from_millis(LIFE.as_millis() - 1));
        assert!(metadata.is_good(&first));
        clock.advance(Span::from_millis(1));
        assert!(!metadata.is_good(&first), "it has ended");
        let fresh = access_token(&metadata).await;
        assert!(metadata.is_good(fresh["access_token"].as_str().unwrap()));
        assert_eq!(metadata.given().len(), 1, "what has ended is forgotten");
    }

    #[tokio::test]
    async fn a_token_says_itself_how_long_it_holds() {
        let (_, metadata) = server();
        let answer = access_token(&metadata).await;
        assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(300), &json!("Bearer")));

        let google = [(FLAVOR, "Google")];
        let (status, token) =
            ask(&metadata, "/identity?audience=https://x&format=full", &google).await;
        assert_eq!(status, StatusCode::OK, "{token}");
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], "https://x");
        assert_eq!(
            (&claims["iat"], &claims["exp"]),
            (&json!(1_700_000_000), &json!(1_700_000_300))
        );
        assert!(metadata.is_good(&token));
    }

    #[tokio::test]
    async fn who_does_not_mean_a_metadata_server_gets_nothing() {
        let (_, metadata) = server();
        for headers in
            [&[][..], &[(FLAVOR, "google")], &[(FLAVOR, "Google"), (FORWARDED, "203.0.113.7")]]
        {
            let (status, _) = ask(&metadata, "/token", headers).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
        }
        assert!(metadata.given().is_empty());
        let (status, _) = ask(&metadata, "/identity", &[(FLAVOR, "Google")]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "an ID token is for somebody");
    }
}
