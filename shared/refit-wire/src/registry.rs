//! Registries of models: how each is asked for a version, told of one, and told which stage it has.
//!
//! An adapter is data, as that of a pipeline service is: it builds requests and reads answers, and performs nothing.
//! What is done twice there, and how often, is decided by who calls: [`register`] looks before it creates.
//!
//! A new registry is a file with its settings and its adapter, recorded exchanges, and one row in `registries!`.

pub mod local;
pub mod mlflow;
pub mod vertex;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use refit_core::key::RunKey;
use refit_core::plan::RegistryOutcome;
use refit_core::promotion::{Stage, Stages, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::call::Step;
use crate::http::{Failure, Reply};
use crate::pipeline::answer::{self, Fault, Words};

/// A version to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The model.
    pub model: String,
    /// The key of the attempt that made it, by which it is found again.
    pub key: RunKey,
    /// The service's id of that attempt.
    pub external: String,
    /// The trigger.
    pub trigger: String,
    /// The batch, which also names the run.
    pub batch: String,
}

/// What was asked for, or what is said where it was not done: one of [`RegistryOutcome::NotDone`],
/// [`RegistryOutcome::Refused`] and [`RegistryOutcome::Unclear`].
pub type Told<T> = Result<T, RegistryOutcome>;

/// A registry of models.
pub trait ModelRegistry: fmt::Debug + Send + Sync {
    /// Looks a version up by its key; where there are several, the lowest, with the others as its twins. Changes
    /// nothing.
    fn find(&self, wanted: &Registration) -> Step<Told<Option<Version>>>;

    /// Creates a version, without looking whether there is one. Reads come first; the last request alone creates it.
    fn create(&self, wanted: &Registration) -> Step<Told<Version>>;

    /// Who has which stage, with what was measured of it. Changes nothing.
    fn stages(&self, model: &str) -> Step<Told<Stages>>;

    /// Gives a version a stage, whoever has it. Doing so twice is doing so once.
    fn set(&self, model: &str, version: &str, stage: Stage) -> Step<Told<()>>;

    /// Whether a version that is among the stages has its stage in every other way it is given one. Changes nothing.
    fn confirms(&self, _model: &str, _version: &str, _stage: Stage) -> Step<Told<bool>> {
        Step::Done(Ok(true))
    }
}

/// How a kind of registry is used, in words: a row of `docs/registries.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// How a version is registered.
    pub create: &'static str,
    /// How one is found whose registration was not answered.
    pub find: &'static str,
    /// Where what was measured of it is read.
    pub metrics: &'static str,
    /// How it is given a stage.
    pub stage: &'static str,
    /// The published description that requests and answers are checked against, by file.
    pub spec: Option<&'static str>,
    /// The server that the whole way of a version was taken at, where it is not ours.
    pub walked: Option<&'static str>,
}

/// The settings of one kind of registry.
trait Settings: Clone + fmt::Debug + DeserializeOwned + JsonSchema {
    /// How it is used, in words.
    const ABOUT: About;

    /// The registry, or what is wrong with its settings.
    fn open(&self) -> Result<Box<dyn ModelRegistry>, String>;

    /// The same without what may change while versions are on their way, such as how one authenticates.
    fn lasting(&self) -> Self {
        self.clone()
    }

