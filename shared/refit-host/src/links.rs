//! The pages of signed links: what is going to be said, with a button, and what came of the button.
//!
//! Programs that look through mail open links before people do. So a GET verifies and shows, and changes nothing; only
//! the form of the page, which is sent by POST, says something, and goes the way of every webhook from there.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::extract::rejection::BytesRejection;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use refit_wire::link::{HEADER, Link, PATH};
use refit_wire::source::Delivery;
use url::form_urlencoded;

use crate::intake::{Door, Outcome};

/// The parameter of the address that holds the link.
const PARAMETER: &str = "link";
/// What a browser may do with a page: show it and send its form; not keep it, frame it, or tell others its address.
const GUARDS: [(HeaderName, &str); 3] = [
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
];
/// How the pages look.
const STYLE: &str = "body{font:1rem/1.5 sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}\
    textarea{display:block;width:100%}button{font:inherit;margin:1rem 1rem 0 0;padding:.4rem 1rem}";

/// The pages, behind which is the door of webhooks.
pub(crate) fn links(door: &Arc<Door>) -> Router {
    let (asked, answered) = (Arc::clone(door), Arc::clone(door));
    let show =
        move |RawQuery(query): RawQuery| async move { asked.show_link(query.as_deref()).await };
    let answer = move |RawQuery(query): RawQuery, body| async move {
        answered.answer_link(query.as_deref(), body).await
    };
    Router::new().route(PATH, get(show).post(answer))
}

impl Door {
    /// Shows what a link would say.
    async fn show_link(&self, query: Option<&str>) -> Response {
        let headers = handed_on(query);
        let delivery = Delivery { headers: &headers, body: b"" };
        match (self.admit(&delivery).await, Link::of(&headers)) {
            (Ok(()), Some(link)) => page(StatusCode::OK, "Approve or reject", &question(&link)),
            (Ok(()), None) => refusal(StatusCode::BAD_REQUEST, "this is no link, or not all of it"),
            (Err(rejected), _) => {
                let outcome = Outcome::refused("a link was not verified", rejected);
                outcome.log();
                not_taken(&outcome)
            }
        }
    }

    /// Records what the form says.
    async fn answer_link(
        &self,
        query: Option<&str>,
        body: Result<Bytes, BytesRejection>,
    ) -> Response {
        let headers = handed_on(query);
        let outcome = match body {
            Ok(body) => self.judge(&Delivery { headers: &headers, body: &body }).await,
            Err(rejection) => Outcome::unread(&rejection),
        };
        outcome.log();
        match outcome.status.is_success() {
            true => page(StatusCode::OK, "Recorded", RECORDED),
            false => not_taken(&outcome),
        }
    }
}

/// What is said once an answer is durable. Whether it counts is decided by who reads the ledger, which this door cannot.
const RECORDED: &str = "<p>What you chose is recorded, and is judged within a minute by the rules: whether it is still \
    asked for, and whether your word counts. A link counts once: where it was used before, this changes nothing.</p>";

/// The headers of a webhook that is the link in an address.
fn handed_on(query: Option<&str>) -> HeaderMap {
    let mut fields = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let token = fields.find(|(name, _)| name == PARAMETER).map(|(_, token)| token.into_owned());
    // A link that was cut off is one that does not verify.
    let token = HeaderValue::from_str(&token.unwrap_or_default());
    let token = token.unwrap_or_else(|_| HeaderValue::from_static(""));
    HeaderMap::from_iter([(HeaderName::from_static(HEADER), token)])
}

fn question(link: &Link) -> String {
    let Link { model, version, stage, person, until, .. } = link;
    let (model, version, person) = (escaped(model), escaped(version), escaped(person));
    format!(
        "<p>Version <b>{version}</b> of <b>{model}</b> is to be in <b>{stage}</b>. You answer as <b>{person}</b>; the \
         link holds until {until}, and counts once.</p><form method=post><label>Why<textarea name=reason \
         maxlength=250 rows=3></textarea></label><button name=decision value=approve>Approve</button><button \
         name=decision value=reject>Reject</button></form>"
    )
}

/// What whoever shows a link is told: the reason, where it is theirs to mend.
fn not_taken(outcome: &Outcome) -> Response {
    match outcome.status.is_client_error() {
        true => refusal(outcome.status, outcome.detail()),
        false => refusal(outcome.status, "this cannot be taken now; try again in a minute"),
    }
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    let cure = "Nothing was recorded by this. <code>refit approve</code> and <code>refit reject</code> need no link.";
    page(status, "This was not taken", &format!("<p>{}.</p><p>{cure}</p>", escaped(reason)))
}

fn page(status: StatusCode, title: &str, content: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><meta \
         name=robots content=noindex><title>refit: {title}</title><style>{STYLE}</style><h1>{title}</h1>{content}\n"
    );
    let guards = GUARDS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (status, HeaderMap::from_iter(guards), Html(page)).into_response()
}

/// A text as it stands in a page.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use std::io;

    use async_trait::async_trait;
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use refit_core::error::{Error, ErrorKind};
    use refit_engine::port::Transport;
    use refit_platform::clock::SystemClock;
    use refit_platform::store::MemoryStore;
    use refit_wire::http::{Reply, Secret};
    use refit_wire::source::Sender;
    use tower::ServiceExt as _;

    use super::*;
    use crate::function::{Base, guarded};
    use crate::hooks::HookSecrets;
    use crate::intake::BODY_BYTES_MAX;
    use crate::waker::Nobody;

    /// Where no secret can be read.
    struct Away;

    #[async_trait]
    impl Transport for Away {
        async fn send(&self, _: refit_wire::http::Request) -> Reply {
            panic!("nothing is sent")
        }

        async fn secret(&self, _: &Secret, _: Option<&str>) -> Result<String, Error> {
            Err(Error::new(ErrorKind::Unavailable, "the account of a stranger"))
        }
    }

    async fn page_of(request: Request) -> (u16, String) {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let base = Base::of_test(store, Arc::new(Away), Arc::new(SystemClock));
        let mut secrets = HookSecrets::default();
        secrets.add(Sender::Link, "projects/acme/secrets/links").unwrap();
        let door = Arc::new(base.hook(&secrets, Arc::new(Nobody)));
        let response = guarded(links(&door)).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn nobody_without_proof_is_told_what_is_wrong_inside() {
        for request in [Request::get("/approve?link=x"), Request::post("/approve?link=x")] {
            let (status, page) = page_of(request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, 503);
            assert!(page.contains("try again") && !page.contains("stranger"), "{page}");
        }
    }

    #[tokio::test]
    async fn a_form_that_is_too_large_or_cut_short_is_told_apart() {
        let cut = futures::stream::iter([Err::<Bytes, _>(io::Error::other("late"))]);
        let large = Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
        for (body, expected) in [(Body::from_stream(cut), 400), (large, 413)] {
            let (status, page) =
                page_of(Request::post("/approve?link=x").body(body).unwrap()).await;
            assert_eq!(status, expected, "{page}");
            assert!(page.contains("not taken"), "{page}");
        }
    }
}
