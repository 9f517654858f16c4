//! The service that predicts: a page for people, JSON for programs.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a page to enter measurements on |
//! | `POST /predict` with a JSON object of all 30 measurements | the prediction, how likely the tumour is malignant, and the version of the model |
//! | `GET /version` | which model it is |
//! | `GET /healthz` | 200 |

mod listen;
mod measurements;
mod page;
mod predictor;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use measurements::Mistakes;
use predictor::{About, Predictor};

const BODY_BYTES_MAX: usize = 64 << 10;
/// What a browser may do with what it is sent: nothing from elsewhere, nothing for elsewhere.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // Another version may answer at the same place in a moment.
    (header::CACHE_CONTROL, "no-store"),
];

/// Predict over HTTP, until told to end
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// The folder of the model: of a version in a registry, or of a run
    #[arg(long, env = "REFIT_MODEL_DIR", value_name = "PATH")]
    pub model: PathBuf,
    /// The port to listen on; 0 takes a free one [default: 8378, or a free one where that is taken]
    #[arg(long)]
    pub port: Option<u16>,
    /// The address to listen on; there is nobody between it and the service who asks who calls
    #[arg(long, default_value = "127.0.0.1")]
    pub address: IpAddr,
}

/// A service that listens.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    router: Router,
    /// What it says of itself as it begins.
    pub greeting: String,
}

impl Serve {
    /// Reads the model and begins to listen.
    ///
    /// # Errors
    /// There is no model in the folder, it is none of ours, or the port is taken.
    pub async fn open(&self) -> Result<Service> {
        let predictor = Predictor::open(&self.model)?;
        let listener = listen::on(self.address, self.port).await?;
        let address = listener.local_addr()?;
        let greeting = format!("{}\nlistening on http://{address}/", predictor.about());
        Ok(Service { listener, router: router(predictor), greeting })
    }
}

impl Service {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process is told to end.
    ///
    /// # Errors
    /// The process cannot listen for signals.
    pub async fn run(self) -> Result<()> {
        listen::serve(self.listener, self.router).await
    }
}

fn router(predictor: Predictor) -> Router {
    let file = |media: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, media)], text) })
    };
    Router::new()
        .route("/", get(page))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("serve/page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("serve/page.js")))
        .route("/predict", post(predict))
        .route("/version", get(version))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(|| async { error(StatusCode::NOT_FOUND, "there is nothing here") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(with_headers))
        .with_state(Arc::new(predictor))
}

async fn with_headers(mut response: Response) -> Response {
    let headers = HEADERS.map(|(name, value)| (name, header::HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}

async fn page(State(predictor): State<Arc<Predictor>>) -> Response {
    let media = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (media, page::of(&predictor)).into_response()
}

async fn predict(
    State(predictor): State<Arc<Predictor>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(fault) => return error(fault.status(), &fault.body_text()),
    };
    match measurements::read(&body) {
        Ok(measurements) => Json(predictor.predict(measurements)).into_response(),
        Err(mistakes) => mistakes.into_response(),
    }
}

async fn version(State(predictor): State<Arc<Predictor>>) -> Json<About> {
    Json(predictor.about().clone())
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

impl IntoResponse for Mistakes {
    fn into_response(self) -> Response {
        let fields: Value = json!(self.fields);
        let body = json!({ "error": self.to_string(), "fields": fields });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}
