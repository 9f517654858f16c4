//! What is shown while things happen: lines, and on a terminal a last line that is drawn again and again.

use std::collections::BTreeMap;

use clap::builder::styling::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use refit_core::commit::{AttemptChange, BatchChange, Change, RunChange};
use refit_core::key::RunKey;
use refit_core::notice::OutboxChange;
use refit_core::promotion::PromotionChange;
use refit_core::reason::Refusal;
use refit_core::run::Phase;
use refit_core::state::{BatchId, Held};
use refit_core::time::Timestamp;
use refit_dev::news::News;
use refit_dev::pipelines::{self, RunStep, State};
use refit_engine::explain::Verdict;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;

use crate::fate;
use crate::output::Output;
use crate::words::about;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WAIT: Style = AnsiColor::Yellow.on_default();
const PLAIN: Style = Style::new();

/// Where lines go, and what is under way.
pub(super) struct Screen {
    output: Output,
    bar: Option<ProgressBar>,
    /// What holds the batches that wait.
    held: BTreeMap<BatchId, Held>,
    /// What was last said of the steps of the runs under way.
    steps: BTreeMap<RunKey, Vec<Said>>,
    /// The step under way, in words.
    under_way: Option<String>,
}

/// What was said of a step: where it stands, and the quarter it has come to.
type Said = (State, u8);

impl Screen {
    pub(super) fn new(output: Output) -> Self {
        let bar = (output.draws() && !output.is_json()).then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            let style = style.expect("the template names what indicatif knows");
            ProgressBar::new_spinner().with_style(style).with_message("starting")
        });
        let (held, steps) = (BTreeMap::new(), BTreeMap::new());
        Self { output, bar, held, steps, under_way: None }
    }

    /// Says something.
    pub(super) fn say(&self, text: &str) {
        self.line(PLAIN, text);
    }

    /// Takes the last line away.
    pub(super) fn clear(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    /// Draws the last line: what is under way, or what waits and for how long.
    pub(super) fn draw(&self) {
        let Some(bar) = &self.bar else { return };
        let now = SystemClock.now();
        let waits = || self.held.iter().next().map(|(batch, held)| waiting(*batch, *held, now));
        let message = self.under_way.clone().or_else(waits);
        bar.set_message(message.unwrap_or_else(|| "waiting for files; ctrl-c ends".to_owned()));
        bar.tick();
    }

    /// Shows news.
    pub(super) fn show(&mut self, news: &News) {
        match news {
            News::Announced { object, bytes: Some(bytes) } => {
                self.line(PLAIN, &format!("{object} arrived, {bytes} bytes"));
            }
            News::Announced { object, bytes: None } => {
                self.line(PLAIN, &format!("{object} is gone"));
            }
            News::Loose { name } => {
                let text = format!(
                    "buckets/{name} is in no bucket and is left alone: a bucket is a folder in buckets/, its objects the files below that"
                );
                self.line(WAIT, &text);
            }
            // That it is gone was said when it was announced.
            News::Refused {
                verdict: Verdict::Refused { reason: Refusal::Deletion, .. }, ..
            } => {}
            News::Refused { event, verdict } => {
                self.line(DIM, &format!("{event}: {}", fate::verdict(verdict)));
            }
            News::Changed { batch, change, trouble } => {
                self.changed(*batch, change, trouble.as_deref());
            }
            News::Progressed(run) => self.progressed(run),
            News::Served { model, version, url } => {
                let text = format!("version {version} of the model {model} is served at {url}");
                self.line(GOOD, &text);
            }
            News::NotServed { model, version, why } => {
                let text = format!("version {version} of the model {model} is not served: {why}");
                self.line(BAD, &text);
            }
            News::Waits { model, version } => {
                let command = format!("refit approve {model} {version}");
                let text = format!("version {version} of the model {model} waits for: {command}");
                self.line(WAIT, &text);
            }
            News::Over(_) => {}
        }
        self.draw();
    }

    fn changed(&mut self, batch: BatchId, change: &Change, trouble: Option<&str>) {
        let words = match change {
            Change::Batch { change: BatchChange::Holding(held), .. } => {
                self.held.insert(batch, *held);
                Some(fate::held_because(*held, trouble))
            }
            Change::Batch { change: BatchChange::Joined { .. }, .. } => fate::episode(change),
            _ => {
                self.held.remove(&batch);
                fate::episode(change)
            }
        };
        if let (Some(style), Some(words)) = (style(change), words) {
            self.line(style, &format!("{batch}: {words}"));
        }
    }

    fn progressed(&mut self, run: &pipelines::Run) {
        let batch = run.labels.get("batch").map_or("a run", String::as_str);
        let said: Vec<Said> = run.steps.iter().map(said).collect();
        let before = self.steps.insert(run.id, said.clone()).unwrap_or_default();
        let count = run.steps.len();
        for (at, step) in run.steps.iter().enumerate() {
            let is_new = before.get(at) != said.get(at) && step.state != State::Pending;
            if is_new {
                let text = format!("{batch}: step {} of {count}, {}", at + 1, words(step));
                self.line(step_style(step.state), &text);
            }
        }
        let step = run.steps.iter().find(|step| step.state == State::Running);
        self.under_way = step.map(|step| format!("{batch} {}", drawn(step)));
    }

    fn line(&self, style: Style, text: &str) {
        let now = SystemClock.now().to_string();
        let time = now.get(11..19).unwrap_or_default();
        let colours = self.bar.is_some() && self.output.has_colours();
        let text = match colours {
            true => format!("{DIM}{time}{DIM:#}  {style}{text}{style:#}"),
            false => format!("{time}  {text}"),
        };
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.note(&text)),
            None => self.output.note(&text),
        }
    }
}

