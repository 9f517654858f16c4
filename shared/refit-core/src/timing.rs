//! Every length of time the protocol depends on, and every limit on what it handles at once.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The lengths of time of a ledger, fixed in `log/0` when it is created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// How far the time in a segment's name may be off the store's time of its creation.
    pub name: Span,
    /// How far behind a full listing's start a segment may still appear.
    pub grace: Span,
    /// How long one pass reads segments.
    pub pass: Span,
    /// How long the writer of an intent alone may call.
    pub lease: Span,
    /// Added to the lease before anyone else takes over, and behind the fast watermark.
    pub margin: Span,
    /// How long one call may take.
    pub call: Span,
    /// How far apart two empty look-ups must be before a key is abandoned.
    pub settle: Span,
    /// How often the scheduler pings; also how old the last full listing may be.
    pub ping: Span,
    /// How long identities are remembered, and how old an event may be.
    pub window: Span,
    /// How much younger than the window an event must be.
    pub slack: Span,
    /// How long a run that was started is left alone between two looks at it.
    pub poll: Span,
    /// How long an abandoned key is looked up.
    pub watch: Span,
    /// How often housekeeping is done.
    pub keep: Span,
    /// How long an object that no commit names is kept.
    pub garbage: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            name: Span::mins(5),
            grace: Span::mins(10),
            pass: Span::secs(2),
            lease: Span::mins(2),
            margin: Span::secs(30),
            call: Span::secs(30),
            settle: Span::mins(10),
            ping: Span::secs(60),
            window: Span::days(35),
            slack: Span::days(1),
            poll: Span::secs(15),
            watch: Span::days(1),
            keep: Span::days(1),
            garbage: Span::days(7),
        }
    }
}

impl Timing {
    /// The shorter times of `refit dev`, where everything runs on one machine and a person watches.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            lease: Span::secs(10),
            margin: Span::secs(2),
            call: Span::secs(5),
            settle: Span::secs(5),
            ping: Span::secs(5),
            poll: Span::from_millis(500),
            ..Self::default()
        }
    }

    /// How old a state may be before nothing is committed from it.
    #[must_use]
    pub fn state_age_max(&self) -> Span {
        self.grace
    }

    /// How old an event may be.
    #[must_use]
    pub fn age_max(&self) -> Span {
        Span::from_millis(self.window.as_millis() - self.slack.as_millis())
    }

    /// The wait before the n-th repetition of something that is merely unavailable: doubling from a second.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Span {
        let doubled = Span::secs(1).times(1 << failures.min(12));
        doubled.min(self.settle)
    }
}

/// Segments one pass reads at the most.
pub const PASS_SEGMENTS_MAX: usize = 2000;
/// Events one commit consumes at the most.
pub const COMMIT_EVENTS_MAX: usize = 100_000;
/// Events in one segment.
pub const SEGMENT_EVENTS_MAX: usize = 1000;
/// Bytes in one segment.
pub const SEGMENT_BYTES_MAX: usize = 1 << 20;
/// Runs one commit starts at the most, so that every call fits its lease.
pub const COMMIT_LAUNCHES_MAX: usize = 32;
/// Parts of an open batch before they are merged.
pub const BATCH_PARTS_MAX: usize = 64;
/// Members of a batch where its rule does not say.
pub const BATCH_COUNT_DEFAULT: u64 = 100_000;
/// Members of a batch at the most.
pub const BATCH_COUNT_MAX: u64 = 1_000_000;
/// Identities kept in the state; older ones move to runs beside it.
pub const MEMORY_LIVE_MAX: usize = 1_000_000;
/// Commits after a snapshot before another one must exist.
pub const SNAPSHOT_COMMITS_MAX: u64 = 64;
/// Finished runs of a trigger the state remembers.
pub const FINISHED_RUNS_MAX: usize = 50;
/// Versions of a model the state remembers of which nothing more comes.
pub const PROMOTIONS_MAX: usize = 50;
/// Versions of a model without a stage that wait to be asked for or approved; beyond, the oldest is given up.
pub const PROMOTIONS_WAITING_MAX: usize = 100;
/// Calls to a registry that do nothing before a version is given up: about eight hours of them.
pub const REGISTRY_TRIES_MAX: u32 = 48;
/// Rows of drift reports a trigger follows at once.
pub const STREAKS_MAX: usize = 256;
/// Letters to one receiver within [`STORM`] before what follows is gathered into one.
pub const STORM_LETTERS: usize = 5;
/// How far back letters count for a storm, and how long one gathers.
pub const STORM: Span = Span::mins(1);
/// Notices a letter tells of one by one; it counts the rest.
pub const LETTER_NOTICES_MAX: usize = 50;
/// Letters that wait for one receiver; beyond, the oldest is given up.
pub const LETTERS_MAX: usize = 1000;
/// Tries to deliver a letter: about fifteen hours of them.
pub const LETTER_TRIES_MAX: u32 = 24;
/// How long a receiver may ask to be left alone.
pub const LETTER_WAIT_MAX: Span = Span::hours(1);
/// Bytes of what a service said that a notice repeats.
pub const NOTICE_MESSAGE_BYTES_MAX: usize = 1000;
/// How long an attempt may take to begin before somebody is told.
pub const STUCK_AFTER: Span = Span::mins(30);
/// How often a start may be refused, or a pipeline not be prepared, before somebody is told.
pub const STUCK_TRIES: u32 = 8;
/// The longest time a budget counts launches for.
pub const BUDGET_PER_MAX: Span = Span::days(35);
/// How many keys of a run are given up because nothing can be found under them, before a person is asked.
pub const ABANDONED_MAX: usize = 2;
/// Bytes of the key of a batch.
pub const BATCH_KEY_BYTES_MAX: usize = 256;
/// Bytes of the parameters of a run, as JSON.
pub const PARAMETERS_BYTES_MAX: usize = 256 * 1024;
