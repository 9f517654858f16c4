//! Pipeline services: how each is asked to prepare, start, find, follow and cancel a run.
//!
//! An adapter is data: it builds requests and reads answers, and performs nothing. It never retries: what an
//! answer means is said by an [`Outcome`], and the planner decides.
//!
//! A new service is a file with its settings, what its runs are of, and its adapter; and one row in `services!`.

pub mod auth;
pub mod cloud_build;
pub mod cloud_run;
pub mod cloud_run_service;
pub mod endpoint;
pub mod github_actions;
pub mod http;
pub mod kubeflow;
pub mod local;
pub mod mage;
pub mod reference;
pub mod vertex;
pub mod vertex_endpoint;

pub(crate) mod answer;
mod compiled;
mod container;
pub(crate) mod google;
mod pages;

use std::fmt;

use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::ServiceProfile;
use refit_core::run::ExternalRun;
use refit_core::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::{Path, Track};

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

    /// Starts a run, or finds that it was started before. The result is one of [`Outcome::Started`],
    /// [`Outcome::Found`], [`Outcome::NotStarted`], [`Outcome::Rejected`] and [`Outcome::Unclear`].
    fn start(&self, launch: &Launch<'_>) -> Step<Outcome>;

    /// Looks a run up by its key or marker: [`Outcome::Found`], [`Outcome::Absent`], or nothing where the service
    /// could not say. `None` where the service has no look-up.
    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>>;

    /// Asks how a run stands: [`Outcome::Status`], [`Outcome::Vanished`], or nothing where the service could not say. May
    /// clear up what came before a run that has succeeded, where doing it twice is harmless.
    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>>;

    /// Asks a run to end. What came of it is seen by [`PipelineService::status`]; the result says what was wrong
    /// with the request, if anything was. `None` where the service cannot cancel.
    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>>;
}

/// How a kind of service is used, in words: a row of `docs/services.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The class of idempotency; where settings decide, each with its setting.
    pub class: &'static str,
    /// How a run is started.
    pub start: &'static str,
    /// How one is found whose start was not answered.
    pub find: &'static str,
    /// How one is followed.
    pub status: &'static str,
    /// How one is ended.
    pub cancel: &'static str,
    /// What becomes of a run that a person has run again there.
    pub again: &'static str,
    /// How the service could tell that a run ended, which refit does not depend on.
    pub push: &'static str,
    /// The published descriptions that requests and answers are checked against, by file.
    pub specs: &'static [&'static str],
    /// What else shows that a batch is one run, and the tests that do.
    pub proof: &'static str,
}

/// The settings of one kind of service.
trait Settings: Clone + fmt::Debug + DeserializeOwned + JsonSchema {
    /// What a run is of, as a rule says it.
    type Target: DeserializeOwned + JsonSchema;

    /// How it is used, in words.
    const ABOUT: About;

    /// Whether a rule can say that the service may answer steps from its cache.
    const CACHES: bool = false;

    /// The service, or what is wrong with its settings.
    fn open(&self) -> Result<Box<dyn PipelineService>, String>;

    /// What these settings can do less well than it seems.
    fn doubt(&self) -> Option<String> {
        None
    }

    /// What cannot be with these settings.
    fn check(&self, target: &Self::Target) -> Result<(), String>;

    /// What cannot be with the parameters of a run, of which the names are known before their values.
    fn check_parameters(&self, _target: &Self::Target, _names: &[&str]) -> Result<(), String> {
        Ok(())
    }

    /// The same without how one authenticates, which may change while runs are under way.
    fn without_auth(&self) -> Self {
        self.clone()
    }

    /// The hosts that are asked.
    fn hosts(&self) -> Vec<String>;

    /// The folders that runs write to, as URIs, where the settings or the target say so.
    fn outputs(&self, _target: &Self::Target) -> Vec<String> {
        Vec::new()
    }
}