    /// Whether it can have what runs of this kind of service make, as versions of this model.
    fn takes(&self, _service: &str, _model: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Makes the kinds of registries from one row each: the variant and the module, which is also the word in a rule file.
macro_rules! registries {
    ($($(#[$doc:meta])* $kind:ident: $module:ident,)*) => {
        /// A registry of models in a rule file: one kind, and its settings.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum RegistryConfig {
            $($(#[$doc])* $kind(Box<$module::Config>),)*
        }

        impl RegistryConfig {
            /// The kind, as it is written in a rule file.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($module),)*
                }
            }

            /// Opens the registry. Nothing is sent.
            ///
            /// # Errors
            /// Says what is wrong with the settings.
            pub fn open(&self) -> Result<Box<dyn ModelRegistry>, String> {
                match self {
                    $(Self::$kind(config) => config.open(),)*
                }
            }

            /// Everything it is apart from what may change, such as how one authenticates: settings with the same
            /// place are the same registry. Compared within a process, never stored.
            #[must_use]
            pub fn place(&self) -> String {
                match self {
                    $(Self::$kind(config) => {
                        format!("{} {:?}", stringify!($module), config.lasting())
                    })*
                }
            }

            /// Whether it can have what runs of this kind of service make, as versions of this model.
            ///
            /// # Errors
            /// Says why not.
            pub fn takes(&self, service: &str, model: &str) -> Result<(), String> {
                match self {
                    $(Self::$kind(config) => config.takes(service, model),)*
                }
            }

            /// How each kind is used, in words.
            #[must_use]
            pub fn about() -> Vec<(&'static str, About)> {
                vec![$((stringify!($module), <$module::Config as Settings>::ABOUT),)*]
            }
        }
    };
}

registries! {
    /// The registry `refit dev` has on this machine.
    Local: local,
    /// The model registry of MLflow.
    Mlflow: mlflow,
    /// The model registry of Vertex AI.
    Vertex: vertex,
}

/// Registers a version, unless the registry has it already: the lowest of those with its key.
#[must_use]
pub fn register(registry: &Arc<dyn ModelRegistry>, wanted: &Registration) -> Step<RegistryOutcome> {
    let (creator, missing) = (Arc::clone(registry), wanted.clone());
    let found = sought(registry, wanted).then(move |told| match told {
        Ok((Some(version), stages)) => Step::Done(Ok((version, stages))),
        Ok((None, stages)) => {
            creator.create(&missing).then(|told| Step::Done(told.map(|version| (version, stages))))
        }
        Err(outcome) => Step::Done(Err(outcome)),
    });
    found.then(|told| Step::Done(told.map_or_else(|outcome| outcome, registered)))
}

/// Whether the registry has a version; nothing where it could not say.
#[must_use]
pub fn look_up(
    registry: &Arc<dyn ModelRegistry>,
    wanted: &Registration,
) -> Step<Option<RegistryOutcome>> {
    sought(registry, wanted).then(|told| {
        Step::Done(match told {
            Ok((Some(version), stages)) => Some(registered((version, stages))),
            Ok((None, _)) => Some(RegistryOutcome::Absent),
            Err(_) => None,
        })
    })
}

/// Gives a version a stage, and sees whether it has it.
#[must_use]
pub fn enter(
    registry: &Arc<dyn ModelRegistry>,
    (model, version, stage): (&str, &str, Stage),
) -> Step<RegistryOutcome> {
    let reader = Arc::clone(registry);
    let (model_, version_) = (model.to_owned(), version.to_owned());
    let set = registry.set(model, version, stage).and_then(move |()| {
        has_stage(&reader, (&model_, &version_, stage)).then(|seen| {
            let unseen = "the registry does not say that it has its stage";
            let unclear = || RegistryOutcome::Unclear(unseen.to_owned());
            let seen = seen.filter(|outcome| *outcome == RegistryOutcome::Entered);
            Step::Done(Ok(seen.unwrap_or_else(unclear)))
        })
    });
    set.then(|told| Step::Done(told.unwrap_or_else(|outcome| outcome)))
}

/// Whether a version has a stage; nothing where the registry could not say.
#[must_use]
pub fn has_stage(
    registry: &Arc<dyn ModelRegistry>,
    (model, version, stage): (&str, &str, Stage),
) -> Step<Option<RegistryOutcome>> {
    let reader = Arc::clone(registry);
    let (name, version) = (model.to_owned(), version.to_owned());
    let has = registry.stages(model).and_then(move |stages| {
        match stages.get(&stage).is_some_and(|held| held.name == version) {
            true => reader.confirms(&name, &version, stage),
            false => Step::Done(Ok(false)),
        }
    });
    has.then(|told| {
        Step::Done(told.ok().map(|has| match has {
            true => RegistryOutcome::Entered,
            false => RegistryOutcome::Absent,
        }))
    })
}

fn registered((version, stages): (Version, Stages)) -> RegistryOutcome {
    RegistryOutcome::Registered { version, stages }
}

/// A version by its key, and who has which stage.
fn sought(
    registry: &Arc<dyn ModelRegistry>,
    wanted: &Registration,
) -> Step<Told<(Option<Version>, Stages)>> {
    let (finder, wanted) = (Arc::clone(registry), wanted.clone());
    let model = wanted.model.clone();
    registry.stages(&model).and_then(move |stages| {
        finder.find(&wanted).and_then(move |version| Step::Done(Ok((version, stages))))
    })
}

/// What a fault of a read means: nothing was done.
fn unread(fault: Fault) -> RegistryOutcome {
    match fault {
        Fault::Throttled { after, message } => RegistryOutcome::NotDone { after, message },
        // 409: somebody else writes at this moment.
        Fault::Refused { status: 409, message }
        | Fault::Unauthorized(message)
        | Fault::Unavailable(message) => RegistryOutcome::NotDone { after: None, message },
        Fault::Refused { message, .. } => RegistryOutcome::Refused(message),
        Fault::Missing => {
            RegistryOutcome::NotDone { after: None, message: Fault::Missing.to_string() }
        }
    }
}

/// Reads the answer to something that changes the registry.
fn written(reply: Reply, words: Words) -> Told<Value> {
    match &reply {
        Err(Failure::NotSent(message)) => {
            return Err(RegistryOutcome::NotDone { after: None, message: message.clone() });
        }
        Err(Failure::Unclear(message)) => return Err(RegistryOutcome::Unclear(message.clone())),
        Ok(_) => {}
    }
    answer::read(reply, words).map_err(|fault| match fault {
        Fault::Unavailable(message) => RegistryOutcome::Unclear(message),
        Fault::Missing => RegistryOutcome::Refused(fault.to_string()),
        Fault::Refused { .. } | Fault::Unauthorized(_) | Fault::Throttled { .. } => unread(fault),
    })
}

/// The numbers among these values.
fn numbers<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> BTreeMap<String, Number> {
    let number = |(name, value): (&str, &Value)| match value {
        Value::Number(number) => Some((name.to_owned(), number.clone())),
        _ => None,
    };
    values.filter_map(number).collect()
}

/// The lowest of versions, by number where they have one, with the others as its twins.
fn lowest(mut versions: Vec<Version>) -> Option<Version> {
    versions
        .sort_by_key(|version| (version.name.parse().unwrap_or(u64::MAX), version.name.clone()));
    let mut versions = versions.into_iter();
    let first = versions.next()?;
    let twins = versions.map(|version| version.name).collect();
    Some(Version { twins, ..first })
}
