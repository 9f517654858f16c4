//! How a run is driven from step to step.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use refit_core::time::Span;
use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::watch;
use tracing::warn;

use super::definition::Step;
use super::log::{self, Log};
use super::process::{Process, Waiting};
use super::run::{Change, Record, State};
use super::{Entry, Pipelines, disk, lock};

/// How long after its end what a step has said is waited for: something it left behind may hold its output open.
const DRAIN: Span = Span::secs(1);
/// The wait before a change is stored again, where the disk would not have it.
const AGAIN: Span = Span::secs(5);
/// How much of a step's last words is repeated.
const WORDS_CHARS_MAX: usize = 200;

/// How a step came to its end.
enum Fate {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Cancelled,
    Closing,
}

impl Pipelines {
    /// Starts as many of the runs that wait as there is room for.
    pub(super) fn pump(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        while queue.active < self.config.limits.runs_max && !self.is_closing() {
            let Some(entry) = queue.waiting.pop_front() else { break };
            queue.active += 1;
            let service = Arc::clone(self);
            tokio::spawn(async move {
                service.drive(&entry).await;
                lock(&service.queue).active -= 1;
                service.pump();
                service.changed();
            });
        }
    }

    /// Runs the steps of a run, from the first that has not succeeded, until it ends or the service does.
    async fn drive(self: &Arc<Self>, entry: &Arc<Entry>) {
        while let Some(at) = entry.run().next_step() {
            if self.is_closing() {
                return;
            }
            if *entry.cancel.borrow() {
                self.record(entry, Change::Cancelled).await;
                continue;
            }
            let step = &entry.accepted.pipeline.definition.steps[at];
            let Some((state, message)) = self.step(entry, step).await else { return };
            let folder = entry.folder.clone();
            let artifacts = disk(move || folder.list_artifacts()).await.unwrap_or_default();
            let step = step.name.clone();
            self.record(entry, Change::StepEnded { step, state, message, artifacts }).await;
        }
    }

    /// Runs a step: how it ended and what is to be said of it, or nothing where the service ends first.
    async fn step(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        step: &Step,
    ) -> Option<(State, Option<String>)> {
        let failed = |error: io::Error| {
            Some((State::Failed, Some(format!("it cannot be started: {error}"))))
        };
        let log =
            match Log::open(entry.folder.log(&step.name), self.config.limits.log_bytes_max).await {
                Ok(log) => log,
                Err(error) => return failed(error),
            };
        let waiting = match self.spawn(entry, step) {
            Ok(waiting) => waiting,
            Err(error) => return failed(error),
        };
        lock(&entry.last_line).clear();
        let process = waiting.process.clone();
        let started = Change::StepStarted { step: step.name.clone(), process: process.clone() };
        if !self.record(entry, started).await {
            return None;
        }
        let (mut child, output) = match waiting.begin().await {
            Ok(begun) => begun,
            Err(error) => return failed(error),
        };
        let mut follow = tokio::spawn(log::follow(output, log, self.listener(entry, step)));
        let fate = self.fate(&mut child, entry, step).await;
        self.end(&mut child, &process, &fate).await;
        tokio::select! {
            _ = &mut follow => {}
            () = self.config.clock.sleep(DRAIN) => follow.abort(),
        }
        verdict(fate, step, entry)
    }

    fn spawn(&self, entry: &Entry, step: &Step) -> io::Result<Waiting> {
        let key = entry.accepted.id.to_string();
        let environment = [
            ("REFIT_RUN_KEY", Path::new(&key)),
            ("REFIT_RUN_DIR", entry.folder.path()),
            ("REFIT_STEP", Path::new(&step.name)),
            ("REFIT_PARAMETERS", &entry.folder.parameters()),
            ("REFIT_BUCKETS", &self.config.buckets),
        ];
        let command = self.command(&step.command);
        Waiting::new(&command, &entry.accepted.pipeline.folder, &environment)
    }

