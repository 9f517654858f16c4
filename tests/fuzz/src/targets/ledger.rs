//! What is stored: segments, commits, snapshots, manifests and parts. The seeds are ledgers of simulated schedules.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use refit_core::commit::Commit;
use refit_core::effect::effects;
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::key::sha256_hex;
use refit_core::member::{Line, common_prefix, manifest, read_manifest, read_part, settle};
use refit_core::plan::{Deleted, Found, Inputs, Listing, Segment, plan};
use refit_core::rules::Rules;
use refit_core::state::State;
use refit_core::time::Timestamp;
use refit_engine::layout;
use refit_engine::ledger::begin;
use refit_engine::record::{
    read_commit, read_segment, read_snapshot, write_commit, write_snapshot,
};
use refit_sim::schedule::{Plan, play};
use serde_json::Value;

use super::events::check_stored;
use super::{Outcome, Target};

pub(super) const SEGMENTS: Target = Target {
    name: "segments",
    about: "segments of the inbox",
    seeds: segments,
    give: give_segment,
};
pub(super) const COMMITS: Target =
    Target { name: "commits", about: "commits, folded", seeds: commits, give: give_commit };
pub(super) const SNAPSHOTS: Target = Target {
    name: "snapshots",
    about: "snapshots, planned from",
    seeds: snapshots,
    give: give_snapshot,
};
pub(super) const MANIFESTS: Target = Target {
    name: "manifests",
    about: "manifests and parts, settled",
    seeds: manifests,
    give: give_manifest,
};

/// Schedules that are played for seeds.
const SCHEDULES: u64 = 12;
/// Objects of a kind that are taken from one of them.
const TAKEN: usize = 40;

/// What a simulated schedule left.
struct History {
    objects: BTreeMap<String, Vec<u8>>,
    rules: BTreeMap<String, Arc<Rules>>,
    /// The state before each commit, and after the last.
    states: Vec<State>,
}

fn histories() -> &'static [History] {
    static HISTORIES: OnceLock<Vec<History>> = OnceLock::new();
    HISTORIES.get_or_init(|| (0..SCHEDULES).map(history).collect())
}

fn history(seed: u64) -> History {
    let left = play(&Plan { seed, verbose: false });
    let objects = left.objects.into_iter().map(|(name, body)| (name, body.to_vec()));
    let objects: BTreeMap<String, Vec<u8>> = objects.collect();
    let commit = |seq: u64| {
        let body = objects.get(&layout::commit(seq))?;
        Some(read_commit(seq, body).expect("what the engine wrote can be read"))
    };
    let mut state = begin(&commit(0).expect("the ledger was founded"));
    let mut states = vec![state.clone()];
    while let Some(commit) = commit(state.seq + 1) {
        fold(&mut state, &commit);
        states.push(state.clone());
    }
    History { objects, rules: left.rules, states }
}

fn taken(folder: &str) -> Vec<Vec<u8>> {
    let of = |history: &'static History| {
        let found = history.objects.iter().filter(|(name, _)| name.starts_with(folder));
        found.map(|(_, body)| body.clone()).take(TAKEN)
    };
    histories().iter().flat_map(of).collect()
}

fn segments() -> Vec<Vec<u8>> {
    taken(layout::INBOX)
}

fn commits() -> Vec<Vec<u8>> {
    taken(layout::LOG)
}

fn manifests() -> Vec<Vec<u8>> {
    [taken("manifests/"), taken("parts/")].concat()
}

/// States as JSON: they are packed when they are given.
fn snapshots() -> Vec<Vec<u8>> {
    let states =
        histories().iter().flat_map(|history| history.states.iter().step_by(7).take(TAKEN));
    states.map(|state| serde_json::to_vec(state).expect("a state is JSON")).collect()
}

fn give_segment(input: &[u8]) -> Outcome {
    match read_segment("fuzzed", input) {
        Ok(events) => {
            check_stored(&events);
            Outcome::Understood(format!("{} events", events.len().min(1)))
        }
        Err(error) => refused(&error),
    }
}

/// The error with its cause, which says what is wrong.
fn refused(error: &dyn std::error::Error) -> Outcome {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    Outcome::Refused(format!("{error}: {cause}"))
}

/// A commit is folded on the state that was there before it.
fn give_commit(input: &[u8]) -> Outcome {
    let stated = serde_json::from_slice::<Value>(input).ok().and_then(|it| it["seq"].as_u64());
    let seq = stated.unwrap_or(1);
    let commit = match read_commit(seq, input) {
        Ok(commit) => commit,
        Err(error) => return refused(&error),
    };
    let again = read_commit(seq, &write_commit(&commit)).expect("what was written can be read");
    assert!(again == commit, "written and read it is another: {commit:#?}");
    for history in &histories()[..2] {
        let at = usize::try_from(seq).unwrap_or(0).saturating_sub(1).min(history.states.len() - 1);
        fold_on(&history.states[at], &commit, history);
    }
    Outcome::Understood(kinds(&commit))
}

