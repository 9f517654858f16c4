//! Deliberate breakages of the protocol, and the scope in which each is looked for.

use refit_core::mutant::Mutant;
use refit_core::rules::{Idempotency, Overlap};

use crate::explore::{Limits, Report, explore};
use crate::scope::Scope;

/// Mutants the model kills within a few seconds.
pub const QUICK: &[Mutant] = &[
    Mutant::AcknowledgeBeforeDurable,
    Mutant::AcknowledgeByOwnClock,
    Mutant::WatermarkNewestName,
    Mutant::WatermarkPastUnread,
    Mutant::WatermarkWithoutMargin,
    Mutant::ManifestNamedByBatch,
    Mutant::MembersByTimeWindow,
    Mutant::MembersMovedNowhere,
    Mutant::IdentitiesNotInCommit,
    Mutant::LostMeansOurs,
    Mutant::NoAnswerMeansWon,
    Mutant::LoserActs,
    Mutant::ForeignNotFolded,
    Mutant::CallWithoutIntent,
    Mutant::AnyoneCalls,
    Mutant::CallAfterLease,
    Mutant::RelaunchWithoutLookUp,
    Mutant::LeaseByOwnClock,
    Mutant::AbandonAtFirstLookUp,
    Mutant::LookUpsTooClose,
    Mutant::OldAnswerBelieved,
    Mutant::LateTwinLeft,
    Mutant::SameKeyAgain,
    Mutant::RetryReusesKey,
    Mutant::ForbidDropsMembers,
    Mutant::BudgetCountsTwice,
    Mutant::BudgetIgnoresRetries,
    Mutant::CooldownIgnored,
    Mutant::SuccessorStartsEarly,
];

/// The scope a mutant is looked for in; none where it breaks something that is not modelled.
#[must_use]
pub fn scope_of(mutant: Mutant) -> Option<Scope> {
    let one = |class| Scope { mutant: Some(mutant), ..Scope::new(1, 1, class) };
    let [a, b] = [one(Idempotency::A), one(Idempotency::B)];
    let two = Scope { events: 2, ..a };
    let scope = match mutant {
        Mutant::AcknowledgeBeforeDurable
        | Mutant::WatermarkWithoutMargin
        | Mutant::ManifestNamedByBatch
        | Mutant::MembersByTimeWindow
        | Mutant::BudgetCountsTwice => a,
        Mutant::AcknowledgeByOwnClock => Scope { skew: true, ..a },
        Mutant::WatermarkNewestName => Scope { skew: true, crashes: false, errors: false, ..two },
        Mutant::WatermarkPastUnread => Scope { cuts: true, crashes: false, errors: false, ..two },
        Mutant::IdentitiesNotInCommit => Scope { deliveries: 2, ..a },
        Mutant::LostMeansOurs
        | Mutant::NoAnswerMeansWon
        | Mutant::LoserActs
        | Mutant::ForeignNotFolded
        | Mutant::CallWithoutIntent
        | Mutant::AnyoneCalls
        | Mutant::CallAfterLease
        | Mutant::RelaunchWithoutLookUp
        | Mutant::LeaseByOwnClock
        | Mutant::AbandonAtFirstLookUp
        | Mutant::LookUpsTooClose
        | Mutant::SameKeyAgain => b,
        Mutant::OldAnswerBelieved => Scope { refusals: true, ..b },
        Mutant::LateTwinLeft => Scope { ticks: 2, late: true, crashes: false, errors: false, ..b },
        Mutant::RetryReusesKey => Scope { attempts: 2, ..a },
        Mutant::BudgetIgnoresRetries => Scope { attempts: 2, budget: 1, ..a },
        Mutant::ForbidDropsMembers => two,
        Mutant::CooldownIgnored => Scope { cooldown: 3, ..two },
        Mutant::SuccessorStartsEarly | Mutant::MembersMovedNowhere => {
            Scope { overlap: Overlap::Replace, ..two }
        }
        _ => return None,
    };
    Some(scope)
}

/// Explores a mutant until something is seen to be wrong, or a limit is met; none where it is not modelled.
#[must_use]
pub fn kill(mutant: Mutant, limits: Limits) -> Option<Report> {
    scope_of(mutant).map(|scope| explore(scope, limits))
}
