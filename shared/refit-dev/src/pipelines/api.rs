//! The service over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request as HttpRequest, State as Service};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use refit_core::plan::ParameterKind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::definition::Pipeline;
use super::run::{Request, Run};
use super::{Entry, Pipelines, Refusal, disk, log, registry};

const BODY_BYTES_MAX: usize = 1 << 20;
const LOGS_BYTES_MAX: usize = 1 << 20;
const RUNS_DEFAULT: usize = 20;
const RUNS_MAX: usize = 1000;

/// The service over HTTP, its runs below `/apis/local/v1/`, its registry below `/registry/`. Every request needs a bearer token.
pub fn router(pipelines: &Arc<Pipelines>) -> Router {
    Router::new()
        .route("/apis/local/v1/pipelines/{name}", get(pipeline))
        .route("/apis/local/v1/runs", get(list).post(start))
        .route("/apis/local/v1/runs/{id}", get(run).post(cancel))
        .route("/apis/local/v1/runs/{id}/logs", get(logs))
        .merge(registry::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(from_fn_with_state(Arc::clone(pipelines), authorize))
        .with_state(Arc::clone(pipelines))
}

/// A pipeline, as it is described.
#[derive(Serialize)]
struct Described {
    name: String,
    version: String,
    parameters: Option<BTreeMap<String, Declared>>,
}

#[derive(Serialize)]
struct Declared {
    #[serde(rename = "type")]
    kind: ParameterKind,
    optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(default = "runs_default")]
    limit: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    step: Option<String>,
}

fn runs_default() -> usize {
    RUNS_DEFAULT
}

async fn authorize(
    Service(pipelines): Service<Arc<Pipelines>>,
    headers: HeaderMap,
    request: HttpRequest,
    next: Next,
) -> Response {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| (pipelines.config.check)(token.trim())) {
        return next.run(request).await;
    }
    let body = error(StatusCode::UNAUTHORIZED, "a good bearer token is missing");
    ([(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
}

async fn pipeline(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path(name): Path<String>,
) -> Result<Json<Described>, Refusal> {
    let Pipeline { definition, .. } = pipelines.pipeline(&name).await?;
    let version = definition.version();
    let declared = definition.parameters.map(|parameters| {
        let parameters = parameters.into_iter().map(|(name, parameter)| {
            (name, Declared { kind: parameter.kind, optional: parameter.default.is_some() })
        });
        parameters.collect()
    });
    Ok(Json(Described { name: definition.name, version, parameters: declared }))
}

async fn start(
    Service(pipelines): Service<Arc<Pipelines>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Run>), Refusal> {
    let request: Request = parsed(body)?;
    let (new, run) = finish(async move { pipelines.start(request).await }).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(run)))
}

async fn list(
    Service(pipelines): Service<Arc<Pipelines>>,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Listing { limit }) = listing?;
    let runs = pipelines.runs(limit.min(RUNS_MAX));
    Ok(Json(json!({ "runs": runs })).into_response())
}

async fn run(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path(id): Path<String>,
) -> Result<Json<Run>, Refusal> {
    Ok(Json(pipelines.named(&id)?.run()))
}

/// `POST …/runs/{id}:cancel`.
async fn cancel(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path(action): Path<String>,
) -> Result<Json<Run>, Refusal> {
    let unknown = || Refusal::Unknown(format!("no such action: action=`{action}`"));
    let id = action.strip_suffix(":cancel").ok_or_else(unknown)?;
    let entry = pipelines.named(id)?;
    finish(async move { pipelines.cancel(&entry).await }).await.map(Json)
}

/// What the steps of a run have said, or one of them: the newest part.
async fn logs(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path(id): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Which { step }) = which?;
    let entry = pipelines.named(&id)?;
    let steps: Vec<_> = entry.run().steps.into_iter().map(|step| step.name).collect();
    let steps = match step {
        None => steps,
        Some(step) if steps.contains(&step) => vec![step],
        Some(step) => return Err(Refusal::Unknown(format!("no such step: step=`{step}`"))),
    };
    let text = disk(move || joined(&entry, &steps)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Reads what is asked for.
pub(super) fn parsed<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Refusal> {
    let body = body.map_err(|fault| match fault.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge(fault.body_text()),
        _ => Refusal::Invalid(fault.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|fault| Refusal::Invalid(fault.to_string()))
}

/// Sees something through even if the one who asked for it has gone.
pub(super) async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(Refusal::Unavailable(error.to_string())))
}

fn joined(entry: &Entry, steps: &[String]) -> String {
    let text = steps.iter().flat_map(|step| log::read(&entry.folder.log(step))).collect::<Vec<_>>();
    let from = text.len().saturating_sub(LOGS_BYTES_MAX);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Invalid(message) => (StatusCode::BAD_REQUEST, message),
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Self::Unknown(message) => (StatusCode::NOT_FOUND, message),
            Self::Conflict(message) => (StatusCode::CONFLICT, message),
            Self::Broken(message) => (StatusCode::UNPROCESSABLE_ENTITY, message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
        };
        error(status, &message)
    }
}
