//! What becomes of models, as it is written.

use std::collections::BTreeMap;

use refit_core::promotion::Stage as StageName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::located::{Located, Named};
use super::Duration;
use crate::pipeline::auth::SecretRef;
use crate::pipeline::endpoint::Endpoint;

/// Versions of a model that are given a stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct OnModel {
    /// The model, by the name a trigger promotes it under.
    #[schemars(required)]
    pub(in super::super) model: Option<Located<String>>,
    /// The stage.
    #[schemars(required)]
    pub(in super::super) stage: Option<Located<Stage>>,
}

/// A stage of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Stage {
    /// Where a version is tested.
    Staging,
    /// Where a version is used.
    Production,
}

/// What becomes of the models that runs make: each is registered, and goes through its stages.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Promote {
    /// The registry, by its name under `registries`.
    #[schemars(required)]
    pub(in super::super) registry: Option<Located<String>>,
    /// The model, by the registry's name of it.
    #[schemars(required)]
    pub(in super::super) model: Option<Located<String>>,
    /// What must be measured of a version, by metric; one that was not measured is not good enough. Default: nothing.
    #[schemars(with = "Option<BTreeMap<String, Limits>>")]
    pub(in super::super) gate: Option<Located<Named<Limits>>>,
    /// Who asks for the stages: the rule, or a person by `refit request`. Default: `automatic`.
    pub(in super::super) request: Option<Located<Asking>>,
    /// What staging takes. Default: no approval.
    pub(in super::super) staging: Option<Located<StageRule>>,
    /// The trigger that tests what is in staging: one with `on: { model: … }`. Only what its run succeeds with may go
    /// to production. Default: nothing is tested.
    pub(in super::super) acceptance: Option<Located<String>>,
    /// What production takes. Default: one approval.
    pub(in super::super) production: Option<Located<StageRule>>,
    /// Who may approve, by name: those, and nobody else. Default: everybody who may write to the ledger.
    #[schemars(with = "Option<BTreeMap<String, Approver>>")]
    pub(in super::super) approvers: Option<Located<Named<Approver>>>,
}

/// By what somebody is known who may approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Approver {
    /// The login at GitHub, whose comments and tags then count.
    pub(in super::super) github: Option<Located<String>>,
    /// The receiver under `notify` that nobody else reads: what waits for approval is told there with a link, by which
    /// whoever has it answers in this name.
    pub(in super::super) receiver: Option<Located<String>>,
    /// Whether a tag `refit-approve` or `refit-reject` on a version at MLflow, or an alias of that name, is said in this
    /// name: whoever may write to the registry can set it. Default: `false`.
    pub(in super::super) mlflow: Option<Located<bool>>,
}

/// Links by which persons answer what waits for their approval.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Links {
    /// Where `hook` is, such as `https://hook.acme.example`.
    #[schemars(required)]
    pub(in super::super) url: Option<Located<Endpoint>>,
    /// Where the secret is kept that links are signed with, of 32 bytes at the least; `hook` has the same as
    /// `REFIT_HOOK_LINK`, and no other ledger has it.
    #[schemars(required)]
    pub(in super::super) secret: Option<Located<SecretRef>>,
    /// How long a link holds, from 5m to 30d. Default: `3d`.
    pub(in super::super) valid: Option<Located<Duration>>,
}

/// The limits of a metric; all that are given must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Limits {
    /// It must not be less.
    pub(in super::super) min: Option<Located<f64>>,
    /// It must not be more.
    pub(in super::super) max: Option<Located<f64>>,
    /// It must not be less than in production by more than this. As long as nothing is in production, it holds.
    pub(in super::super) drop: Option<Located<f64>>,
    /// It must not be more than in production by more than this. As long as nothing is in production, it holds.
    pub(in super::super) rise: Option<Located<f64>>,
}

/// Who asks for the stages of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Asking {
    /// The rule, as soon as it may.
    Automatic,
    /// A person.
    Manual,
}

/// What a stage takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct StageRule {
    /// Persons who must approve, from 0 to 20.
    pub(in super::super) approvals: Option<Located<u32>>,
    /// Whether only those count who neither asked for it nor had a say before. A rollback then takes another person as
    /// well. Default: `false`.
    pub(in super::super) four_eyes: Option<Located<bool>>,
}

impl Stage {
    pub(in super::super) fn name(self) -> StageName {
        match self {
            Self::Staging => StageName::Staging,
            Self::Production => StageName::Production,
        }
    }
}
