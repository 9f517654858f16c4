//! Who can be told, as it is written.

use refit_core::notice::NoticeKind;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::located::Located;

/// The settings of whoever is told, beside how.
pub(in super::super) const RECEIVER_SETTINGS: &[&str] = &["on", "text"];

/// Somebody to be told: how, of what, and in which words.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in super::super) struct Receiver {
    /// Of what. Default: `failure`, `stuck`, `uncertain`, `budget`, `quarantine`, `requested`, `promoted` and
    /// `refused`; with `events` it is `batch_closed`, `launch`, `success`, `failure`, `cancelled`, `promoted` and
    /// `refused`.
    pub(in super::super) on: Option<Located<Vec<Located<Kind>>>>,
    /// The words for one notice, with CEL in `${ }`: `${ notice.what }: ${ notice.trigger }`. It may look at
    /// `notice`. Default: what happened, with what is known of it.
    pub(in super::super) text: Option<Located<String>>,
}

/// What somebody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Kind {
    /// A batch closed: its members are those of a run.
    BatchClosed,
    /// A service has begun an attempt of a run.
    Launch,
    /// A run succeeded.
    Success,
    /// A run failed or took too long, and nothing more is tried.
    Failure,
    /// A run was cancelled.
    Cancelled,
    /// An attempt has not begun for half an hour, is refused again and again, or takes longer than its trigger
    /// allows; or a pipeline cannot be prepared.
    Stuck,
    /// What became of a start cannot be learned, and a person decides; or a run that was given up appeared late.
    Uncertain,
    /// A batch waits because the budget of runs is used up.
    Budget,
    /// An event could not be understood, by anyone or by a condition of the trigger.
    Quarantine,
    /// A version of a model waits for approval.
    Requested,
    /// A version of a model was given a stage.
    Promoted,
    /// A version of a model goes no further: the gate, a person, its test or the registry was against it.
    Refused,
}

impl Kind {
    pub(in super::super) fn kind(self) -> NoticeKind {
        match self {
            Self::BatchClosed => NoticeKind::BatchClosed,
            Self::Launch => NoticeKind::Launch,
            Self::Success => NoticeKind::Success,
            Self::Failure => NoticeKind::Failure,
            Self::Cancelled => NoticeKind::Cancelled,
            Self::Stuck => NoticeKind::Stuck,
            Self::Uncertain => NoticeKind::Uncertain,
            Self::Budget => NoticeKind::Budget,
            Self::Quarantine => NoticeKind::Quarantine,
            Self::Requested => NoticeKind::Requested,
            Self::Promoted => NoticeKind::Promoted,
            Self::Refused => NoticeKind::Refused,
        }
    }
}
