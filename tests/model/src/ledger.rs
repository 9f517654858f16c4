//! The log as the model sees it: what the product's `plan` decides and its `fold` makes of it, each computed once.

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::commit::{AttemptChange, BatchChange, Change, Commit, Decision};
use refit_core::event::{Command, Event, Fact, Identity};
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::key::{Hash128, RunKey, sha256_hex};
use refit_core::member::{Line, read_manifest, stored_lines};
use refit_core::plan::{
    Deleted, Found, Inputs, Listing, Need, Observation, Plan, Prepared, Segment, plan,
};
use refit_core::rules::Rules;
use refit_core::run::Phase;
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;
use refit_core::timing::Timing;
use serde_json::json;

use crate::link::{Link, Table, digest};
use crate::property::{Guarantee, Wrong};
use crate::scope::{REVISION, START, Scope, Tick, at, event, tick_of, timing};

/// The ledger after a commit.
#[derive(Debug)]
pub struct Node {
    /// The state.
    pub state: State,
    /// The batches each event was accepted into.
    pub fates: BTreeMap<u8, Vec<BatchId>>,
    /// When the commits were created that hold the intents of launching attempts.
    pub intents: BTreeMap<(BatchId, u32), Tick>,
    /// When the commits were created that tell of their first look-up that found nothing.
    pub absences: BTreeMap<(BatchId, u32), Tick>,
    /// Every key that was ever intended, with its attempt.
    pub keys: BTreeMap<RunKey, (BatchId, u32)>,
    /// Contents of the stored objects open batches refer to.
    objects: BTreeMap<String, Arc<Vec<u8>>>,
    /// What the commit that led here did wrong.
    pub wrong: Option<Wrong>,
}

/// A commit that was planned, and what it depends on.
#[derive(Debug)]
pub struct Draft {
    /// The state it was made on.
    pub base: Link<Node>,
    /// The commit.
    pub commit: Commit,
    /// Contents of the objects it depends on.
    objects: Vec<(String, Arc<Vec<u8>>)>,
    /// What is wrong with it.
    pub wrong: Option<Wrong>,
}

/// What planning came to.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The commit, where there is anything to write down.
    pub draft: Option<Link<Draft>>,
    /// When something is due next, if nothing else happens.
    pub due: Option<Tick>,
}

/// A segment in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stored {
    /// The time in its name.
    pub named: Tick,
    /// The number of its event.
    pub event: u8,
    /// Which of the event's deliveries it is.
    pub delivery: u8,
    /// Whether it was stored again, under another name.
    pub is_again: bool,
    /// When it was created.
    pub created: Tick,
}

/// How a pass listed the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed {
    /// The store's time at its start.
    pub now: Tick,
    /// The mark of the listing.
    pub fast: Tick,
    /// The mark of the last full listing.
    pub full: Tick,
    /// Whether segments were left unread.
    pub more: bool,
}

/// Everything computed of logs so far.
#[derive(Debug)]
pub struct Ledger {
    rules: Arc<Rules>,
    nodes: Table<Link<Node>>,
    drafts: Table<Link<Draft>>,
    plans: Table<Planned>,
    landings: Table<Link<Node>>,
}

impl Stored {
    /// Its name, as a commit has it.
    #[must_use]
    pub fn name(&self) -> String {
        let nonce = if self.is_again { "again" } else { "first" };
        format!("{}-{}.{}.{nonce}", at(self.named).compact(), self.event, self.delivery)
    }

    fn segment(&self) -> Segment {
        Segment { name: self.name(), created: at(self.created), events: vec![event(self.event)] }
    }
}

/// The event in a segment of that name; none for the one that applied the rules.
fn event_of(name: &str) -> Option<u8> {
    name.rsplit_once('-')?.1.split_once('.')?.0.parse().ok()
}

