//! The registry over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Service};
use axum::routing::{get, post, put};
use axum::{Json, Router};

use super::{Model, Placement, Registration, Version};
use crate::pipelines::api::{finish, parsed};
use crate::pipelines::{Pipelines, Refusal};

type Body = Result<Bytes, BytesRejection>;

/// The registry, below `/registry/`.
pub(in crate::pipelines) fn routes() -> Router<Arc<Pipelines>> {
    Router::new()
        .route("/registry/models/{model}", get(model))
        .route("/registry/models/{model}/versions", post(register))
        .route("/registry/models/{model}/stages/{stage}", put(place))
}

async fn model(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path(model): Path<String>,
) -> Result<Json<Model>, Refusal> {
    pipelines.model(&model).await.map(Json)
}

async fn register(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path(model): Path<String>,
    body: Body,
) -> Result<Json<Version>, Refusal> {
    let asked: Registration = parsed(body)?;
    finish(async move { pipelines.register(&model, &asked).await }).await.map(Json)
}

async fn place(
    Service(pipelines): Service<Arc<Pipelines>>,
    Path((model, stage)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Model>, Refusal> {
    let asked: Placement = parsed(body)?;
    finish(async move { pipelines.place(&model, &stage, &asked).await }).await.map(Json)
}
