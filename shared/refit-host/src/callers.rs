//! Who may call.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::environment::Callers;

/// Lets a request through if its caller is whom the environment says.
///
/// Where the platform has verified the caller, nothing is left to verify: Cloud Run replaces the signature of the
/// token. Where nobody has, the process listens on loopback only; a browser that was talked into calling it is
/// turned away by the name of the host it asked for.
pub(crate) async fn check(callers: Callers, request: Request, next: Next) -> Response {
    if callers == Callers::None && !is_loopback(&request) {
        return (StatusCode::FORBIDDEN, "this process answers callers on the same machine only")
            .into_response();
    }
    next.run(request).await
}

fn is_loopback(request: &Request) -> bool {
    let header = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let authority = header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let Some(authority) = authority.and_then(|text| text.parse::<http::uri::Authority>().ok())
    else {
        return true;
    };
    matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_host_cannot_reach_a_process_on_loopback() {
        let of = |host: &str| {
            is_loopback(
                &Request::builder().header("host", host).body(axum::body::Body::empty()).unwrap(),
            )
        };
        assert!(of("127.0.0.1:8377") && of("localhost") && of("[::1]:8377"));
        assert!(!of("rebound.example:8377") && !of("127.0.0.1.example"));
    }
}