fn fold_on(before: &State, commit: &Commit, history: &History) {
    let rules = before.rules.as_ref().and_then(|revision| history.rules.get(revision));
    let _ = invariants::check(before, commit, rules.map(|rules| &**rules));
    let mut after = before.clone();
    fold(&mut after, commit);
    let _ = effects(&after);
}

fn kinds(commit: &Commit) -> String {
    let kind = |value: Value| match value {
        Value::Object(map) => map.keys().next().cloned().unwrap_or_default(),
        other => other.to_string(),
    };
    let changes = commit.changes.iter().filter_map(|change| serde_json::to_value(change).ok());
    let mut kinds: Vec<String> = changes.map(kind).collect();
    kinds.dedup();
    kinds.join(",")
}

/// Text is packed first, with the right digest; anything else is given as it is.
fn give_snapshot(input: &[u8]) -> Outcome {
    let packed = match input.first() {
        Some(b'{') => pack(input),
        _ => input.to_vec(),
    };
    let state = match read_snapshot("fuzzed", &packed) {
        Ok(state) => state,
        Err(error) => return refused(&error),
    };
    let body = write_snapshot(&state).expect("it can be packed");
    let again = read_snapshot("fuzzed", &body).expect("what was written can be read");
    assert!(again == state, "written and read it is another");
    for history in &histories()[..2] {
        plan_from(&state, history);
    }
    let runs = state.runs.len().min(2);
    Outcome::Understood(format!("{} triggers, runs: {runs:?}", state.triggers.len().min(3)))
}

fn pack(json: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(json, 1).expect("it is small");
    [sha256_hex(&packed).into_bytes(), packed].concat()
}

/// Plans with the first segments of a ledger unread.
fn plan_from(state: &State, history: &History) {
    let found = Found { rules: rules_for(state, history), ..Found::default() };
    let unread = history.objects.iter().filter(|(name, _)| name.starts_with(layout::INBOX)).take(3);
    let segments: Vec<Segment> = unread
        .map(|(name, body)| Segment {
            name: name.replace(layout::INBOX, ""),
            created: state.now,
            events: read_segment(name, body).expect("what intake wrote can be read"),
        })
        .collect();
    let now = state.now.max(Timestamp::from_millis(1));
    let inputs = Inputs {
        root: "file:///fuzzed",
        nonce: "fuzzed",
        listing: Listing { now, fast: now, full: now, long: false, more: false },
        segments: &segments,
        observations: &[],
        reports: &[],
        deliveries: &[],
        deleted: &Deleted::default(),
        found: &found,
    };
    let planned = plan(state, &inputs);
    if let Some(commit) = planned.commit {
        fold_on(state, &commit, history);
    }
}

/// The rules in force, whatever revision the state says they are.
fn rules_for(state: &State, history: &History) -> BTreeMap<String, Result<Arc<Rules>, String>> {
    let known = history.rules.iter().map(|(name, rules)| (name.clone(), Ok(Arc::clone(rules))));
    let first = history.rules.values().next().map(|rules| Ok(Arc::clone(rules)));
    state.rules.clone().zip(first).into_iter().chain(known).collect()
}

fn give_manifest(input: &[u8]) -> Outcome {
    let first = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if serde_json::from_slice::<Value>(first).is_ok_and(|line| line["line"].is_object()) {
        return match read_part(input) {
            Ok(lines) => check_lines(lines.into_values().flatten().collect(), "part"),
            Err(why) => Outcome::Refused(why),
        };
    }
    match read_manifest(input) {
        Ok(members) => {
            let written = manifest(&members);
            let again = read_manifest(&written).expect("what was written can be read");
            assert!(again == members, "written and read it is another: {members:#?}");
            check_lines(members.into_iter().map(Line::Member).collect(), "manifest")
        }
        Err(why) => Outcome::Refused(why),
    }
}

/// No two members of a batch are the same object.
fn check_lines(lines: Vec<Line>, what: &str) -> Outcome {
    let settled = settle(lines);
    let places: Vec<_> = settled.members.iter().filter_map(|member| member.uri.as_ref()).collect();
    let mut unlike = places.clone();
    unlike.sort();
    unlike.dedup();
    assert_eq!(unlike.len(), places.len(), "an object is a member twice: {places:#?}");
    let prefix = common_prefix(&settled.members);
    assert!(places.iter().all(|place| place.starts_with(&prefix)), "{prefix} of {places:#?}");
    Outcome::Understood(format!("{what}: {:?}", places.len().min(2)))
}
