//! A registry of models in front of everything else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use refit_engine::port::Transport;
use refit_testkit::fake::mlflow::Mlflow;
use refit_testkit::fake::server::Reaction;
use refit_wire::http::{Failure, Reply, Request, Response};
use serde_json::Value;

use crate::post::Post;

/// Where the registry answers.
const HOST: &str = "mlflow";

/// The registry, and everything behind it.
pub(crate) struct Shelf {
    pub(crate) mlflow: Mlflow,
    behind: Arc<Post>,
    /// Paths to which the next connection is refused.
    refused: Mutex<VecDeque<&'static str>>,
}

impl Shelf {
    pub(crate) fn new(behind: Arc<Post>) -> Self {
        Self { mlflow: Mlflow::default(), behind, refused: Mutex::default() }
    }

    /// Refuses the connection of the next request for this path.
    pub(crate) fn refuse(&self, path: &'static str) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).push_back(path);
    }

    fn is_refused(&self, path: &str) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let at = refused.iter().position(|next| *next == path);
        at.and_then(|at| refused.remove(at)).is_some()
    }
}

#[async_trait]
impl Transport for Shelf {
    async fn send(&self, request: Request) -> Reply {
        if request.url.host_str() != Some(HOST) {
            return self.behind.send(request).await;
        }
        let path = request.url.path().trim_start_matches("/api/2.0/mlflow/");
        if self.is_refused(path) {
            return Err(Failure::NotSent("the connection was refused".to_owned()));
        }
        let query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match self.mlflow.react_to(path, &query, &body) {
            Reaction::Answer(answer) => {
                let (status, body) = (answer.status, answer.body);
                Ok(Response { status, body, ..Response::default() })
            }
            Reaction::Close => Err(Failure::Unclear("the connection was reset".to_owned())),
        }
    }
}