impl Ledger {
    /// A ledger nothing is known of.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        Self {
            rules: Arc::new(scope.rules()),
            nodes: Table::new(),
            drafts: Table::new(),
            plans: Table::new(),
            landings: Table::new(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many states of ledgers there were, and how many plans made of them.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.nodes.len(), self.plans.len())
    }

    /// A ledger with the rules applied and nothing else.
    #[must_use]
    pub fn beginning(&self) -> Link<Node> {
        let genesis = Commit {
            v: refit_core::state::VERSION,
            seq: 0,
            nonce: "genesis".to_owned(),
            now: Timestamp::EPOCH,
            segments: Vec::new(),
            changes: vec![Change::Created { ledger: "model".to_owned(), timing: timing() }],
            decisions: Vec::new(),
            fresh: Default::default(),
            uses: Vec::new(),
            members: None,
        };
        let mut state = State::new(String::new(), Timing::default());
        fold(&mut state, &genesis);
        let first = self.intern(Node::of(state));
        let command =
            Command::Apply { revision: REVISION.to_owned(), replaces: None, start: false };
        let apply = Segment {
            name: format!("{}-apply", at(START).compact()),
            created: at(START),
            events: vec![Event {
                identity: Identity(vec!["apply".to_owned()]),
                origin: "model".to_owned(),
                time: None,
                delivery: None,
                replay: None,
                fact: Fact::Command(command),
            }],
        };
        let listed = Listed { now: START, fast: START, full: START, more: false };
        let planned = self.draft(&first, listed, &[apply], &[]);
        match planned.draft {
            Some(draft) => self.land(&first, &draft, START),
            None => first,
        }
    }

    /// What the product's planner makes of this.
    #[must_use]
    pub fn plan(
        &self,
        node: &Link<Node>,
        listed: Listed,
        segments: &[Stored],
        observations: &[Observation],
    ) -> Planned {
        let id = digest(&(node.id(), listed, segments, observations));
        if let Some(planned) = self.plans.get(id) {
            return planned;
        }
        let segments: Vec<Segment> = segments.iter().map(Stored::segment).collect();
        self.plans.put(id, self.draft(node, listed, &segments, observations))
    }

    fn draft(
        &self,
        node: &Link<Node>,
        listed: Listed,
        segments: &[Segment],
        observations: &[Observation],
    ) -> Planned {
        let Plan { commit, objects, next, .. } = self.ask(node, listed, segments, observations);
        let due = next.map(tick_of);
        let Some(commit) = commit else { return Planned { draft: None, due } };
        let objects: Vec<_> =
            objects.into_iter().map(|(name, content)| (name, Arc::new(content))).collect();
        let broken = invariants::check(&node.state, &commit, Some(&self.rules));
        let wrong =
            broken.first().map(|first| Wrong::new(Guarantee::Invariants, first.to_string()));
        let id = digest(&(node.id(), &commit));
        let draft = Draft { base: node.clone(), commit, objects, wrong };
        Planned { draft: Some(self.drafts.put(id, Link::new(id, draft))), due }
    }

    /// Asks the planner until it needs nothing more.
    fn ask(
        &self,
        node: &Node,
        listed: Listed,
        segments: &[Segment],
        observations: &[Observation],
    ) -> Plan {
        let Listed { now, fast, full, more } = listed;
        let listing = Listing { now: at(now), fast: at(fast), full: at(full), long: false, more };
        // Who wrote a commit is kept beside the log, so that equal commits are equal.
        let nonce = format!("n{}", node.state.seq + 1);
        let mut found = Found::default();
        loop {
            let inputs = Inputs {
                root: "mem://ledger",
                nonce: &nonce,
                listing,
                segments,
                observations,
                reports: &[],
                deliveries: &[],
                deleted: &Deleted::default(),
                found: &found,
            };
            let planned = plan(&node.state, &inputs);
            if planned.needs.is_empty() {
                return planned;
            }
            for need in planned.needs {
                self.satisfy(node, need, &mut found);
            }
        }
    }

    fn satisfy(&self, node: &Node, need: Need, found: &mut Found) {
        match need {
            Need::Rules(revision) => {
                found.rules.insert(revision, Ok(Arc::clone(&self.rules)));
            }
            Need::Lines(batch) => {
                found.lines.insert(batch, node.lines(batch));
            }
            Need::Prepared { revision, trigger } => {
                let prepared = Prepared { target: json!({}), parameters: None };
                found.prepared.insert((revision, trigger), Ok(prepared));
            }
            Need::Claim(uri) => {
                found.claims.insert(uri, Ok(None));
            }
            Need::SeenRun(name) => {
                found.runs.insert(name, Arc::default());
            }
        }
    }

    /// What is wrong with a commit that was made on something else than what it lands on.
    #[must_use]
    pub fn recheck(&self, head: &Node, draft: &Draft) -> Option<Wrong> {
        let broken = invariants::check(&head.state, &draft.commit, Some(&self.rules));
        broken.first().map(|first| Wrong::new(Guarantee::Invariants, first.to_string()))
    }

    /// The ledger after the commit was created at that tick.
    #[must_use]
    pub fn land(&self, base: &Link<Node>, draft: &Link<Draft>, created: Tick) -> Link<Node> {
        let commit = &draft.commit;
        let is_timed = commit.intents().next().is_some() || absences(commit).next().is_some();
        let created = if is_timed { created } else { 0 };
        let id = digest(&(base.id(), draft.id(), created));
        if let Some(node) = self.landings.get(id) {
            return node;
        }
        let node = self.intern(base.follow(draft, created));
        self.landings.put(id, node)
    }

    /// The ledger a process believes in that skipped a commit: what only a mutant does.
    #[must_use]
    pub fn skip(&self, node: &Node) -> Link<Node> {
        let mut state = node.state.clone();
        state.seq += 1;
        self.intern(Node { state, ..node.copy() })
    }

    fn intern(&self, node: Node) -> Link<Node> {
        let id = digest(&(&node.state, &node.fates, &node.intents, &node.absences, &node.wrong));
        self.nodes.get(id).unwrap_or_else(|| self.nodes.put(id, Link::new(id, node)))
    }
}