/// Makes the kinds of services from one row each: the variant and the module, which is also the word in a rule file.
macro_rules! services {
    ($($(#[$doc:meta])* $kind:ident: $module:ident,)*) => {
        /// A service in a rule file: one kind, and its settings.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ServiceConfig {
            $($(#[$doc])* $kind(Box<$module::Config>),)*
        }

        impl ServiceConfig {
            /// The kind, as it is written in a rule file.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($module),)*
                }
            }

            /// What the settings can do less well than it seems, if anything.
            #[must_use]
            pub fn doubt(&self) -> Option<String> {
                match self {
                    $(Self::$kind(config) => config.doubt(),)*
                }
            }

            /// Opens the service. Nothing is sent.
            ///
            /// # Errors
            /// Says what is wrong with the settings.
            pub fn open(&self) -> Result<Box<dyn PipelineService>, String> {
                match self {
                    $(Self::$kind(config) => config.open(),)*
                }
            }

            /// Everything it is apart from how one authenticates: settings with the same place are the same service,
            /// which knows the same runs. Compared within a process, never stored.
            #[must_use]
            pub fn place(&self) -> String {
                match self {
                    $(Self::$kind(config) => {
                        format!("{} {:?}", stringify!($module), config.without_auth())
                    })*
                }
            }

            /// Whether a rule can say that the service may answer steps from its cache.
            #[must_use]
            pub fn caches(&self) -> bool {
                match self {
                    $(Self::$kind(_) => <$module::Config as Settings>::CACHES,)*
                }
            }

            /// Checks what a rule says a run is of.
            ///
            /// # Errors
            /// Says what is wrong, and where.
            pub fn check_target(&self, target: &Value) -> Result<(), String> {
                let mut track = Track::new();
                let reader = serde_path_to_error::Deserializer::new(target, &mut track);
                let checked = self.check_target_in(reader);
                checked.map_err(|error| placed(&error, &track.path()))
            }

            /// The same, while it is read from elsewhere.
            ///
            /// # Errors
            /// The reader's, which knows where it is.
            pub fn check_target_in<'de, D: Deserializer<'de>>(
                &self,
                reader: D,
            ) -> Result<(), D::Error> {
                match self {
                    $(Self::$kind(config) => {
                        let target = $module::Target::deserialize(reader)?;
                        config.check(&target).map_err(D::Error::custom)
                    })*
                }
            }

            /// Checks the names of the parameters of a run; a target that cannot be read is not this check's.
            ///
            /// # Errors
            /// Says what is wrong.
            pub fn check_parameters(&self, target: &Value, names: &[&str]) -> Result<(), String> {
                match self {
                    $(Self::$kind(config) => match $module::Target::deserialize(target) {
                        Ok(target) => config.check_parameters(&target, names),
                        Err(_) => Ok(()),
                    })*
                }
            }

            /// The folders that runs of a target write to, as URIs, where that is said; a target that cannot be read
            /// says nothing.
            #[must_use]
            pub fn outputs(&self, target: &Value) -> Vec<String> {
                match self {
                    $(Self::$kind(config) => match $module::Target::deserialize(target) {
                        Ok(target) => config.outputs(&target),
                        Err(_) => Vec::new(),
                    })*
                }
            }

            /// How each kind is used, in words.
            #[must_use]
            pub fn about() -> Vec<(&'static str, About)> {
                vec![$((stringify!($module), <$module::Config as Settings>::ABOUT),)*]
            }

            /// The schemas of what a rule says a run is of, with the kind of service each is for.
            pub fn target_schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
                vec![$((stringify!($module), generator.subschema_for::<$module::Target>()),)*]
            }

            /// The hosts that are asked, without ports.
            #[must_use]
            pub fn hosts(&self) -> Vec<String> {
                match self {
                    $(Self::$kind(config) => config.hosts(),)*
                }
            }
        }
    };
}

services! {
    /// Kubeflow Pipelines.
    Kubeflow: kubeflow,
    /// Vertex AI Pipelines.
    Vertex: vertex,
    /// Endpoints of Vertex AI, to which each run deploys a version of a model.
    VertexEndpoint: vertex_endpoint,
    /// Cloud Build, by its triggers.
    CloudBuild: cloud_build,
    /// Cloud Run jobs.
    CloudRun: cloud_run,
    /// Services of Cloud Run, of which each run is a new revision.
    CloudRunService: cloud_run_service,
    /// GitHub Actions.
    GithubActions: github_actions,
    /// Mage, by API triggers.
    Mage: mage,
    /// Any service that starts runs over HTTP, as the rule file describes it.
    Http: http,
    /// The pipelines `refit dev` runs on this machine.
    Local: local,
}

/// A fault with its place; what is wrong with the whole has none.
fn placed(error: &impl fmt::Display, path: &Path) -> String {
    match path.to_string().as_str() {
        "." => error.to_string(),
        path => format!("{error}: at=`{path}`"),
    }
}

#[cfg(test)]
pub mod exercise;