    /// A command as it is run.
    pub(super) fn command(&self, words: &[String]) -> Vec<String> {
        let program = self.config.program.to_string_lossy();
        let words = words.iter().map(|word| match word.as_str() {
            "{refit}" => program.clone().into_owned(),
            word => word.to_owned(),
        });
        words.collect()
    }

    /// What is done with every line a step says.
    fn listener(self: &Arc<Self>, entry: &Arc<Entry>, step: &Step) -> impl Fn(&str) + use<> {
        let (service, entry, name) = (Arc::clone(self), Arc::clone(entry), step.name.clone());
        move |line: &str| match log::progress(line) {
            Some((share, message)) => {
                let mut history = lock(&entry.history);
                let step = history.run.steps.iter_mut().find(|step| step.name == name);
                if let Some(step) = step.filter(|step| step.state == State::Running) {
                    step.progress = Some(share);
                    step.message = message;
                }
                drop(history);
                service.changed();
            }
            None if line.trim().is_empty() => {}
            None => line.trim().clone_into(&mut lock(&entry.last_line)),
        }
    }

    /// Waits for whatever ends a step first.
    async fn fate(&self, child: &mut Child, entry: &Entry, step: &Step) -> Fate {
        tokio::select! {
            status = child.wait() => Fate::Exited(status),
            () = self.config.clock.sleep(step.timeout) => Fate::TimedOut,
            () = said(&entry.cancel) => Fate::Cancelled,
            () = said(&self.closing) => Fate::Closing,
        }
    }

    /// Ends the process group of a step: asks where the step has not ended by itself, and kills what is left.
    async fn end(&self, child: &mut Child, process: &Process, fate: &Fate) {
        if !matches!(fate, Fate::Exited(_)) {
            process.ask(child, &*self.config.clock, self.config.limits.grace).await;
        }
        process.signal(Signal::KILL);
        if let Err(error) = child.wait().await {
            warn!(%error, "the end of a step cannot be seen");
        }
    }

    /// Makes a change durable, then applies it.
    pub(super) async fn try_record(&self, entry: &Arc<Entry>, change: Change) -> io::Result<()> {
        let _recording = entry.recording.lock().await;
        let record = Record { at: self.config.clock.now(), change };
        let (journal, line) = (Arc::clone(&entry.journal), record.clone());
        disk(move || lock(&journal).append(&line)).await??;
        lock(&entry.history).apply(&record);
        self.changed();
        Ok(())
    }

    /// Makes a change durable and applies it, however often that takes. False where the service ends first.
    pub(super) async fn record(&self, entry: &Arc<Entry>, change: Change) -> bool {
        while let Err(error) = self.try_record(entry, change.clone()).await {
            warn!(%error, run = %entry.accepted.id, "a change of a run cannot be stored");
            tokio::select! {
                () = self.config.clock.sleep(AGAIN) => {}
                () = said(&self.closing) => return false,
            }
        }
        true
    }
}

/// Returns once it is true.
async fn said(flag: &watch::Sender<bool>) {
    if flag.subscribe().wait_for(|said| *said).await.is_err() {
        std::future::pending().await
    }
}

fn verdict(fate: Fate, step: &Step, entry: &Entry) -> Option<(State, Option<String>)> {
    let last = lock(&entry.last_line).chars().take(WORDS_CHARS_MAX).collect::<String>();
    let failed = |why: String| {
        let log = entry.folder.log(&step.name);
        let said = if last.is_empty() { last.clone() } else { format!(", said=`{last}`") };
        // The words come last, for they may be cut.
        Some((State::Failed, Some(format!("{why}: log=`{}`{said}", log.display()))))
    };
    match fate {
        Fate::Exited(Ok(status)) if status.success() => {
            let run = entry.run();
            let step = run.steps.into_iter().find(|other| other.name == step.name);
            Some((State::Succeeded, step.and_then(|step| step.message)))
        }
        Fate::Exited(Ok(status)) => failed(status.to_string()),
        Fate::Exited(Err(error)) => failed(error.to_string()),
        Fate::TimedOut => failed(format!("timed out after {}", step.timeout)),
        Fate::Cancelled => Some((State::Cancelled, None)),
        Fate::Closing => None,
    }
}