/// How a change is shown; not at all where the steps of the run say the same.
fn style(change: &Change) -> Option<Style> {
    match change {
        Change::Batch { change: BatchChange::Holding(_) | BatchChange::Asked, .. } => Some(WAIT),
        // Why it is held is said with the hold that follows.
        Change::Batch { change: BatchChange::Troubled(_), .. } => None,
        Change::Batch { .. } | Change::Closed(_) => Some(PLAIN),
        Change::Run { change: RunChange::Finished(finished), .. } => {
            Some(if finished.phase == Phase::Succeeded { GOOD } else { BAD })
        }
        Change::Run { .. } => Some(PLAIN),
        Change::Promotion { change, .. } => match change {
            PromotionChange::Requested { .. } => Some(WAIT),
            PromotionChange::Refused(_)
            | PromotionChange::Rejected { .. }
            | PromotionChange::Failed(_) => Some(BAD),
            PromotionChange::Entered => Some(GOOD),
            _ => Some(PLAIN),
        },
        Change::Attempt { change, .. } => match change {
            AttemptChange::Intended { .. } | AttemptChange::Progressed { .. } => None,
            AttemptChange::Ended { phase: Phase::Succeeded, .. } => None,
            AttemptChange::Ended { .. } => Some(BAD),
            _ => Some(PLAIN),
        },
        Change::Outbox {
            change: OutboxChange::Failed { .. } | OutboxChange::GivenUp { .. },
            ..
        } => Some(BAD),
        Change::Created { .. }
        | Change::Inbox(_)
        | Change::Applied { .. }
        | Change::Trigger { .. }
        | Change::Stored { .. }
        | Change::Memory(_)
        | Change::Model { .. }
        | Change::Outbox { .. } => None,
    }
}

fn step_style(state: State) -> Style {
    match state {
        State::Pending | State::Running => PLAIN,
        State::Succeeded => GOOD,
        State::Failed | State::Cancelled => BAD,
    }
}

fn said(step: &RunStep) -> Said {
    (step.state, (step.progress.unwrap_or_default().clamp(0.0, 1.0) * 4.0) as u8)
}

fn words(step: &RunStep) -> String {
    let state = match step.state {
        State::Pending => "pending",
        State::Running => "running",
        State::Succeeded => "done",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    };
    let share = step.progress.map(|share| format!(" {:.0} %", share * 100.0)).unwrap_or_default();
    let message = step.message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{}: {state}{share}{message}", step.name)
}

/// A step as it is drawn, with a bar of ten.
fn drawn(step: &RunStep) -> String {
    let full = (step.progress.unwrap_or_default().clamp(0.0, 1.0) * 10.0) as usize;
    let message = step.message.as_deref().unwrap_or_default();
    format!("{} [{}{}] {message}", step.name, "#".repeat(full), "-".repeat(10 - full))
}

fn waiting(batch: BatchId, held: Held, now: Timestamp) -> String {
    let left = held.until.filter(|until| *until > now).map(|until| about(until.since(now)));
    let left = left.map(|left| format!(" for {left}")).unwrap_or_default();
    format!("{batch} waits{left}: {}", held.reason.text())
}
