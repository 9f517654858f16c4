//! Kubeflow Pipelines, by both of its APIs: the server of [`kfp`], without its socket.
//!
//! [`kfp`]: crate::fake::kfp

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::{Double, Phase, Runs};
use crate::fake::kfp::{Ask, Options, Phase as At, State};
use crate::fake::server::{Answer, Request};

/// The service. A second start under one id is another run of that id here, which the server shows nobody.
pub struct Kubeflow(Mutex<State>);

impl Kubeflow {
    /// A server whose pipeline `churn` wants this parameter.
    #[must_use]
    pub fn wanting(parameter: &str) -> Self {
        let mut server = State::new(&Options { looks: None, ..Options::default() });
        server.add_pipeline("churn", &[(parameter, "STRING")]);
        Self(Mutex::new(server))
    }
}

impl fmt::Debug for Kubeflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kubeflow")
    }
}

impl Double for Kubeflow {
    fn is_start(&self, request: &Request) -> bool {
        Ask::of(request) == Ask::Start
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let mut server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tell(&mut server, runs);
        let answer = server.answer(request);
        note(&server, runs);
        answer
    }
}

/// Tells the server what became of its runs since it was last asked.
fn tell(server: &mut State, runs: &Runs) {
    server.hide_next(runs.hide_next);
    let known = server.runs().iter().map(|run| (run.shadow, run.phase().is_end()));
    let known: Vec<(bool, bool)> = known.collect();
    for (run, (_, is_over)) in runs.all.iter().zip(known).filter(|(_, (shadow, _))| !shadow) {
        let phase = match (run.phase, is_over) {
            (Phase::Succeeded, false) => At::Succeeded,
            (Phase::Failed, false) => At::Failed,
            (Phase::Running, true) => At::Running,
            (Phase::Running | Phase::Cancelled, false)
            | (Phase::Succeeded | Phase::Failed | Phase::Cancelled, true) => continue,
        };
        server.go_on(&run.id, phase);
    }
}

/// Notes what the server has begun, and what it was told to end.
fn note(server: &State, runs: &mut Runs) {
    for (at, run) in server.runs().iter().enumerate() {
        match runs.all.get_mut(at) {
            None => {
                let key = run.name.rsplit(' ').next().unwrap_or_default();
                runs.begin(key, run.id.clone(), run.request.clone());
            }
            Some(known) if run.phase() == At::Canceling => known.phase = Phase::Cancelled,
            Some(_) => {}
        }
    }
}
