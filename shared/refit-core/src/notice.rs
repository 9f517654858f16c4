//! Notices: what people and other programs are told of a ledger, once per transition.
//!
//! A commit that makes a transition raises its notices, each under an id that follows from what it is about. A notice
//! waits in the outbox of its receiver, as a letter of its own or with others in a summary, until a commit says that
//! it was delivered or given up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{Hash128, RunKey, hash128};
use crate::promotion::Stage;
use crate::state::BatchId;
use crate::time::{Span, Timestamp};
use crate::timing::{LETTER_TRIES_MAX, STORM, STORM_LETTERS};

/// Declares the kinds of notices, each with its word in a rule file and the words shown to people.
macro_rules! kinds {
    ($($variant:ident => $name:literal, $text:literal;)*) => {
        /// What a notice is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum NoticeKind {
            $(#[doc = concat!("`", $name, "`: ", $text, ".")] $variant,)*
        }

        impl NoticeKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word in a rule file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What happened, in words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

kinds! {
    BatchClosed => "batch_closed", "a batch closed";
    Launch => "launch", "a run was started";
    Success => "success", "a run succeeded";
    Failure => "failure", "a run failed";
    Cancelled => "cancelled", "a run was cancelled";
    Stuck => "stuck", "something does not go on";
    Uncertain => "uncertain", "what became of a start needs a person's look";
    Budget => "budget", "the budget of runs is used up";
    Quarantine => "quarantine", "an event could not be understood";
    Requested => "requested", "a version waits for approval";
    Promoted => "promoted", "a version was given a stage";
    Refused => "refused", "a version goes no further";
}

impl NoticeKind {
    /// The kinds a person is told of where a rule does not say.
    pub const ALARMS: &'static [Self] = &[
        Self::Failure,
        Self::Cancelled,
        Self::Stuck,
        Self::Uncertain,
        Self::Budget,
        Self::Quarantine,
        Self::Requested,
        Self::Promoted,
        Self::Refused,
    ];
    /// The kinds another program is told of where a rule does not say.
    pub const EVENTS: &'static [Self] = &[
        Self::BatchClosed,
        Self::Launch,
        Self::Success,
        Self::Failure,
        Self::Cancelled,
        Self::Promoted,
        Self::Refused,
    ];
}

/// One transition, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The same however often it is told.
    pub id: Hash128,
    /// What it is about.
    pub kind: NoticeKind,
    /// The time of the commit that made the transition.
    pub at: Timestamp,
    /// The trigger; none where it concerns all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The batch, which also names the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The key of the batch, where its rule has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Members of the batch, or events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The identity the attempt is started under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunKey>,
    /// The service, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Where a person can look at the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The key of the manifest in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Until when, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// More on it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The registry's name of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The stage it is asked for, or was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The request that waits for approval, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
}

impl Notice {
    /// A notice of which nothing more is known.
    #[must_use]
    pub fn new(id: Hash128, kind: NoticeKind, at: Timestamp) -> Self {
        Self {
            id,
            kind,
            at,
            trigger: None,
            batch: None,
            key: String::new(),
            count: None,
            attempt: None,
            run: None,
            service: None,
            url: None,
            manifest: None,
            until: None,
            message: None,
            model: None,
            version: None,
            stage: None,
            request: None,
        }
    }
}

/// What a receiver is still to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    /// Letters that are not delivered, by their ids.
    pub letters: BTreeMap<Hash128, Letter>,
    /// When its newest letters were opened, oldest first: as many as tell a storm.
    pub opened: Vec<Timestamp>,
    /// Why the last letter was not delivered, or was given up; none once one is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Mishap>,
}

/// One message to one receiver, with one notice in it or, in a storm, with many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// The notices, oldest first.
    pub notices: Vec<Notice>,
    /// Notices it only counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: u64,
    /// The nonce of the commit that says when it is sent: its writer sends it first.
    pub owner: String,
    /// Not to be sent before. Until then one that was never sent takes more notices.
    pub due: Timestamp,
    /// Tries that failed.
    #[serde(default, skip_serializing_if = "is_zero_tries")]
    pub tries: u32,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Why a letter was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mishap {
    /// When.
    pub at: Timestamp,
    /// Whether it was given up.
    pub lost: bool,
    /// What went wrong, in words.
    pub message: String,
}

/// A change of what a receiver is still to be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OutboxChange {
    /// A notice is to be told.
    Raised {
        /// The letter it goes into, which may be new.
        letter: Hash128,
        /// When that is sent.
        due: Timestamp,
        /// The notice.
        notice: Box<Notice>,
    },
    /// One more notice is counted by a letter that is full.
    Counted(Hash128),
    /// A letter is to be sent from now on, with what is in it and nothing else.
    Sealed(Hash128),
    /// A letter was delivered.
    Delivered(Hash128),
    /// A letter was not delivered, and is sent again.
    Failed {
        /// The letter.
        letter: Hash128,
        /// When.
        until: Timestamp,
        /// What went wrong.
        message: String,
    },
    /// A letter was not delivered, and is not sent again.
    GivenUp {
        /// The letter.
        letter: Hash128,
        /// Why.
        message: String,
    },
    /// The receiver is no longer in the rules; what it was to be told is given up.
    Closed,
}

