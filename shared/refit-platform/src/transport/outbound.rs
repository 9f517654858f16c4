//! Everything that leaves the process: requests, mail, and messages to topics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::{Clock, Transport};
use refit_wire::http::{Failure, Reply, Request, Response, Secret};
use refit_wire::outgoing::{Mail, Publish};

use super::HttpTransport;
use crate::topic::{self, Message, Topic};

/// The transport over HTTP, with topics beside it.
pub struct Outbound {
    http: Arc<HttpTransport>,
    clock: Arc<dyn Clock>,
    topics: Mutex<BTreeMap<String, Arc<dyn Topic>>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("http", &self.http).finish_non_exhaustive()
    }
}

impl Outbound {
    /// A way out. No topic is opened before something is published.
    #[must_use]
    pub fn new(http: Arc<HttpTransport>, clock: Arc<dyn Clock>) -> Self {
        Self { http, clock, topics: Mutex::default() }
    }

    async fn topic(&self, name: &str) -> Result<Arc<dyn Topic>, Error> {
        let known = self.topics.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(topic) = known {
            return Ok(topic);
        }
        let topic = topic::open(name, &self.clock, &self.http).await?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(topics.entry(name.to_owned()).or_insert(topic)))
    }
}

#[async_trait]
impl Transport for Outbound {
    async fn send(&self, request: Request) -> Reply {
        self.http.send(request).await
    }

    async fn mail(&self, mail: Mail) -> Reply {
        self.http.mail(mail).await
    }

    async fn secret(&self, secret: &Secret, refused: Option<&str>) -> Result<String, Error> {
        self.http.secret(secret, refused).await
    }

    async fn publish(&self, message: Publish) -> Reply {
        let Publish { topic, data, attributes } = message;
        let topic =
            self.topic(&topic).await.map_err(|error| Failure::NotSent(error.to_string()))?;
        let published = topic.publish(Message { data, attributes }).await;
        let answer = |status| Ok(Response { status, ..Response::default() });
        match published {
            Ok(_) => answer(200),
            Err(error) if error.kind() == ErrorKind::Unauthorized => answer(403),
            Err(error) if error.kind() == ErrorKind::Rejected => answer(404),
            Err(error) => Err(Failure::Unclear(error.to_string())),
        }
    }
}