/// The attempts of which a commit tells that a first look-up found nothing.
fn absences(commit: &Commit) -> impl Iterator<Item = (BatchId, u32)> {
    commit.changes.iter().filter_map(|change| match change {
        Change::Attempt { run, attempt, change: AttemptChange::LookedUp } => Some((*run, *attempt)),
        _ => None,
    })
}

impl Node {
    fn of(state: State) -> Self {
        Self {
            state,
            fates: BTreeMap::new(),
            intents: BTreeMap::new(),
            absences: BTreeMap::new(),
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
            wrong: None,
        }
    }

    fn copy(&self) -> Self {
        Self {
            state: self.state.clone(),
            fates: self.fates.clone(),
            intents: self.intents.clone(),
            absences: self.absences.clone(),
            keys: self.keys.clone(),
            objects: self.objects.clone(),
            wrong: self.wrong.clone(),
        }
    }

    /// The stored lines of an open batch.
    fn lines(&self, batch: BatchId) -> Vec<Line> {
        let object = |name: &str| self.objects.get(name).map(|content| content.as_slice());
        let lines = stored_lines(&self.state, [batch], object).ok();
        lines.and_then(|mut lines| lines.remove(&batch)).unwrap_or_default()
    }

    fn follow(&self, draft: &Draft, created: Tick) -> Self {
        let commit = &draft.commit;
        let mut node = self.copy();
        fold(&mut node.state, commit);
        node.wrong = draft.wrong.clone();
        node.objects.extend(draft.objects.iter().cloned());
        for (batch, attempt) in commit.intents() {
            node.intents.insert((batch, attempt), created);
            node.absences.remove(&(batch, attempt));
        }
        node.absences.extend(absences(commit).map(|slot| (slot, created)));
        let launching = |(batch, attempt): &(BatchId, u32)| {
            let attempt = node.state.runs.get(batch).and_then(|run| run.attempt_numbered(*attempt));
            attempt.is_some_and(|attempt| attempt.phase == Phase::Launching)
        };
        node.intents.retain(|intent, _| launching(intent));
        node.absences.retain(|intent, _| launching(intent));
        for run in node.state.runs.values() {
            node.keys.extend(run.attempts.iter().map(|a| (a.key, (run.batch, a.number))));
        }
        let wrong = node.judge(commit);
        let wrong = wrong.or_else(|| check_objects(draft));
        let wrong = wrong.or_else(|| check_records(commit, &node.state));
        node.wrong = node.wrong.or(wrong);
        let used: Vec<String> = node.kept_objects();
        node.objects.retain(|name, _| used.contains(name));
        node
    }

