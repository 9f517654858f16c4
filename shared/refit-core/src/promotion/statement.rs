//! What a person says of a version.

use serde::{Deserialize, Serialize};

use super::Stage;

/// What the name of a person begins with who is known by an account at GitHub alone.
pub const GITHUB: &str = "github:";
/// The name of whoever may write to a registry of MLflow, which does not say who did.
pub const MLFLOW: &str = "mlflow:anybody";
/// Bytes of the name of a person, or of a reason.
pub const WORDS_BYTES_MAX: usize = 1000;

/// What a person says of a version of a model. Who may write to the ledger may say it in any name: the name is a
/// statement of whoever writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The model.
    pub model: String,
    /// The registry's name of the version; of a rollback, the one that is to leave production.
    pub version: String,
    /// What is said.
    pub says: Says,
    /// The stage it is about; where it is left out, the one that comes next or is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The request it is about, counted from 1; where it is left out, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// Who says it: a name, or an account such as `github:octocat` or [`MLFLOW`], which is nobody unless the rule names
    /// it.
    pub person: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Statement {
    /// Whether who says it is known by an account alone.
    #[must_use]
    pub fn is_of_account(&self) -> bool {
        self.person.starts_with(GITHUB) || self.person == MLFLOW
    }
}

/// What can be said of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It is to have a stage.
    Request,
    /// It may have the stage that is asked for.
    Approve,
    /// It is to have no stage.
    Reject,
    /// The version that was in production before is to be so again.
    Rollback,
}
