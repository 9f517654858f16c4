//! Commands to the reconciler: recorded, then answered by a commit.

use std::collections::BTreeSet;
use std::fmt;

use futures::future::{Either, select};
use refit_core::commit::Commit;
use refit_core::error::{Error, ErrorKind};
use refit_core::event::Command;
use refit_core::state::State;
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::submit::{self, ANSWER_WITHIN, Answer, command_event};
use refit_host::waker::Caller;
use refit_platform::env;
use serde::Serialize;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// How long a wake may take where nobody waits for an answer.
const WAKE_WITHIN: Span = Span::secs(5);
/// How often the log is looked at.
const LOOK_EVERY: Span = Span::from_millis(200);

/// Whether to wait for what the reconciler decides.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Wait {
    /// Return once it is recorded, and do not wait for what the reconciler decides
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait for the reconciler
    #[arg(long, value_name = "SPAN", default_value_t = ANSWER_WITHIN, conflicts_with = "no_wait")]
    pub(crate) wait: Span,
}

/// A command that was recorded.
#[derive(Debug, Serialize)]
pub(crate) struct Submitted {
    /// The id of its event.
    pub(crate) command: String,
    /// The segment it is recorded in.
    pub(crate) segment: String,
    /// What came of it, if that was waited for.
    pub(crate) answer: Option<Obeyed>,
}

/// The answer to a command that was obeyed.
#[derive(Debug, Serialize)]
pub(crate) struct Obeyed {
    message: String,
    commit: u64,
}

impl Opened {
    /// Records a command, wakes the reconciler, and waits for the commit after `from` that answers.
    pub(crate) async fn submit(
        &self,
        output: Output,
        command: Command,
        wait: &Wait,
        from: u64,
    ) -> Result<Submitted, Failure> {
        let actor = env::var("USER").unwrap_or_else(|| "refit".to_owned());
        let event = command_event(command, &actor, &env::nonce());
        let id = event.id();
        let segment = self.base.intake().append(vec![event]).await?;
        let look = submit::answer(&self.ledger, &*self.base.clock, from, id, wait.wait);
        let answer = self.wake_and(output, wait, look).await.transpose()?;
        let answer = answer.map(|answer| obeyed(answer.ok_or_else(unanswered)?)).transpose()?;
        Ok(Submitted { command: id.to_string(), segment, answer })
    }

    /// Records a command, and prints what the reconciler answers.
    pub(crate) async fn obey(
        &self,
        output: Output,
        command: Command,
        wait: &Wait,
        from: u64,
    ) -> Result<Exit, Failure> {
        output.show(&self.submit(output, command, wait, from).await?)?;
        Ok(Exit::Ok)
    }

    /// Wakes the reconciler and waits for the commits after `from` that consume these segments.
    pub(crate) async fn consumed(
        &self,
        output: Output,
        segments: BTreeSet<String>,
        wait: &Wait,
        from: u64,
    ) -> Result<Option<Vec<Commit>>, Failure> {
        let clock = &*self.base.clock;
        let look = async {
            within(clock, wait.wait, self.consuming(segments, from))
                .await
                .unwrap_or_else(|| Err(unanswered()))
        };
        Ok(self.wake_and(output, wait, look).await.transpose()?)
    }

    async fn consuming(
        &self,
        mut segments: BTreeSet<String>,
        mut seq: u64,
    ) -> Result<Vec<Commit>, Error> {
        let mut found = Vec::new();
        while !segments.is_empty() {
            let Some(commit) = self.ledger.commit(seq + 1).await? else {
                self.base.clock.sleep(LOOK_EVERY).await;
                continue;
            };
            seq = commit.seq;
            let before = segments.len();
            commit.segments.iter().for_each(|name| {
                segments.remove(name);
            });
            if segments.len() < before {
                found.push(commit);
            }
        }
        Ok(found)
    }

    /// Wakes the reconciler; where its answer is wanted, waits for that.
    async fn wake_and<T: Send>(
        &self,
        output: Output,
        wait: &Wait,
        answer: impl Future<Output = T> + Send,
    ) -> Option<T> {
        // Clients of clouds are large.
        let wake = Box::pin(self.wake(output));
        if wait.no_wait {
            within(&*self.base.clock, WAKE_WITHIN, wake).await;
            return None;
        }
        output.note("recorded; waiting for the reconciler");
        let (wake, answer) = (std::pin::pin!(wake), std::pin::pin!(answer));
        Some(match select(answer, wake).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), answer)) => answer.await,
        })
    }

    /// Wakes the reconciler where the environment says how; if that fails, its next ping finds what was recorded.
    pub(crate) async fn wake(&self, output: Output) {
        let Some(target) = env::var("REFIT_WAKE") else { return };
        let base = &self.base;
        let woken = match Caller::open(&target, &base.transport, &base.clock).await {
            Ok(caller) => caller.call().await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = woken {
            output
                .note(&format!("the reconciler could not be woken, its next ping will do: {why}"));
        }
    }
}

fn unanswered() -> Error {
    let message = "no reconciler answered in time; what was recorded is seen by its next pass: is one running, such as `refit serve`, and does REFIT_WAKE name it, such as REFIT_WAKE=http://127.0.0.1:8080/tick?";
    Error::new(ErrorKind::Unavailable, message)
}

fn obeyed(answer: Answer) -> Result<Obeyed, Failure> {
    let Answer { ok, message, commit } = answer;
    match ok {
        true => Ok(Obeyed { message, commit }),
        false => Err(Failure::new(Exit::Refused, format!("{message}, commit=`{commit}`"))),
    }
}

/// Gives a command to the reconciler of a ledger that exists, and prints what it answers.
pub(crate) async fn run(context: &Context, command: Command, wait: &Wait) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    match opened.obey(context.output, command.clone(), wait, state.seq).await {
        Err(refused) if refused.exit == Exit::Refused => {
            // What is known already will do, if the newest cannot be had: the command has its answer.
            let state = opened.state().await.ok().flatten().unwrap_or(state);
            let exit = if is_of_nothing(&command, &state) { Exit::NotFound } else { Exit::Refused };
            Err(Failure { exit, ..refused })
        }
        obeyed => obeyed,
    }
}

/// Whether there is no such trigger or run as a command names.
fn is_of_nothing(command: &Command, state: &State) -> bool {
    match command {
        Command::Pause { trigger, .. } | Command::Resume { trigger, .. } => {
            !state.triggers.contains_key(trigger)
        }
        Command::Cancel { run } | Command::Settle { run, .. } => state.run_named(run).is_none(),
        Command::Apply { .. } | Command::Dismiss { .. } | Command::Promotion(_) => false,
    }
}

impl fmt::Display for Submitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Some(Obeyed { message, commit }) => write!(f, "{message}, commit=`{commit}`"),
            None => write!(f, "recorded: segment=`{}`", self.segment),
        }
    }
}
