//! A place letters are posted to, in front of a service: what arrives there, and what is answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use refit_engine::port::Transport;
use refit_testkit::fake::stage::Stage;
use refit_wire::http::{Failure, Reply, Request, Response};
use serde_json::Value;

/// Where letters are posted.
pub(crate) const HOST: &str = "post.acme.example";

/// What becomes of a letter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It arrives, and no answer comes.
    AnswerLost,
    /// This status is answered.
    Status(u16),
    /// Nothing is ever answered.
    Silence,
}

/// The place, and the service behind it.
pub(crate) struct Post {
    stage: Arc<Stage>,
    arrived: Mutex<Vec<Value>>,
    fates: Mutex<VecDeque<Fate>>,
}

impl Post {
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        Self { stage, arrived: Mutex::default(), fates: Mutex::default() }
    }

    /// What becomes of the next letters, in order; those after them are taken.
    pub(crate) fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        lock(&self.fates).extend(fates);
    }

    /// The letters that arrived, answered or not.
    pub(crate) fn letters(&self) -> Vec<Value> {
        lock(&self.arrived).clone()
    }

    /// The kinds of the notices in them, with the ids of the letters.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = |letter: &Value| (text(&letter["notices"][0]["kind"]), text(&letter["id"]));
        self.letters().iter().map(told).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Transport for Post {
    async fn send(&self, request: Request) -> Reply {
        if request.url.host_str() != Some(HOST) {
            return self.stage.send(request).await;
        }
        let fate = lock(&self.fates).pop_front();
        lock(&self.arrived).push(serde_json::from_slice(&request.body).unwrap());
        match fate {
            None => Ok(Response { status: 204, ..Response::default() }),
            Some(Fate::Status(status)) => Ok(Response { status, ..Response::default() }),
            Some(Fate::AnswerLost) => Err(Failure::Unclear("the connection was reset".to_owned())),
            Some(Fate::Silence) => std::future::pending().await,
        }
    }
}
