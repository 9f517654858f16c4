//! Changes of triggers, batches and attempts in words.

use refit_core::commit::{AttemptChange, BatchChange, TriggerChange};
use refit_core::memory::{Fresh, StoredRun};
use refit_core::state::BatchId;

use crate::models::entry_text;
use crate::world::{hour, snake};

/// The entries of a run of the memory, as it was stored.
pub(crate) fn stored_run(body: &[u8]) -> Fresh {
    let run: StoredRun = serde_json::from_slice(body).expect("a run is stored as it is read");
    run.entries
}

pub(crate) fn batch_text(batch: BatchId, change: &BatchChange) -> Option<String> {
    Some(match change {
        BatchChange::Joined { .. } => return None,
        BatchChange::Merged(_) => format!("{batch} merged"),
        BatchChange::Sealed(why) => format!("{batch} sealed: {}", snake(why)),
        BatchChange::Asked => format!("{batch} asks"),
        BatchChange::Answered => format!("{batch} may go on"),
        BatchChange::Holding(held) => {
            let until = held.until.map_or(String::new(), |until| format!(" until {}", hour(until)));
            format!("{batch} held: {}{until}", snake(&held.reason))
        }
        BatchChange::Troubled(trouble) => format!("{batch} in trouble: {}", trouble.message),
        BatchChange::Discarded => format!("{batch} dropped: discarded"),
        BatchChange::Emptied => format!("{batch} dropped: empty"),
        BatchChange::MovedTo(to) => format!("{batch} moved to {to}"),
    })
}

pub(crate) fn attempt_text(change: &AttemptChange) -> String {
    match change {
        AttemptChange::Intended { .. } => "intended".into(),
        AttemptChange::Retaken => "intended again".into(),
        AttemptChange::Postponed { until, .. } => format!("postponed until {}", hour(*until)),
        AttemptChange::Unclear(_) => "unclear".into(),
        AttemptChange::Started { created: true, .. } => "started".into(),
        AttemptChange::Started { created: false, .. } => "adopted".into(),
        AttemptChange::LookedUp => "not found".into(),
        AttemptChange::Abandoned(_) => "abandoned".into(),
        AttemptChange::Uncertain(_) => "uncertain".into(),
        AttemptChange::Progressed { phase, .. } => phase.text().into(),
        AttemptChange::Ended { phase, .. } => format!("ended: {}", phase.text()),
        AttemptChange::Reopened(external) => format!("reopened: {}", external.id),
        AttemptChange::LateTwin(_) => "late twin".into(),
        AttemptChange::Claimed { external, .. } => format!("claimed: {}", external.id),
        AttemptChange::ClaimUnknown(why) => format!("claim unknown: {why}"),
        AttemptChange::Unwatched => "unwatched".into(),
        AttemptChange::Stuck(message) => format!("stuck: {message}"),
    }
}

pub(crate) fn trigger_text(trigger: &str, change: &TriggerChange) -> Option<String> {
    match change {
        TriggerChange::Troubled(trouble) => {
            Some(format!("{trigger} troubled: {} until {}", trouble.message, hour(trouble.until)))
        }
        TriggerChange::Untroubled => Some(format!("{trigger} no longer troubled")),
        TriggerChange::Scheduled { schedule, from } => {
            Some(format!("{trigger} begins at {}: {schedule}", hour(*from)))
        }
        TriggerChange::Unscheduled(schedule) => Some(format!("{trigger} ends: {schedule}")),
        TriggerChange::Fired { firing, batch } => {
            Some(format!("{trigger} {} -> {batch}", firing.slot.civil))
        }
        TriggerChange::Passed { firing, reason, .. } => {
            Some(format!("{trigger} {} passed: {}", firing.slot.civil, snake(reason)))
        }
        TriggerChange::Missed { after, until, .. } => {
            Some(format!("{trigger} missed after {} before {}", hour(*after), hour(*until)))
        }
        TriggerChange::Staged { entry, batch } => {
            Some(format!("{trigger} {} -> {batch}", entry_text(entry)))
        }
        TriggerChange::StagePassed { entry, reason, .. } => {
            Some(format!("{trigger} {} passed: {}", entry_text(entry), snake(reason)))
        }
        TriggerChange::Paused(_)
        | TriggerChange::Resumed
        | TriggerChange::Streak { .. }
        | TriggerChange::StreakForgotten(_)
        | TriggerChange::LaunchesForgotten(_) => None,
    }
}
