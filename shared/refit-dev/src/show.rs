//! Looks at the ledger and at the local pipeline service, and tells what has changed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use refit_core::commit::{Change, Commit, RunChange};
use refit_core::error::Error;
use refit_core::event::{Event, Fact};
use refit_core::key::RunKey;
use refit_core::promotion::{Promotion, PromotionChange, PromotionPhase};
use refit_core::state::State;
use refit_core::time::Span;
use refit_engine::explain::{Verdict, batch_of, verdicts};
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::port::Clock;
use refit_engine::record::read_segment;
use tokio::sync::watch;

use crate::news::{News, Teller};
use crate::pipelines::{self, Pipelines};

/// How often the log is looked at.
const LOOK_EVERY: Span = Span::from_millis(200);
/// Runs of the local pipeline service that are looked at, newest first.
const RUNS_MAX: usize = 20;

/// Tells what happens.
pub struct Observer {
    ledger: Ledger,
    state: State,
    pipelines: Arc<Pipelines>,
    runs: BTreeMap<RunKey, pipelines::Run>,
    clock: Arc<dyn Clock>,
    teller: Teller,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("commit", &self.state.seq).finish_non_exhaustive()
    }
}

impl Observer {
    /// An observer that tells what comes after this state of the ledger.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        state: State,
        pipelines: &Arc<Pipelines>,
        clock: &Arc<dyn Clock>,
        teller: Teller,
    ) -> Self {
        let runs = pipelines.runs(RUNS_MAX).into_iter().map(|run| (run.id, run)).collect();
        let (pipelines, clock) = (Arc::clone(pipelines), Arc::clone(clock));
        Self { ledger, state, pipelines, runs, clock, teller }
    }

    /// Observes until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        self.tell_waiting(|_, _| true);
        let mut changes = self.pipelines.watch();
        while !*stop.borrow() {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the log cannot be looked at; it is again");
            }
            tokio::select! {
                () = self.clock.sleep(LOOK_EVERY) => {}
                // The sender lives as long as the service, which is ours as well.
                _ = changes.changed() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        self.look_at_runs();
        for commit in self.ledger.follow(&mut self.state).await? {
            self.tell_refused(&commit).await?;
            commit.changes.into_iter().for_each(|change| self.tell_change(change));
        }
        Ok(())
    }

    fn look_at_runs(&mut self) {
        // Oldest first, as it happened.
        for run in self.pipelines.runs(RUNS_MAX).into_iter().rev() {
            if self.runs.insert(run.id, run.clone()).as_ref() != Some(&run) {
                self.teller.tell(News::Progressed(Box::new(run)));
            }
        }
    }

    async fn tell_refused(&self, commit: &Commit) -> Result<(), Error> {
        for (number, name) in (0..).zip(&commit.segments) {
            let body = self.ledger.store().get(&layout::segment_object(name)).await?;
            let events = body.and_then(|body| read_segment(name, &body).ok()).unwrap_or_default();
            for (place, event) in (0..).zip(events) {
                let verdicts = verdicts(commit, number, place).into_iter();
                let refused = verdicts.filter(|it| matches!(it, Verdict::Refused { .. }));
                refused.for_each(|verdict| self.tell_verdict(&event, verdict));
            }
        }
        Ok(())
    }

    fn tell_verdict(&self, event: &Event, verdict: Verdict) {
        let event = match &event.fact {
            Fact::Command(_) => return,
            Fact::Object(change) => change.object.uri(),
            _ => event.id().to_string(),
        };
        self.teller.tell(News::Refused { event, verdict });
    }

    fn tell_change(&self, change: Change) {
        let Some(batch) = batch_of(&change) else { return };
        let is_end = matches!(&change, Change::Run { change: RunChange::Finished(_), .. });
        let asked = match &change {
            Change::Promotion { model, run, change: PromotionChange::Requested { .. } } => {
                Some((model.clone(), *run))
            }
            _ => None,
        };
        let trouble = self.state.trouble_of(batch).map(|trouble| trouble.message.clone());
        self.teller.tell(News::Changed { batch, change: Box::new(change), trouble });
        if let Some(run) = self.state.runs.get(&batch).filter(|_| is_end) {
            self.teller.tell(News::Over(Box::new(run.clone())));
        }
        if let Some((model, run)) = asked {
            self.tell_waiting(|of, promotion| *of == model && promotion.run == run);
        }
    }

    /// Tells which of these versions wait for somebody.
    fn tell_waiting(&self, is_meant: impl Fn(&String, &Promotion) -> bool) {
        for (model, known) in &*self.state.models {
            let waiting = known.promotions.values().filter(|promotion| {
                promotion.phase == PromotionPhase::Requested && is_meant(model, promotion)
            });
            for version in waiting.filter_map(Promotion::name) {
                let (model, version) = (model.clone(), version.to_owned());
                self.teller.tell(News::Waits { model, version });
            }
        }
    }
}
