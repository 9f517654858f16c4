//! Kubeflow Pipelines: both APIs, of servers from 2.0 on and of older ones.
//!
//! It does what the real server does where that hurts: a second start under one id answers 500 and leaves a second
//! workflow behind ([`Run::shadow`]), a run that is told to end ends as failed, an older server makes up ids of its
//! own, filters are decoded twice, and whoever has no good token gets a page to log in.

mod catalog;
mod filter;
mod runs;
mod v1beta1;
mod v2beta1;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use self::catalog::Catalog;
pub use self::runs::{Phase, Run};
use self::runs::{Runs, Wrong};
use super::server::{Answer, Reacting, Reaction, Request, Server, Site};

/// Says of a token whether it is good.
pub type Judge = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What kind of server it is.
#[derive(Clone)]
pub struct Options {
    /// Whether it makes up the ids of runs whatever it is told, as servers before 2.0 do.
    pub ids_ignored: bool,
    /// How often a run is looked at before it has succeeded; none where only the test ends it.
    pub looks: Option<u32>,
    /// Who may ask: everybody where there is none.
    pub judge: Option<Judge>,
    /// The status of the page others get; proxies differ.
    pub login_status: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { ids_ignored: false, looks: Some(2), judge: None, login_status: 200 }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("ids_ignored", &self.ids_ignored)
            .field("looks", &self.looks)
            .finish_non_exhaustive()
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To start a run.
    Start,
    /// For one run.
    Run,
    /// For runs of a name.
    Runs,
    /// To end a run.
    Terminate,
    /// For pipelines, versions and experiments, or to make one.
    Catalog,
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// 503, and nothing is done.
    Unavailable,
    /// 429 with these seconds to wait, and nothing is done.
    TooMany(u32),
    /// The connection is closed, and nothing is done.
    Closed,
    /// It is done, and the connection is closed.
    AnswerLost,
    /// It is done, and 500 is answered.
    FailedAfter,
    /// It is done, and not answered before [`Kfp::release`].
    Hang,
    /// It is done after [`Kfp::release`] only, even if whoever asked is gone by then.
    Late,
}

/// A request that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What was asked for.
    pub ask: Ask,
    /// Method and path.
    pub line: String,
    /// The body; null where it is no JSON.
    pub body: Value,
}

/// A server of Kubeflow Pipelines.
pub struct Kfp {
    server: Server,
    site: Arc<KfpSite>,
}

struct KfpSite {
    options: Options,
    state: Mutex<State>,
    /// How many requests were held so far.
    held: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

/// What it knows, without the socket it listens at.
#[derive(Default)]
pub(super) struct State {
    catalog: Catalog,
    runs: Runs,
    troubles: VecDeque<(Ask, Trouble)>,
    seen: Vec<Seen>,
}

impl fmt::Debug for Kfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kfp").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Kfp {
    /// A server that listens.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let kfp = Self::closed(options);
        kfp.open();
        kfp
    }

    /// A server that does not listen yet: connections are refused.
    #[must_use]
    pub fn closed(options: Options) -> Self {
        let site = KfpSite {
            state: Mutex::new(State::new(&options)),
            options,
            held: watch::Sender::new(0),
            released: watch::Sender::new(false),
        };
        Self { server: Server::new(), site: Arc::new(site) }
    }

    /// Begins to listen.
    pub fn open(&self) {
        self.server.open(Arc::<KfpSite>::clone(&self.site));
    }

    /// Where it answers, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.place())
    }

    /// Adds a pipeline of one version that wants these parameters, each with its type, and returns its id.
    pub fn add_pipeline(&self, name: &str, parameters: &[(&str, &str)]) -> String {
        self.site.lock().add_pipeline(name, parameters)
    }

    /// Lets the next request of that kind go wrong. Several wait in line.
    pub fn trouble(&self, ask: Ask, trouble: Trouble) {
        self.site.lock().troubles.push_back((ask, trouble));
    }

    /// Hides the next run that is started from so many looks.
    pub fn hide_next(&self, looks: u32) {
        self.site.lock().hide_next(looks);
    }

    /// Waits until so many requests have been held.
    ///
    /// # Panics
    /// Never: the server lives as long as this.
    pub async fn held(&self, count: usize) {
        let mut held = self.site.held.subscribe();
        held.wait_for(|held| *held >= count).await.expect("the sender lives as long as self");
    }

    /// Lets go of every request that is held, and of those that would be.
    pub fn release(&self) {
        self.site.released.send_replace(true);
    }

    /// Ends a run that is under way.
    pub fn end(&self, id: &str, phase: Phase) {
        self.site.lock().go_on(id, phase);
    }

    /// Every run there ever was, shadows included, in the order they began.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        self.site.lock().runs().to_vec()
    }

    /// Every request that arrived, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.site.lock().seen.clone()
    }
}

