//! Deliberate breakages of the protocol, so that its checks can be checked.
//!
//! The feature `mutants` compiles them in; nothing that is shipped turns it on, and even then none is active until
//! a test says so. A check that no mutant can fail is not a check.

/// Declares the mutants with what each does wrong.
macro_rules! mutants {
    ($($variant:ident => $text:literal,)*) => {
        /// A deliberate breakage.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $(#[doc = $text] $variant,)*
        }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What it does wrong.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

mutants! {
    AcknowledgeBeforeDurable => "acknowledges an event although its segment may not be stored",
    AcknowledgeByOwnClock => "acknowledges a segment named by a clock that is wrong",
    WatermarkNewestName => "takes the newest name seen for the watermark",
    WatermarkPastUnread => "moves the watermark past segments it left unread",
    WatermarkWithoutMargin => "lists from the watermark itself",
    ManifestNamedByBatch => "names a manifest by its batch, not by its content",
    MembersByTimeWindow => "closes a batch with what had arrived before, not with what joined",
    MembersMovedNowhere => "forgets the members of a run that is replaced",
    IdentitiesNotInCommit => "keeps the identities of a commit in the process only",
    IdentitiesForgottenEarly => "forgets identities after a minute",
    SnapshotTrustedBlindly => "takes a snapshot for what its name says",
    LostMeansOurs => "takes a commit that exists for its own",
    NoAnswerMeansWon => "takes a commit without an answer for written",
    LoserActs => "makes the calls of a commit that lost",
    ForeignNotFolded => "goes on after a foreign commit without folding it",
    CallWithoutIntent => "makes the calls of a commit before it is written",
    ServiceInForceAsked => "asks the service of the rules in force for a run of another place",
    AnyoneCalls => "makes the call of an intent that another process wrote",
    CallAfterLease => "sends a start call although its lease is over",
    RelaunchWithoutLookUp => "takes a run for absent without looking it up",
    LeaseByOwnClock => "takes a lease for over by its own clock",
    AbandonAtFirstLookUp => "gives a key up after one look-up that found nothing",
    LookUpsTooClose => "counts a second look-up that found nothing however soon it follows the first",
    OldAnswerBelieved => "takes the answer to an earlier call for the answer to a later one",
    OldEndBelieved => "takes what a service said of a run before it was reopened for what it says now",
    ReopenedBesideOthers => "lets a run that its service starts again go on beside another that it may not overlap",
    LateTwinLeft => "leaves a late twin running that it has seen",
    SameKeyAgain => "starts again under the same key where that does harm",
    RetryReusesKey => "retries a run under the key of the attempt that failed",
    LogDeleted => "deletes names in the log, and commits from a state of any age",
    ForbidDropsMembers => "drops a batch that is held by an active run",
    BudgetCountsTwice => "counts every launch twice",
    BudgetForgottenWithTrigger => "forgets what a trigger launched, and its pause, when it is taken out of the rules",
    BlindRelaunches => "starts again and again although no start can be found",
    SameBytesForgotten => "refuses the same bytes without noting which generation has them now",
    DeletedBytesRemembered => "refuses the same bytes although they were deleted meanwhile",
    ReplacementForgotten => "starts a batch before it has taken over the members of the run that is ended for it",
    ReplacesEveryKey => "replaces runs of other keys, and mixes their members",
    ApplyOverlooksRuns => "starts by new rules what waited for an active run under the old",
    BudgetIgnoresRetries => "starts retries without looking at the budget",
    CooldownIgnored => "launches without looking at the cooldown",
    SuccessorStartsEarly => "starts a replacing run once the old one was asked to end",
    ApplyStartsRuns => "starts what becomes due because rules were applied",
    RowGoesOn => "goes on counting a row of reports after one without drift",
    ScheduleFiresTwice => "acts on a civil time again when the clock repeats it",
    ScheduleFiresForThePast => "acts on times of a schedule before it was applied",
    ReplayReachesOthers => "judges what is replayed for one trigger by all of them",
    ReplayedTwice => "takes what was replayed for a trigger before for it again",
    RestorationIgnored => "takes events that a restored ledger may have forgotten",
    RestorationUnseen => "goes on from what it has seen where the log under it was replaced by a copy",
    NamesComeAgain => "starts runs of a restored ledger under keys the lost log has used",
    LetterSentUnsealed => "sends a letter before a commit says that nothing more goes into it",
    SweptBeforeTrigger => "lets a trigger have what a sweep finds and is older than the trigger",
    SegmentsDeletedUnread => "deletes segments by their age, read or not",
    NoticeForgotten => "makes a transition without telling those who want to know",
    NoticeForgottenUndelivered => "takes a letter for delivered that was not",
    NoticeTwiceUnderTwoIds => "tells again what was not delivered, as if it were something else",
    NoticeIdsComeAgain => "tells that a version goes no further under the id of an earlier time it did not",
    ApprovalCountsTwice => "counts a person who approves twice for two",
    OneForTheOther => "counts the approval of who asked for it where four eyes are needed",
    AnybodyApproves => "counts the approval of somebody the rule does not name",
    EarlierRequestApproved => "takes what is said of an earlier request for the newest",
    PromotedUntested => "lets a version go on although its acceptance test has not ended",
    TwoEnterAtOnce => "gives a stage of a model to a version while another is being given one",
    TestsCutShort => "lets a rule put a version in staging while another one is tested there",
    GateJudgedOnce => "lets into production what its gate was asked of before a better one was there",
    RollbackOfAnother => "lets a rollback take production from a version that it does not name",
    RegisteredWithoutLookUp => "registers a version again without looking whether it is registered",
    ClaimUnread => "takes the end of a run for that of the batch, whoever made the claim",
    TwinEndedUnclaimed => "ends a late twin although it may be the one that makes the claim",
    OneHoldsAll => "holds all batches of a trigger where one cannot be started as it is",
    RemovedTriggersForget => "forgets what the rules said of a run whose trigger is taken out of them",
    AppliedRulesPromote => "lets rules that are applied ask for stages, and grant what was asked for under stricter ones",
    PartsDeletedWhileHeld => "deletes parts of batches that are still open",
}

/// Which breakage this thread is under.
#[cfg(feature = "mutants")]
mod active {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Makes a mutant active on this thread, or none.
    pub fn activate(mutant: Option<Mutant>) {
        ACTIVE.set(mutant);
    }

    /// Whether this mutant is active on this thread.
    #[must_use]
    pub fn is(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }
}

#[cfg(feature = "mutants")]
pub use active::{activate, is};

/// No mutant is ever active in what is shipped.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn is(_: Mutant) -> bool {
    false
}
