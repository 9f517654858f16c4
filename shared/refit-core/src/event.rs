//! What happened, in one form for every source.
//!
//! An [`Event`] says what the fact is, not how it was delivered: the same object change that arrives by three
//! routes and twice by each has one [`Identity`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::drift::DriftReport;
use crate::key::{Hash128, hash128};
use crate::promotion::Statement;
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// What a fact is: equal facts have equal identities, unequal facts do not.
///
/// Objects: scheme, bucket, name, generation and kind. Other events: CloudEvents `source` and `id`. It never
/// holds the id of a delivery, nor a time that differs from route to route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(pub Vec<String>);

/// One event, normalised and bounded, as intake stores it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What the fact is.
    pub identity: Identity,
    /// The route it came by, such as `gcs.pubsub`: for people, never decided on.
    pub origin: String,
    /// When it happened, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The id of the delivery, such as a Pub/Sub message id: for people, never decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Set where a person sent the event again, or a sweep found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// The fact itself.
    pub fact: Fact,
}

/// How an event that was sent again, or never sent, is to be judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Whether it may be a member once more.
    pub mode: ReplayMode,
    /// The trigger it is sent again for; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
}

/// Whether an event that its source did not just send may be a member once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayMode {
    /// Judged again unless it already is a member of a batch. Where it is sent for one trigger, whoever sends it has
    /// read in the log that this trigger did not take it when it was recorded.
    Again,
    /// A new fact under a new identity, whatever came of the old one, however old it is.
    Forced,
    /// Nobody sent it: a sweep found the object in its bucket. Triggers that are younger than the object refuse it, until
    /// a person sends it again.
    Swept,
}

/// The kinds of fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Something happened to an object in a bucket.
    Object(ObjectChange),
    /// A message: a CloudEvent of any type, or a Pub/Sub message that is none.
    Message(Message),
    /// A drift report.
    Drift(Box<DriftReport>),
    /// A person's command.
    Command(Command),
    /// Something that arrived and could not be understood: the quarantine.
    Invalid(Invalid),
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectChange {
    /// What happened to it.
    pub kind: ObjectKind,
    /// The object.
    pub object: DataRef,
    /// The generation it replaced, where it was an overwrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrote: Option<String>,
    /// The generation that replaced it, where its deletion was the other half of an overwrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwritten_by: Option<String>,
}

/// What can happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A new generation is complete.
    Finalized,
    /// A generation was deleted.
    Deleted,
    /// A generation is no longer the live one.
    Archived,
    /// Only its metadata changed.
    MetadataUpdated,
}

/// The exact data an event speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRef {
    /// The kind of store: `gs` or `s3`.
    pub scheme: String,
    /// The bucket.
    pub bucket: String,
    /// The name within the bucket, decoded.
    pub name: String,
    /// The generation or version, where the store has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// The version of its metadata, where the store has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metageneration: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Algorithm and value, such as `md5:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// When this generation was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// What orders the changes of this object, where the store says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<Sequencer>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Custom metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A CloudEvent, or what a message that is none looks like as one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `id`.
    pub id: String,
    /// CloudEvents `type`.
    #[serde(rename = "type")]
    pub ty: String,
    /// CloudEvents `subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The payload: JSON as it is, anything else as text or base64.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// Extensions and transport attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// What could not be understood, kept so that a person can look at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invalid {
    /// What is wrong with it, in words.
    pub reason: String,
    /// Its media type as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Bytes that arrived.
    pub size: u64,
    /// The first bytes of it, base64.
    pub head: String,
    /// The headers that say what it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// What a person asks of a running ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Puts a revision of the rules in force.
    Apply {
        /// SHA-256 of the rule file.
        revision: String,
        /// The revision it was written against; another one in force is a conflict.
        replaces: Option<String>,
        /// Whether batches that become due by it may start runs.
        start: bool,
    },
    /// Stops a trigger from starting runs.
    Pause {
        /// The trigger.
        trigger: String,
        /// What becomes of its events meanwhile.
        mode: PauseMode,
    },
    /// Ends a pause, or answers a batch that waits for a decision.
    Resume {
        /// The trigger.
        trigger: String,
        /// What becomes of what was held.
        held: Held,
    },
    /// Ends a run.
    Cancel {
        /// A batch id or a run key.
        run: String,
    },
    /// Takes something that could not be understood off the list of the quarantine.
    Dismiss {
        /// Its event.
        event: Hash128,
    },
    /// Says what became of a start call whose fate could not be learned.
    Settle {
        /// A batch id or a run key.
        run: String,
        /// The service's id of the run it started; none if it started nothing.
        started: Option<String>,
    },
    /// Says something of a version of a model.
    Promotion(Statement),
}

/// What becomes of events while a trigger is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseMode {
    /// Recorded and kept; nothing starts.
    Hold,
    /// Recorded as ignored.
    Ignore,
}

/// What becomes of held members when a trigger resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// They wait for a decision; nothing starts.
    Ask,
    /// They may start a run.
    Coalesce,
    /// They are dropped, with that reason.
    Discard,
}

impl Identity {
    /// Its 128-bit hash: what the memory of the ledger holds, and the event's id in manifests.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        hash128(self.0.iter().map(String::as_str))
    }
}

/// What the memory of the ledger holds of an event that a replay made a member for this trigger.
#[must_use]
pub fn replayed_for(event: Hash128, trigger: &str) -> Hash128 {
    hash128(["replayed", &event.to_string(), trigger])
}

impl Event {
    /// The 128-bit hash of its identity.
    #[must_use]
    pub fn id(&self) -> Hash128 {
        self.identity.hash()
    }

    /// Whether a person asked for it to be judged as a new fact.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.is_replayed(ReplayMode::Forced)
    }

    /// Whether it was sent again, or found, in that way.
    #[must_use]
    pub fn is_replayed(&self, mode: ReplayMode) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.mode == mode)
    }

    /// The trigger it was sent again for; none if it is for all of them.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        self.replay.as_ref()?.trigger.as_deref()
    }

    /// Whether it is for this trigger.
    #[must_use]
    pub fn is_for(&self, trigger: &str) -> bool {
        self.only().is_none_or(|only| only == trigger)
    }

    /// What an operator would call it: the URI of its object, the source and id of its message, the tool and
    /// model of its report.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.fact {
            Fact::Object(change) => change.object.uri(),
            Fact::Message(message) => format!("{}#{}", message.source, message.id),
            Fact::Drift(report) => report.name(),
            Fact::Command(_) | Fact::Invalid(_) => self.identity.0.join("/"),
        }
    }
}

impl DataRef {
    /// The URI of the object, without its generation.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{}://{}/{}", self.scheme, self.bucket, self.name)
    }

    /// The hash of the place it lies in: which object it is, whatever its generation.
    #[must_use]
    pub fn place(&self) -> Hash128 {
        hash128([self.scheme.as_str(), &self.bucket, &self.name])
    }
}

impl ObjectKind {
    /// The name used in identities and by `refit inspect`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finalized => "object.finalized",
            Self::Deleted => "object.deleted",
            Self::Archived => "object.archived",
            Self::MetadataUpdated => "object.metadata_updated",
        }
    }
}
