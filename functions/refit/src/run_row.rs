//! A run as it is listed.

use refit_core::run::{Attempt, Phase, Run};
use refit_core::state::BatchId;
use refit_core::time::Timestamp;
use serde::Serialize;

use crate::output::table;
use crate::words::{about, or_dash};

/// A run as it is listed: where its newest attempt stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunRow {
    /// The batch, which also names the run.
    pub(crate) run: BatchId,
    /// Its trigger.
    pub(crate) trigger: String,
    /// The key of the batch, where its rule has one.
    pub(crate) batch_key: String,
    /// Where its newest attempt stands.
    pub(crate) phase: Phase,
    /// Whether nothing more comes of it.
    pub(crate) is_over: bool,
    /// The number of its newest attempt.
    pub(crate) attempt: u32,
    /// The key its newest attempt is started under.
    pub(crate) key: String,
    /// Members it was given.
    pub(crate) members: u64,
    /// Their bytes, where known.
    pub(crate) bytes: u64,
    /// The manifest, by its name in the ledger.
    pub(crate) manifest: String,
    /// The service, by name.
    pub(crate) service: String,
    /// The service's id of it.
    pub(crate) id: Option<String>,
    /// Where a person can look at it.
    pub(crate) url: Option<String>,
    /// When its newest attempt was intended.
    pub(crate) intended_at: Timestamp,
    /// When its newest attempt was known to be started.
    pub(crate) started_at: Option<Timestamp>,
    /// When its newest attempt was seen to have ended.
    pub(crate) ended_at: Option<Timestamp>,
    /// The newest word on it.
    pub(crate) message: Option<String>,
}

impl RunRow {
    /// The row of a run.
    pub(crate) fn of(run: &Run) -> Self {
        let Attempt { number, key, phase, external, started_at, ended_at, message, .. } =
            run.attempt().clone();
        let (id, url) = external.map(|external| (external.id, external.url)).unzip();
        Self {
            run: run.batch,
            trigger: run.trigger.clone(),
            batch_key: run.key.clone(),
            phase: run.finished.map_or(phase, |finished| finished.phase),
            is_over: !run.is_active(),
            attempt: number,
            key: key.to_string(),
            members: run.facts.count,
            bytes: run.facts.bytes,
            manifest: run.manifest.clone(),
            service: run.service.clone(),
            id,
            url: url.flatten(),
            intended_at: run.attempt().intended_at,
            started_at,
            ended_at,
            message,
        }
    }

    /// How long its newest attempt has taken.
    fn took(&self, now: Timestamp) -> Option<String> {
        let end = self.ended_at.or_else(|| (!self.is_over).then_some(now));
        Some(about(end?.since(self.started_at?)))
    }
}

/// The rows of runs, one per line.
pub(crate) fn runs_table(rows: &[RunRow], now: Timestamp) -> String {
    let head = [
        "RUN", "TRIGGER", "PHASE", "ATTEMPT", "MEMBERS", "INTENDED", "TOOK", "SERVICE", "ID",
        "WORD",
    ];
    let cells = rows.iter().map(|row| {
        [
            row.run.to_string(),
            row.trigger.clone(),
            row.phase.text().replace(' ', "-"),
            row.attempt.to_string(),
            row.members.to_string(),
            row.intended_at.to_string(),
            or_dash(row.took(now)),
            row.service.clone(),
            or_dash(row.url.as_ref().or(row.id.as_ref())),
            or_dash(row.message.as_deref().map(one_line)),
        ]
    });
    table(head, cells)
}

/// A service's word, which may be many.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
