//! What may go wrong, drawn for every schedule: most faults are off in most schedules, so that each is also seen
//! alone and without the others hiding it.

use crate::random::Random;

/// Declares the classes of fault, each with a sentence.
macro_rules! faults {
    ($($variant:ident => $text:literal,)*) => {
        /// A class of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $text] $variant,)*
        }

        impl Fault {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What happened.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

faults! {
    CallFails => "a call to the store failed before it had an effect",
    AnswerLost => "a call to the store had its effect and its answer was lost",
    LateCreate => "a create took effect after its caller had given up",
    SlowAnswer => "a create answered so late that a lease may be over",
    Throttled => "a create was refused in a storm of throttling",
    PartialList => "a listing ended at a page before its end",
    StaleSnapshot => "a snapshot was stored with the content of an older one",
    SpoiltSnapshot => "a process read a snapshot that was damaged, or of a newer version",
    Kill => "a process was killed",
    Pause => "a process was paused for less than a lease",
    LongPause => "a process was paused for longer than a lease",
    SkewMinutes => "a process began with a clock wrong by over five minutes",
    SkewDays => "a process began with a clock wrong by over a day",
    ClockJump => "the clock of a process jumped or was corrected while it ran",
    StoreJump => "the clock of the store jumped",
    ThirdReconciler => "a third process reconciled",
    NobodyReconciles => "nothing reconciled for a while from the beginning",
    Duplicate => "an acknowledged event was delivered again",
    Reordered => "an event of an older generation arrived after one of a newer",
    WakeLost => "a wake was lost",
    StartRefused => "a start call was refused",
    StartAnswerLost => "a start call had its effect and its answer was lost",
    StartLate => "a start call took effect after its caller had given up",
    RunHidden => "a run could not be found for a while after it began",
    AskFails => "a call that asks a service failed",
    RunFails => "a run failed",
    RunAgain => "a run that had failed was started again at its service",
    RulesChanged => "rules were changed while events were under way",
    HousekeepingAllTheTime => "housekeeping ran every minute, with a memory of minutes",
}

/// How often each class of fault was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected([u64; Fault::ALL.len()]);

impl Default for Injected {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Injected {
    /// Counts one.
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Adds those of another schedule.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, more)| *mine += more);
    }

    /// How often this one was.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// How many there were of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many there were of all that go wrong by themselves: persons have runs run again at any time.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.total() - self.of(Fault::RunAgain)
    }
}

/// Rates are per mille, times are milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A call to the store fails before it has an effect.
    pub error_before: u64,
    /// A call to the store has its effect and its answer is lost.
    pub error_after: u64,
    /// A create takes effect after its caller was told that it failed.
    pub late_create: u64,
    /// How late.
    pub late_by_max: i64,
    /// A create has its effect and its answer takes longer than a lease.
    pub slow_answers: u64,
    /// How long a call to the store takes at the most.
    pub delay_max: i64,
    /// How long each half of a call to a service takes at the most.
    pub call_max: i64,
    /// A listing is cut into pages this small; zero for none.
    pub page: usize,
    /// While a storm lasts, nearly every create is refused.
    pub storms: u64,
    /// A process is killed, per minute.
    pub kills: u64,
    /// A process is paused, per minute.
    pub pauses: u64,
    /// How long at the most.
    pub pause_max: i64,
    /// How far the clocks of processes are off at the most.
    pub skew_max: i64,
    /// How far the clock of the store is off for a while.
    pub store_skew: i64,
    /// For how long nothing reconciles from the beginning.
    pub nobody_until: i64,
    /// A delivery is made again although it was acknowledged.
    pub duplicates: u64,
    /// A start call is refused before it has an effect.
    pub start_refused: u64,
    /// A start call has its effect and its answer is lost.
    pub start_lost: u64,
    /// A start call takes effect after its caller has given up.
    pub start_late: u64,
    /// How long a started run cannot be found at the most.
    pub hidden_max: i64,
    /// A call that asks fails.
    pub asks_fail: u64,
    /// A run fails.
    pub runs_fail: u64,
    /// A wake is lost.
    pub wakes_lost: u64,
    /// A snapshot is stored with the content of the one before it.
    pub stale_snapshots: u64,
    /// Whether housekeeping is done all the time, on a ledger with a short memory.
    pub short_memory: bool,
    /// How far the clocks of processes jump while they run at the most; zero for not at all.
    pub clock_jump: i64,
    /// A snapshot is stored so that it cannot be read.
    pub spoilt_snapshots: u64,
    /// How often a third process reconciles where there are two.
    pub third: u64,
}

impl Faults {
    /// None at all; only that calls take a little time.
    #[must_use]
    pub fn none() -> Self {
        Self { delay_max: 20, call_max: 300, ..Self::default() }
    }

    /// The faults of one schedule.
    #[must_use]
    pub fn draw(random: &mut Random, settle: i64) -> Self {
        let mut maybe = |rate: u64, values: &[u64]| {
            if random.per_mille(rate) { *random.pick(values) } else { 0 }
        };
        let late_by_max =
            [2_000, 20_000, 130_000][usize::try_from(maybe(1000, &[0, 1, 2])).unwrap_or(0)];
        Self {
            error_before: maybe(400, &[10, 50, 200]),
            error_after: maybe(400, &[10, 50, 200]),
            late_create: maybe(250, &[20, 100]),
            late_by_max,
            slow_answers: maybe(150, &[20, 100]),
            delay_max: maybe(1000, &[20, 200, 3000]).cast_signed(),
            call_max: 300,
            page: usize::try_from(maybe(300, &[1, 2, 5])).unwrap_or(0),
            storms: maybe(150, &[300, 1000]),
            kills: maybe(450, &[50, 200, 500]),
            pauses: maybe(350, &[50, 200]),
            pause_max: maybe(1000, &[5_000, 60_000, 400_000]).cast_signed(),
            skew_max: maybe(400, &[60_000, 600_000, 259_200_000]).cast_signed(),
            store_skew: maybe(80, &[600_000, 259_200_000]).cast_signed(),
            nobody_until: maybe(100, &[60_000, 700_000, 1_000_000]).cast_signed(),
            duplicates: maybe(600, &[100, 500, 900]),
            start_refused: maybe(250, &[100, 500]),
            start_lost: maybe(350, &[100, 500]),
            start_late: maybe(250, &[100, 500]),
            hidden_max: if maybe(300, &[1]) == 1 { settle / 2 } else { 0 },
            asks_fail: maybe(300, &[50, 300]),
            runs_fail: maybe(400, &[100, 500]),
            wakes_lost: maybe(500, &[200, 1000]),
            stale_snapshots: maybe(150, &[500]),
            short_memory: maybe(120, &[1]) == 1,
            ..Self::default()
        }
    }

    /// The same with what came to be drawn later, from numbers of its own: worlds without it are what they were.
    #[must_use]
    pub fn draw_more(self, random: &mut Random) -> Self {
        let mut maybe = |rate: u64, values: &[u64]| {
            if random.per_mille(rate) { *random.pick(values) } else { 0 }
        };
        Self {
            clock_jump: maybe(120, &[600_000, 259_200_000]).cast_signed(),
            spoilt_snapshots: maybe(150, &[500, 1000]),
            third: maybe(100, &[1000]),
            ..self
        }
    }
}
