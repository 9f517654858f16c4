//! A run, as it is shown, and the changes it goes through.

use std::collections::BTreeMap;

use refit_core::key::RunKey;
use refit_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::definition::Pipeline;
use super::process::Process;

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its id: the key it was asked for under.
    pub id: RunKey,
    /// The pipeline, by name.
    pub pipeline: String,
    /// The version of its definition.
    pub version: String,
    /// Where it stands.
    pub state: State,
    /// Why it failed, or what it is waiting for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its first step started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its steps, in their order.
    pub steps: Vec<RunStep>,
    /// The files in its artifacts folder, relative to it, as they were when the last step ended.
    pub artifacts: Vec<String>,
    /// What it was labelled with.
    pub labels: BTreeMap<String, String>,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunStep {
    /// Its name.
    pub name: String,
    /// Where it stands; a step that was never reached stays pending.
    pub state: State,
    /// How far it says it is, from 0 to 1, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What it said of its progress, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where a run or a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not started.
    Pending,
    /// It is under way.
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// It was ended because someone asked.
    Cancelled,
}

/// What a run is asked for with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object that asks for a run")]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) pipeline: String,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) parameters: Map<String, Value>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

/// What was answered with a run: stored before the answer, and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Accepted {
    pub(super) id: RunKey,
    pub(super) request: Request,
    pub(super) pipeline: Pipeline,
    pub(super) created_at: Timestamp,
}

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) at: Timestamp,
    pub(super) change: Change,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// A step has a process; it begins when this is stored.
    StepStarted { step: String, process: Process },
    /// A step has ended; unless it succeeded, so has the run.
    StepEnded { step: String, state: State, message: Option<String>, artifacts: Vec<String> },
    /// Someone asked for the run to end.
    CancelAsked,
    /// It ended between two steps, or before the first.
    Cancelled,
}

/// A run and what is not shown of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct History {
    pub(super) run: Run,
    pub(super) cancelling: bool,
    /// The process of the step under way.
    pub(super) process: Option<Process>,
}

impl State {
    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl Run {
    /// The first step that has not succeeded; none where the run has ended.
    pub(super) fn next_step(&self) -> Option<usize> {
        let open = self.steps.iter().position(|step| step.state != State::Succeeded);
        open.filter(|_| !self.state.is_terminal())
    }

    fn step(&mut self, name: &str) -> Option<&mut RunStep> {
        self.steps.iter_mut().find(|step| step.name == name)
    }

    fn end(&mut self, at: Timestamp, state: State, message: Option<String>) {
        self.state = state;
        self.ended_at = Some(at);
        self.message = message;
    }
}

impl History {
    pub(super) fn new(accepted: &Accepted) -> Self {
        let Accepted { id, request, pipeline, created_at } = accepted;
        let steps = pipeline.definition.steps.iter().map(|step| RunStep {
            name: step.name.clone(),
            state: State::Pending,
            progress: None,
            message: None,
        });
        let run = Run {
            id: *id,
            pipeline: pipeline.definition.name.clone(),
            version: pipeline.definition.version(),
            state: State::Pending,
            message: None,
            created_at: *created_at,
            started_at: None,
            ended_at: None,
            steps: steps.collect(),
            artifacts: Vec::new(),
            labels: request.labels.clone(),
        };
        Self { run, cancelling: false, process: None }
    }

    /// Applies what happened. Nothing happens to a run that has ended.
    pub(super) fn apply(&mut self, record: &Record) {
        if self.run.state.is_terminal() {
            return;
        }
        match &record.change {
            Change::StepStarted { step, process } => {
                self.process = Some(process.clone());
                self.run.state = State::Running;
                self.run.started_at.get_or_insert(record.at);
                if let Some(step) = self.run.step(step) {
                    step.state = State::Running;
                    step.message = None;
                }
            }
            Change::StepEnded { step, state, message, artifacts } => {
                self.process = None;
                self.run.artifacts.clone_from(artifacts);
                self.step_ended(record.at, step, *state, message.clone());
            }
            Change::CancelAsked => {
                self.cancelling = true;
                self.run.message = Some("it was asked to end".to_owned());
            }
            Change::Cancelled => self.run.end(record.at, State::Cancelled, None),
        }
    }

    fn step_ended(&mut self, at: Timestamp, name: &str, state: State, message: Option<String>) {
        if let Some(step) = self.run.step(name) {
            step.state = state;
            step.progress = None;
            step.message.clone_from(&message);
        }
        let last = self.run.next_step().is_none();
        let why = message.map(|message| format!("step `{name}`: {message}"));
        match state {
            State::Succeeded if last => self.run.end(at, State::Succeeded, None),
            State::Pending | State::Running | State::Succeeded => {}
            State::Failed => self.run.end(at, State::Failed, why),
            State::Cancelled => self.run.end(at, State::Cancelled, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn history(changes: &[Change]) -> History {
        let accepted = json!({
            "id": "rf-00000000000000000000000000000001",
            "request": {"id": "rf-1", "pipeline": "churn"},
            "pipeline": {"folder": "/", "definition": {
                "name": "churn",
                "steps": [{"name": "a", "command": ["a"]}, {"name": "b", "command": ["b"]}],
            }},
            "created_at": "2026-11-21T09:00:00Z",
        });
        let mut history = History::new(&from_value(accepted).unwrap());
        for (at, change) in (1..).zip(changes) {
            history.apply(&Record { at: Timestamp::from_millis(at), change: change.clone() });
        }
        history
    }

    fn started(step: &str) -> Change {
        let process = json!({"pid": 1, "started": "x"});
        Change::StepStarted { step: step.to_owned(), process: from_value(process).unwrap() }
    }

    fn ended(step: &str, state: State) -> Change {
        Change::StepEnded { step: step.to_owned(), state, message: None, artifacts: Vec::new() }
    }

    #[test]
    fn a_run_ends_with_the_step_that_decides_it_and_then_stays_as_it_is() {
        let good = [started("a"), ended("a", State::Succeeded)];
        let check = |changes: &[Change], expected: State, next: Option<usize>| {
            let changes = [&good, changes].concat();
            let found = history(&changes);
            assert_eq!((found.run.state, found.run.next_step()), (expected, next), "{changes:?}");
            let late =
                [Change::CancelAsked, Change::Cancelled, started("b"), ended("b", State::Failed)];
            if expected.is_terminal() {
                assert_eq!(history(&[changes.as_slice(), &late].concat()), found);
            }
        };
        check(&[], State::Running, Some(1));
        check(&[started("b")], State::Running, Some(1));
        check(&[Change::CancelAsked], State::Running, Some(1));
        check(&[Change::Cancelled], State::Cancelled, None);
        for state in [State::Succeeded, State::Failed, State::Cancelled] {
            check(&[started("b"), ended("b", state)], state, None);
        }
    }

    #[test]
    fn a_process_is_remembered_until_its_step_has_ended() {
        assert!(history(&[started("a")]).process.is_some());
        assert!(history(&[started("a"), Change::CancelAsked]).process.is_some());
        assert!(history(&[started("a"), ended("a", State::Succeeded)]).process.is_none());
    }
}