/// What came of sending a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The receiver.
    pub receiver: String,
    /// The letter.
    pub letter: Hash128,
    /// Tries that had failed before.
    pub tries: u32,
    /// What came of it.
    pub receipt: Receipt,
}

/// What came of sending something to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Receipt {
    /// The receiver has it.
    Delivered,
    /// It may not have it; it is to be sent again.
    Failed {
        /// Not before this time has passed, where the receiver says so.
        after: Option<Span>,
        /// What went wrong.
        message: String,
    },
    /// The receiver will never take it.
    Refused(String),
}

/// Where a notice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The letter, which may be new.
    pub letter: Hash128,
    /// When that is sent.
    pub due: Timestamp,
}

impl Outbox {
    /// The letter a notice goes into. More than a few letters within a minute are a storm: from then on, what happens
    /// within the next minute is gathered into one, unless every notice must stay by itself.
    #[must_use]
    pub fn place(&self, notice: Hash128, now: Timestamp, groups: bool) -> Place {
        if !groups {
            return Place { letter: notice, due: now };
        }
        let gathers = |(_, letter): &(&Hash128, &Letter)| !letter.is_sealed(now);
        if let Some((letter, open)) = self.letters.iter().find(gathers) {
            return Place { letter: *letter, due: open.due };
        }
        let storms = self.opened.len() >= STORM_LETTERS
            && self.opened.first().is_some_and(|first| *first + STORM > now);
        match storms {
            true => {
                let letter = hash128([notice.to_string().as_str(), "summary"]);
                Place { letter, due: now + STORM }
            }
            false => Place { letter: notice, due: now },
        }
    }

    /// The letter that tells of what happened first.
    pub(crate) fn oldest(&self) -> Option<Hash128> {
        let first = |(_, letter): &(&Hash128, &Letter)| letter.notices.first().map(|it| it.at);
        self.letters.iter().min_by_key(first).map(|(id, _)| *id)
    }

    /// Applies one change that a commit of this nonce makes.
    pub(crate) fn apply(&mut self, change: &OutboxChange, nonce: &str, now: Timestamp) {
        match change {
            OutboxChange::Raised { letter, due, notice } => {
                if !self.letters.contains_key(letter) {
                    self.letters.insert(*letter, Letter::new(nonce, *due));
                    self.opened.push(now);
                    let excess = self.opened.len().saturating_sub(STORM_LETTERS);
                    self.opened.drain(..excess);
                }
                self.letters
                    .entry(*letter)
                    .and_modify(|letter| letter.notices.push(Notice::clone(notice)));
            }
            OutboxChange::Counted(letter) => {
                self.letters.entry(*letter).and_modify(|letter| letter.beyond += 1);
            }
            OutboxChange::Delivered(letter) => {
                self.letters.remove(letter);
                self.trouble = None;
            }
            OutboxChange::Failed { letter, until, message } => {
                self.letters.entry(*letter).and_modify(|letter| {
                    letter.tries += 1;
                    letter.due = *until;
                    nonce.clone_into(&mut letter.owner);
                    letter.message = Some(message.clone());
                });
                self.trouble = Some(Mishap { at: now, lost: false, message: message.clone() });
            }
            OutboxChange::GivenUp { letter, message } => {
                self.letters.remove(letter);
                self.trouble = Some(Mishap { at: now, lost: true, message: message.clone() });
            }
            // It is so by the time of the commit, which no later one goes behind.
            OutboxChange::Sealed(_) | OutboxChange::Closed => {}
        }
    }
}

impl OutboxChange {
    /// The letter it is about.
    #[must_use]
    pub fn letter(&self) -> Option<Hash128> {
        match self {
            Self::Counted(letter) | Self::Sealed(letter) | Self::Delivered(letter) => Some(*letter),
            Self::Raised { letter, .. }
            | Self::Failed { letter, .. }
            | Self::GivenUp { letter, .. } => Some(*letter),
            Self::Closed => None,
        }
    }
}

impl Letter {
    fn new(nonce: &str, due: Timestamp) -> Self {
        Self {
            notices: Vec::new(),
            beyond: 0,
            owner: nonce.to_owned(),
            due,
            tries: 0,
            message: None,
        }
    }

    /// How many notices it tells of.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.notices.len() as u64 + self.beyond
    }

    /// Whether it takes no more notices, where the newest commit is of that time: no later commit goes behind it.
    /// Only then may it be sent, so that it says the same however often and by whomever it is.
    #[must_use]
    pub fn is_sealed(&self, newest: Timestamp) -> bool {
        self.tries > 0 || self.due <= newest
    }

    /// Whether one more failure is the last.
    #[must_use]
    pub fn is_last_try(&self) -> bool {
        self.tries + 1 >= LETTER_TRIES_MAX
    }

    /// The wait after one more failure: doubling from two seconds to about an hour.
    #[must_use]
    pub fn wait(&self) -> Span {
        Span::secs(2).times(1 << self.tries.min(11))
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn is_zero_tries(count: &u32) -> bool {
    *count == 0
}
