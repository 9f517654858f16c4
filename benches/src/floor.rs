//! The bare server that makes one outgoing call, and what it calls.

use std::io::Write as _;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

/// Serves the floor: each request makes one call and is answered when that is.
pub(crate) async fn floor(target: String) -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the floor is a server without anything of ours")]
    let client = reqwest::Client::builder().build()?;
    let router = Router::new().route("/", post(forward)).with_state((client, target));
    serve(router).await
}

async fn forward(
    State((client, target)): State<(reqwest::Client, String)>,
    body: bytes::Bytes,
) -> StatusCode {
    match client.post(&target).body(body).send().await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::BAD_GATEWAY,
    }
}

/// Serves what is called: it answers, and nothing else.
pub(crate) async fn sink() -> anyhow::Result<()> {
    serve(Router::new().route("/", post(|| async { StatusCode::NO_CONTENT }))).await
}

async fn serve(router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(
        std::io::stderr(),
        "{}",
        serde_json::json!({
            "message": "listening", "address": listener.local_addr()?.to_string(),
        })
    )?;
    axum::serve(listener, router).await?;
    Ok(())
}