    /// Parts of open batches, and manifests of runs whose members may move.
    fn kept_objects(&self) -> Vec<String> {
        let manifests = self.state.runs.values().filter(|run| run.is_active());
        let manifests = manifests.map(|run| run.manifest.clone());
        self.state.parts_in_use().map(str::to_owned).chain(manifests).collect()
    }

    /// Takes down what became of each event, and says what should not have.
    fn judge(&mut self, commit: &Commit) -> Option<Wrong> {
        for decision in &commit.decisions {
            let Decision::Accepted { batch, events, .. } = decision else { continue };
            for (number, name) in (0..).zip(&commit.segments) {
                if let Some(event) = event_of(name).filter(|_| events.contains(number, 0)) {
                    self.fates.entry(event).or_default().push(*batch);
                }
            }
        }
        let mut consumed = commit.segments.iter().filter_map(|name| event_of(name));
        if let Some(event) = consumed.find(|event| !self.fates.contains_key(event)) {
            return Some(Wrong::new(Guarantee::Durable, format!("event {event} was refused")));
        }
        if let Some((event, batches)) = self.fates.iter().find(|(_, batches)| batches.len() > 1) {
            let text = format!("event {event} is in batches {batches:?}");
            return Some(Wrong::new(Guarantee::OneBatch, text));
        }
        for change in &commit.changes {
            match change {
                Change::Closed(closed) => {
                    let wrong = self.check_manifest(closed.batch, &closed.manifest);
                    if wrong.is_some() {
                        return wrong;
                    }
                }
                Change::Batch { batch, change: BatchChange::MovedTo(to) } => {
                    let batches = self.fates.values_mut().flatten();
                    batches.filter(|id| **id == *batch).for_each(|id| *id = *to);
                }
                Change::Batch { batch, change: BatchChange::Discarded | BatchChange::Emptied } => {
                    let text = format!("batch {batch} was dropped");
                    return Some(Wrong::new(Guarantee::Durable, text));
                }
                _ => {}
            }
        }
        None
    }

    fn check_manifest(&self, batch: BatchId, name: &str) -> Option<Wrong> {
        let content = self.objects.get(name).map_or(&[][..], |content| content);
        let members = read_manifest(content).unwrap_or_default();
        let mut listed: Vec<Hash128> = members.into_iter().map(|member| member.event).collect();
        let joined = self.fates.iter().filter(|(_, batches)| batches.contains(&batch));
        let mut joined: Vec<Hash128> = joined.map(|(number, _)| event(*number).id()).collect();
        listed.sort_unstable();
        joined.sort_unstable();
        (listed != joined).then(|| {
            let text = format!(
                "batch {batch} has {} members, its run gets {}",
                joined.len(),
                listed.len()
            );
            Wrong::new(Guarantee::Manifest, text)
        })
    }
}

/// Two racers never share a name for different content.
fn check_objects(draft: &Draft) -> Option<Wrong> {
    let named = |(name, content): &&(String, Arc<Vec<u8>>)| name.contains(&sha256_hex(content));
    let other = draft.objects.iter().find(|object| !named(object));
    other.map(|(name, _)| {
        Wrong::new(Guarantee::Manifest, format!("a name does not tell its content: {name}"))
    })
}

/// A commit and a state are read back from what is stored of them.
fn check_records(commit: &Commit, state: &State) -> Option<Wrong> {
    let again = serde_json::to_vec(commit).ok();
    let again: Option<Commit> = again.and_then(|body| serde_json::from_slice(&body).ok());
    let snapshot = serde_json::to_vec(state).ok();
    let snapshot: Option<State> = snapshot.and_then(|body| serde_json::from_slice(&body).ok());
    let same = again.as_ref() == Some(commit) && snapshot.as_ref() == Some(state);
    let text = "a record is read back differently".to_owned();
    (!same).then(|| Wrong::new(Guarantee::Invariants, text))
}
