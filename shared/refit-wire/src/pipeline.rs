//! Pipeline services: how each is asked to prepare, start, find, follow and cancel a run.
//!
//! An adapter is data: it builds requests and reads answers, and performs nothing. It never retries: what an
//! answer means is said by an [`Outcome`], and the planner decides.

use std::fmt;

use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::ServiceProfile;
use refit_core::run::ExternalRun;
use refit_core::time::Timestamp;
use serde_json::Value;

use crate::call::{Call, Step};

/// One attempt to be started.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The identity it is started under.
    pub key: RunKey,
    /// The trigger.
    pub trigger: &'a str,
    /// The batch, which also names the run.
    pub batch: &'a str,
    /// What to run: [`Prepared::target`], as it was when the batch closed.
    pub target: &'a Value,
    /// The parameters: an object.
    pub parameters: &'a Value,
    /// Whether the service may answer steps from its cache.
    pub cache: bool,
    /// When the attempt was first intended: nothing of it is older.
    pub since: Timestamp,
}

/// A service that runs pipelines.
pub trait PipelineService: fmt::Debug + Send + Sync {
    /// What the planner must know of it.
    fn profile(&self) -> ServiceProfile;

    /// Resolves what a rule names to what can be started: ids, a pinned version, declared parameters. May create
    /// what a run needs around it, such as an experiment, where creating it twice is harmless.
    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>>;

    /// Starts a run. The result is one of [`Outcome::Started`], [`Outcome::NotStarted`], [`Outcome::Rejected`] and
    /// [`Outcome::Unclear`].
    fn start(&self, launch: &Launch<'_>) -> Step<Outcome>;

    /// Looks a run up by its key or marker: [`Outcome::Found`], [`Outcome::Absent`], or nothing where the service
    /// could not say. `None` where the service has no look-up.
    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>>;

    /// Asks how a run stands: [`Outcome::Status`], [`Outcome::Vanished`], or nothing where the service could not say.
    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>>;

    /// Asks a run to end. What came of it is seen by [`PipelineService::status`]; the result says what was wrong
    /// with the request, if anything was. `None` where the service cannot cancel.
    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>>;
}
