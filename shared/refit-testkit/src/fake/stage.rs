//! Services that start runs, without sockets: a transport that answers as they would, and lets starts go wrong.
//!
//! Each stands for one service as its published description and its users' reports have it. They are ours, so they
//! prove what refit does with such a service, not that the service is such.

mod cloud_build;
mod cloud_run;
mod cloud_run_service;
mod described;
mod github;
mod kubeflow;
mod mage;
mod vertex;
mod vertex_endpoint;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use refit_engine::port::Transport;
use refit_wire::http::{Failure, Reply, Request as Sent, Response};
use serde_json::Value;

use super::server::{Answer, Request};

pub use cloud_build::CloudBuild;
pub use cloud_run::CloudRun;
pub use cloud_run_service::CloudRunService;
pub use described::Described;
pub use github::Github;
pub use kubeflow::Kubeflow;
pub use mage::Mage;
pub use vertex::Vertex;
pub use vertex_endpoint::VertexEndpoint;

/// How the start of a run goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing reaches the service, for certain.
    Refused,
    /// 503, and nothing is done.
    Unavailable,
    /// 429 with ten seconds to wait, and nothing is done.
    TooMany,
    /// No answer comes, and nothing is done.
    Closed,
    /// It is done, and no answer comes.
    AnswerLost,
    /// It is done, and 500 is answered.
    FailedAfter,
    /// No answer comes, and it is done after [`Stage::release`] only.
    Late,
    /// It is done, and done again, as where somebody between sends it twice; the second is answered.
    Twice,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It was ended.
    Cancelled,
}

/// A run that was started.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The key it was started under.
    pub key: String,
    /// The service's id.
    pub id: String,
    /// Where it stands.
    pub phase: Phase,
    /// What it was started with.
    pub body: Value,
    /// Looks it is still hidden from.
    hidden: u32,
}

/// The runs of a service.
#[derive(Debug, Default)]
pub struct Runs {
    all: Vec<Run>,
    hide_next: u32,
}

/// One kind of service.
pub trait Double: Send + 'static {
    /// Whether a request is to start a run.
    fn is_start(&self, request: &Request) -> bool;

    /// Answers a request.
    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer;
}

/// A service, and what goes wrong with it.
pub struct Stage {
    double: Box<dyn Double + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runs: Runs,
    troubles: VecDeque<Trouble>,
    late: Vec<Request>,
    starts: usize,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stage")
    }
}

impl Stage {
    /// A service that has no runs yet.
    #[must_use]
    pub fn new(double: Box<dyn Double + Sync>) -> Self {
        Self { double, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next start go wrong. Several wait in line.
    pub fn trouble(&self, trouble: Trouble) {
        self.lock().troubles.push_back(trouble);
    }

    /// Hides the next run that is started from so many looks.
    pub fn hide_next(&self, looks: u32) {
        self.lock().runs.hide_next = looks;
    }

    /// Lets every start take effect that was late.
    pub fn release(&self) {
        let mut state = self.lock();
        let late = std::mem::take(&mut state.late);
        for request in late {
            let _ = self.double.answer(&request, &mut state.runs);
        }
    }

    /// Ends every run well that still runs.
    pub fn finish(&self) {
        self.end(Phase::Succeeded);
    }

    /// Ends every run badly that still runs.
    pub fn fail(&self) {
        self.end(Phase::Failed);
    }

    /// Has every run that has ended run again under its id, as a person can have it there.
    pub fn reopen(&self) {
        self.lock().runs.all.iter_mut().for_each(|run| run.phase = Phase::Running);
    }

    /// Has the last run made again under this id, as a person can have it there where a retry is another run.
    pub fn retry(&self, id: &str) {
        let runs = &mut self.lock().runs.all;
        let retry =
            runs.last().map(|run| Run { id: id.to_owned(), phase: Phase::Running, ..run.clone() });
        runs.extend(retry);
    }

    /// Ends one run, if it still runs.
    pub fn end_one(&self, id: &str, phase: Phase) {
        let mut state = self.lock();
        let running = state.runs.all.iter_mut().filter(|run| run.phase == Phase::Running);
        running.filter(|run| run.id == id).for_each(|run| run.phase = phase);
    }

    fn end(&self, phase: Phase) {
        let mut state = self.lock();
        let running = state.runs.all.iter_mut().filter(|run| run.phase == Phase::Running);
        running.for_each(|run| run.phase = phase);
    }

    /// Every run there ever was, in the order they began.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        self.lock().runs.all.clone()
    }

    /// How many starts were sent.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.lock().starts
    }

