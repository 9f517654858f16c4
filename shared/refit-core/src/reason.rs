//! Why something did not happen: the closed lists of reasons.

use serde::{Deserialize, Serialize};

/// Declares a closed list of reasons, each with the sentence shown to people.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(#[doc = $text] $variant,)*
        }

        impl $name {
            /// Every reason of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason as a sentence without its end.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Why an event is no member of a batch.
    Refusal {
        NoMatch => "no trigger watches it",
        Filtered => "the condition of the trigger is false",
        FilterError => "the condition of the trigger cannot be evaluated for it",
        KeyError => "the key of its batch cannot be evaluated for it",
        Duplicate => "it was recorded before",
        IdenticalBytes => "the object was uploaded again with the bytes it had",
        ZeroBytes => "the object is empty",
        BeforeTrigger => "the object is older than the trigger, and was found by a sweep",
        Late => "it is older than the ledger remembers",
        Paused => "the trigger is paused and ignores events",
        Marker => "it is the marker that closes a batch",
        Deletion => "it deletes an object",
        NotAnUpload => "it changes no data",
        NoDrift => "it does not report drift",
        Undecided => "it does not tell whether there is drift",
        OtherFeatures => "none of the features asked for drifted",
        BelowShare => "fewer columns drifted than asked for",
        Unconfirmed => "too few reports in a row",
        Outdated => "a report on the same time or a later one was judged before",
        Discarded => "its batch was discarded",
        Invalid => "it cannot be understood",
        Command => "it is a command",
    }
}

reasons! {
    /// Why a batch does not start a run yet.
    Hold {
        Ask => "it waits for a decision: resume it or discard it",
        TriggerRemoved => "its trigger is not in the rules any more: add it again or discard the batch",
        Paused => "the trigger is paused",
        MinCount => "it has too few members",
        MinBytes => "it has too few bytes",
        Quiet => "data may still be arriving",
        Marker => "its marker has not arrived",
        Unprepared => "the pipeline cannot be prepared",
        Cooldown => "the last run was started too recently",
        Window => "it is not within the hours to start in",
        Budget => "the budget of runs is used up",
        ActiveRun => "a run is active",
        Replacing => "the run it replaces has not ended",
        PassLimit => "enough runs were started by this commit; the next one follows",
    }
}