impl KfpSite {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_let_in(&self, request: &Request) -> bool {
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        self.options.judge.as_ref().is_none_or(|judge| judge(token))
    }

    async fn hold(&self) {
        self.held.send_modify(|held| *held += 1);
        let mut released = self.released.subscribe();
        released.wait_for(|released| *released).await.expect("the sender lives as long as self");
    }

    async fn meet(self: Arc<Self>, request: Request, trouble: Option<Trouble>) -> Reaction {
        Reaction::Answer(match trouble {
            None => self.lock().answer(&request),
            Some(Trouble::Unavailable) => refuse(503, 14, "unavailable"),
            Some(Trouble::TooMany(seconds)) => {
                refuse(429, 8, "too many requests").with("retry-after", &seconds.to_string())
            }
            Some(Trouble::Closed) => return Reaction::Close,
            Some(Trouble::AnswerLost) => {
                let _ = self.lock().answer(&request);
                return Reaction::Close;
            }
            Some(Trouble::FailedAfter) => {
                let _ = self.lock().answer(&request);
                refuse(500, 13, "Internal error: connection to the cluster lost")
            }
            Some(Trouble::Hang) => {
                let answer = self.lock().answer(&request);
                self.hold().await;
                answer
            }
            Some(Trouble::Late) => {
                let late = async move {
                    self.hold().await;
                    self.lock().answer(&request)
                };
                tokio::spawn(late).await.expect("answering does not panic")
            }
        })
    }
}

impl Site for KfpSite {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        Box::pin(async move {
            if !self.is_let_in(&request) {
                let page = "<html><body>Sign in to continue</body></html>";
                return Reaction::Answer(Answer::text(
                    self.options.login_status,
                    "text/html",
                    page,
                ));
            }
            let trouble = self.lock().note(&request);
            self.meet(request, trouble).await
        })
    }
}

impl State {
    pub(super) fn new(options: &Options) -> Self {
        Self { runs: Runs::new(options), ..Self::default() }
    }

    /// Adds a pipeline, as [`Kfp::add_pipeline`] does.
    pub(super) fn add_pipeline(&mut self, name: &str, parameters: &[(&str, &str)]) -> String {
        self.catalog.add_pipeline(name, parameters)
    }

    /// Hides the next run that is started from so many looks.
    pub(super) fn hide_next(&mut self, looks: u32) {
        self.runs.hide_next = looks;
    }

    /// Has a run go on to this phase.
    pub(super) fn go_on(&mut self, id: &str, phase: Phase) {
        self.runs.go_on(id, phase);
    }

    /// Every run there ever was, shadows included, in the order they began.
    pub(super) fn runs(&self) -> &[Run] {
        self.runs.all()
    }

    /// Notes a request, and says how it is to go wrong.
    fn note(&mut self, request: &Request) -> Option<Trouble> {
        let ask = Ask::of(request);
        let line = format!("{} /{}", request.method, request.path.join("/"));
        self.seen.push(Seen { ask, line, body: request.json() });
        let at = self.troubles.iter().position(|(of, _)| *of == ask)?;
        self.troubles.remove(at).map(|(_, trouble)| trouble)
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let answered = match path.as_slice() {
            ["apis", "v2beta1", rest @ ..] => v2beta1::answer(self, request, rest),
            ["apis", "v1beta1", rest @ ..] => v1beta1::answer(self, request, rest),
            _ => Err(Wrong::missing("Not Found")),
        };
        match answered {
            Ok(body) => Answer::json(200, &body),
            Err(Wrong { status, code, message }) => refuse(status, code, &message),
        }
    }
}

impl Ask {
    pub(super) fn of(request: &Request) -> Self {
        let path: Vec<&str> = request.path.iter().skip(2).map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("POST", ["runs"]) => Self::Start,
            ("POST", ["runs", ..]) => Self::Terminate,
            (_, ["runs"]) => Self::Runs,
            (_, ["runs", ..]) => Self::Run,
            _ => Self::Catalog,
        }
    }
}

fn refuse(status: u16, code: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "message": message, "details": [] }))
}