    fn meet(&self, request: &Request) -> Reply {
        let mut state = self.lock();
        let is_start = self.double.is_start(request);
        state.starts += usize::from(is_start);
        let trouble = if is_start { state.troubles.pop_front() } else { None };
        let lost = || Err(Failure::Unclear("the connection was reset".to_owned()));
        match trouble {
            None => Ok(response(self.double.answer(request, &mut state.runs))),
            Some(Trouble::Refused) => {
                Err(Failure::NotSent("the connection was refused".to_owned()))
            }
            Some(Trouble::Unavailable) => Ok(response(Answer::text(503, "text/html", "later"))),
            Some(Trouble::TooMany) => {
                Ok(response(Answer::text(429, "text/html", "later").with("retry-after", "10")))
            }
            Some(Trouble::Closed) => lost(),
            Some(Trouble::AnswerLost) => {
                let _ = self.double.answer(request, &mut state.runs);
                lost()
            }
            Some(Trouble::FailedAfter) => {
                let _ = self.double.answer(request, &mut state.runs);
                Ok(response(Answer::text(500, "text/html", "trouble")))
            }
            Some(Trouble::Twice) => {
                let _ = self.double.answer(request, &mut state.runs);
                Ok(response(self.double.answer(request, &mut state.runs)))
            }
            Some(Trouble::Late) => {
                state.late.push(request.clone());
                lost()
            }
        }
    }
}

#[async_trait]
impl Transport for Stage {
    async fn send(&self, request: Sent) -> Reply {
        self.meet(&arrived(&request))
    }
}

/// A request as a service sees it.
fn arrived(sent: &Sent) -> Request {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Request {
        method: sent.method.to_string(),
        target: sent.url[url::Position::BeforePath..].to_owned(),
        path: sent.url.path().split('/').skip(1).map(decode).collect(),
        query: sent.url.query_pairs().into_owned().collect(),
        headers: sent.headers.clone(),
        body: sent.body.clone(),
    }
}

fn response(answer: Answer) -> Response {
    let headers = answer.headers.iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value).expect("a service answers with lawful headers");
        (HeaderName::from_static(name), value)
    });
    let headers = HeaderMap::from_iter(headers);
    Response { status: answer.status, headers, body: answer.body }
}

impl Runs {
    /// Whether a run of that key was started, hidden or not.
    fn has(&self, key: &str) -> bool {
        self.all.iter().any(|run| run.key == key)
    }

    /// Starts a run.
    fn begin(&mut self, key: &str, id: String, body: Value) -> Run {
        let hidden = std::mem::take(&mut self.hide_next);
        let run = Run { key: key.to_owned(), id, phase: Phase::Running, body, hidden };
        self.all.push(run.clone());
        run
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.all.len()
    }

    /// The runs a look shows, newest first.
    fn look(&mut self) -> Vec<Run> {
        let show = |run: &mut Run| {
            let is_hidden = run.hidden > 0;
            run.hidden = run.hidden.saturating_sub(1);
            (!is_hidden).then(|| run.clone())
        };
        self.all.iter_mut().rev().filter_map(show).collect()
    }

    /// The run of that id, if a look shows it.
    fn one(&mut self, id: &str) -> Option<Run> {
        let run = self.all.iter_mut().find(|run| run.id == id)?;
        let is_hidden = run.hidden > 0;
        run.hidden = run.hidden.saturating_sub(1);
        (!is_hidden).then(|| run.clone())
    }

    /// Ends a run before its time; whether it still ran.
    fn cancel(&mut self, id: &str) -> bool {
        let found = self.all.iter_mut().find(|run| run.id == id && run.phase == Phase::Running);
        found.is_some_and(|run| {
            run.phase = Phase::Cancelled;
            true
        })
    }
}

/// An error as Google's services answer it.
fn google_error(status: u16, message: &str) -> Answer {
    let error =
        serde_json::json!({ "error": { "code": status, "message": message, "status": "ERROR" } });
    Answer::json(status, &error)
}
