//! What leaves the process beside the calls to services: as values, with secrets named and never in them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::http::{Request, Secret};

/// Something to be sent once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A request over HTTP.
    Http(Box<Request>),
    /// A mail.
    Mail(Box<Mail>),
    /// A message to a topic.
    Publish(Publish),
}

/// A mail to be handed to a server by SMTP, after STARTTLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The server's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in, and where the password is kept; nobody does where absent.
    pub login: Option<(String, Secret)>,
    /// Whom it is from.
    pub from: String,
    /// Whom it is to.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// Its message id, without the angle brackets: the same however often it is sent.
    pub id: String,
}

/// A message to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The topic, `projects/P/topics/T`.
    pub topic: String,
    /// The body.
    pub data: Bytes,
    /// What receivers can filter by.
    pub attributes: BTreeMap<String, String>,
}

impl From<Request> for Outgoing {
    fn from(request: Request) -> Self {
        Self::Http(Box::new(request))
    }
}
