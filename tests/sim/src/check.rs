//! The checks after a schedule: what the world knows against what the ledger says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt as _;
use refit_core::commit::{AttemptChange, BatchChange, Change, Commit, Decision, RunChange};
use refit_core::event::Event;
use refit_core::fold::fold;
use refit_core::key::Hash128;
use refit_core::policy::{Case, budget_is_full, judge};
use refit_core::reason::Hold;
use refit_core::rules::{Overlap, Rules};
use refit_core::run::{Cancel, Phase};
use refit_core::state::{BatchId, State};
use refit_core::time::{Span, Timestamp};
use refit_engine::audit::{audit, fsck};
use refit_engine::gather::{ReadRules, RuleBook};
use refit_engine::ledger::Ledger;

use crate::faults::Injected;
use crate::newest::check_newest;
use crate::service::SimRun;
use crate::store::RawStore;
use crate::world::{Counts, World};

/// The checks that notice a snapshot the world has damaged on purpose.
const DAMAGE: [&str; 2] = ["a snapshot is what the log leads to", "a snapshot can be read"];

/// What came of a schedule.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// The hash of everything that happened.
    pub hash: u64,
    /// What was wrong.
    pub violations: Vec<String>,
    /// Steps of the executor.
    pub steps: u64,
    /// Calls to the store.
    pub counts: Counts,
    /// What went wrong in the world, on purpose.
    pub injected: Injected,
    /// How much of that while nothing was to go wrong any more.
    pub faults_at_rest: u64,
    /// Runs that really began.
    pub runs: u64,
    /// Commits.
    pub commits: u64,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// What happened, line by line, where asked for.
    pub lines: Vec<String>,
}

impl Verdict {
    /// What happened and what was wrong, for a person to read.
    #[must_use]
    pub fn story(&self) -> String {
        let wrong = self.violations.iter().map(|violation| format!("wrong: {violation}"));
        let lines: Vec<String> = self.lines.iter().cloned().chain(wrong).collect();
        format!("seed {}\n{}\n", self.seed, lines.join("\n"))
    }
}

type Books = BTreeMap<String, RuleBook>;

fn ledger(world: &World) -> Ledger {
    Ledger::new(Arc::new(RawStore(world.clone())))
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the raw store answers at once")
}

/// Whether nothing is left to do in this world; `seen` is the state when it was last looked.
pub fn is_at_rest(world: &World, books: &Arc<Books>, seen: &mut Option<State>) -> bool {
    let ledger = ledger(world);
    if seen.is_none() {
        let genesis = now(ledger.commit(0)).ok().flatten();
        *seen = genesis.as_ref().map(refit_engine::ledger::begin);
    }
    let Some(state) = seen else { return false };
    if now(ledger.follow(state)).is_err() {
        return false;
    }
    let store_now = world.lock().store_now(world.time().now());
    restless(state, books, store_now).is_empty() && unread(world, state) == 0
}

/// Segments within the reach of listings that no commit has consumed.
fn unread(world: &World, state: &State) -> usize {
    let reach = format!("inbox/{}", (state.marks.full - state.timing.grace).compact());
    let inner = world.lock();
    let inbox = inner.objects.range(reach..).take_while(|(name, _)| name.starts_with("inbox/"));
    inbox.filter(|(name, _)| !state.recent.contains(&name["inbox/".len()..])).count()
}

/// What the state still has to do although nothing keeps it from it.
fn restless(state: &State, books: &Books, store_now: Timestamp) -> Vec<String> {
    // What only time holds back for a little longer is not at rest.
    let now = store_now.max(state.now) + Span::mins(5);
    let mut left = Vec::new();
    let rules =
        state.rules.as_ref().and_then(|revision| books.get(revision)).map(|book| &book.rules);
    for run in state.runs.values().filter(|run| run.is_active()) {
        let rule = rules.and_then(|rules| rules.triggers.get(&run.trigger));
        let standing = state.triggers.get(&run.trigger);
        let full =
            rule.zip(standing).and_then(|(rule, standing)| budget_is_full(now, rule, standing));
        if !run.attempt().phase.is_terminal() || full.is_none() {
            left.push(format!("run {} is {}", run.batch, run.attempt().phase.text()));
        }
    }
    for (name, standing) in &state.triggers {
        let Some(rule) = rules.and_then(|rules| rules.triggers.get(name)) else { continue };
        for id in standing.open.keys() {
            let Some(case) = Case::of(state, now, (name, rule), *id) else { continue };
            let held = judge(&case);
            let waits = held.is_some_and(|held| match held.reason {
                Hold::Ask | Hold::Paused | Hold::TriggerRemoved | Hold::Budget => true,
                // A run that waits for the budget keeps those behind it waiting.
                Hold::ActiveRun | Hold::Replacing => case.active > 0,
                Hold::MinCount
                | Hold::MinBytes
                | Hold::Quiet
                | Hold::Marker
                | Hold::Unprepared
                | Hold::Cooldown
                | Hold::Window
                | Hold::PassLimit => false,
            });
            if !waits {
                left.push(format!("batch {id} of {name} is open: {held:?}"));
            }
        }
    }
    left
}

/// Checks everything.
pub fn check(world: &World, books: &Arc<Books>, events: &[Event]) -> Verdict {
    let broken = world.lock().watch.broken.clone();
    let mut verdict = Verdict { violations: broken, ..Verdict::default() };
    let ledger = ledger(world);
    let read: ReadRules = {
        let books = Arc::clone(books);
        Arc::new(move |text| books.get(text).cloned().ok_or_else(|| "no such rules".to_owned()))
    };
    let commits = commits(&ledger);
    check_reports(&ledger, &read, &mut verdict);
    if world.lock().snapshots_damaged {
        verdict.violations.retain(|text| !DAMAGE.iter().any(|check| text.starts_with(check)));
    }
    let acknowledged: BTreeSet<Hash128> = events.iter().map(Event::id).collect();
    check_acknowledged(&commits, &acknowledged, &mut verdict);
    let runs = world.lock().services.runs.clone();
    check_runs(&commits, &runs, &mut verdict);
    check_applies(&commits, books, &mut verdict);
    check_replaced(&commits, &mut verdict);
    check_cost(&world.lock().counts, &mut verdict);
    if let Ok(Some(view)) = now(ledger.load()) {
        let store_now = world.lock().store_now(world.time().now());
        let left = restless(&view.state, books, store_now);
        verdict.violations.extend(left.into_iter().map(|what| format!("liveness: {what}")));
        check_ends(&world.lock().services.runs, &view.state, world.time().now(), &mut verdict);
        check_overlap(&view.state, books, &commits, &runs, &mut verdict);
        let lost = check_newest(&world.lock(), &commits, &view.state, events);
        verdict.violations.extend(lost);
    } else {
        verdict.violations.push("the ledger cannot be read".to_owned());
    }
    let mut inner = world.lock();
    verdict.hash = inner.trace.hash;
    verdict.counts = inner.counts;
    verdict.injected = inner.injected;
    verdict.lines = inner.trace.lines.take().unwrap_or_default();
    verdict.runs = runs.len() as u64;
    verdict.commits = commits.len() as u64;
    verdict.acknowledged = acknowledged.len() as u64;
    verdict
}

fn commits(ledger: &Ledger) -> Vec<Commit> {
    let mut commits = Vec::new();
    while let Ok(Some(commit)) = now(ledger.commit(commits.len() as u64)) {
        commits.push(commit);
    }
    commits
}

/// Whether a finding is of what is so in simulated worlds alone: a revision of the rules is called by a short name, not
/// by a digest; and where garbage is kept for half a minute, a writer that is paused for longer leaves some for good.
fn is_of_the_simulation(found: &str) -> bool {
    found.contains("object=`rules/r") || found.contains("no commit names it")
}

/// What the product's own audit and fsck find.
fn check_reports(ledger: &Ledger, read: &ReadRules, verdict: &mut Verdict) {
    for report in [now(audit(ledger, read, &|_| ())), now(fsck(ledger, read, &|_| ()))] {
        match report {
            Ok(report) => {
                let findings = report.findings.iter().map(ToString::to_string);
                verdict.violations.extend(findings.filter(|found| !is_of_the_simulation(found)));
                if report.pending > 0 {
                    verdict
                        .violations
                        .push(format!("liveness: {} segments are unread", report.pending));
                }
            }
            Err(error) => verdict.violations.push(error.to_string()),
        }
    }
}

/// Whatever was acknowledged has a fate.
fn check_acknowledged(commits: &[Commit], acknowledged: &BTreeSet<Hash128>, verdict: &mut Verdict) {
    let known: BTreeSet<Hash128> = commits
        .iter()
        .flat_map(|commit| commit.fresh.identities.iter().map(|(id, _)| *id))
        .collect();
    for lost in acknowledged.difference(&known) {
        verdict.violations.push(format!("lost: an acknowledged event has no fate: {lost}"));
    }
}

/// One paid write per request at the most, and one more where a name was far from the store's time.
fn check_cost(counts: &Counts, verdict: &mut Verdict) {
    if counts.segments > counts.requests + counts.misnamed {
        verdict.violations.push(format!("cost: more segments than requests: {counts:?}"));
    }
}

/// Every run that really began belongs to an intent, alone, with the manifest of its batch.
fn check_runs(commits: &[Commit], runs: &[SimRun], verdict: &mut Verdict) {
    let mut intents: BTreeMap<String, BatchId> = BTreeMap::new();
    let mut manifests: BTreeMap<BatchId, String> = BTreeMap::new();
    for change in commits.iter().flat_map(|commit| &commit.changes) {
        if let Change::Attempt { run, change: AttemptChange::Intended { key, .. }, .. } = change {
            intents.insert(key.to_string(), *run);
        }
        if let Change::Closed(closed) = change {
            manifests.insert(closed.batch, closed.manifest.clone());
        }
    }
    let mut effective: BTreeMap<BatchId, u32> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    let mut places = BTreeMap::new();
    for run in runs {
        let Some(batch) = intents.get(&run.key) else {
            verdict.violations.push(format!("a run without an intent: {}", run.key));
            continue;
        };
        if run.shadows.is_some() || !keys.insert(run.key.clone()) {
            verdict.violations.push(format!("two runs of one key: {}", run.key));
        }
        if *places.entry(*batch).or_insert(run.place) != run.place {
            verdict.violations.push(format!("runs of one batch at two places: {batch}"));
        }
        let right = manifests.get(batch).is_some_and(|manifest| run.manifest.ends_with(manifest));
        if !right {
            verdict.violations.push(format!("a run was given the wrong manifest: {}", run.key));
        }
        if run.succeeds && !run.cancelled {
            *effective.entry(*batch).or_default() += 1;
        }
    }
    for (batch, count) in effective.into_iter().filter(|(_, count)| *count > 1) {
        verdict.violations.push(format!("{count} runs of batch {batch} succeeded"));
    }
}

/// What is recorded as having succeeded did so, also where it had failed before.
fn check_ends(runs: &[SimRun], state: &State, now: i64, verdict: &mut Verdict) {
    let known: BTreeMap<&str, &SimRun> = runs.iter().map(|run| (run.id.as_str(), run)).collect();
    for run in state.runs.values() {
        let attempt = run.attempt();
        let external = attempt.external.as_ref().and_then(|run| known.get(run.id.as_str()));
        let is_wrong = external.is_some_and(|run| run.phase(now) != Phase::Succeeded);
        if attempt.phase == Phase::Succeeded && is_wrong {
            verdict
                .violations
                .push(format!("a run that failed counts as succeeded: {}", run.batch));
        }
    }
}

/// Applying rules starts nothing that would not have started without, unless asked to.
fn check_applies(commits: &[Commit], books: &Books, verdict: &mut Verdict) {
    let Some(genesis) = commits.first() else { return };
    let mut state = refit_engine::ledger::begin(genesis);
    for commit in &commits[1..] {
        let old =
            state.rules.as_ref().and_then(|revision| books.get(revision)).map(|book| &book.rules);
        let applied = commit.changes.iter().any(|change| matches!(change, Change::Applied { .. }));
        // Another command may have asked for what starts here.
        let obeyed = commit.decisions.iter().filter_map(|decision| match decision {
            Decision::Answered { ok: true, message, .. } => Some(message),
            Decision::Answered { .. } | Decision::Accepted { .. } | Decision::Refused { .. } => {
                None
            }
        });
        let obeyed: Vec<&String> = obeyed.collect();
        let asked = obeyed.len() > 1 || obeyed.iter().any(|message| message.contains("may start"));
        if applied
            && !asked
            && let Some(old) = old
        {
            for change in &commit.changes {
                let Change::Closed(closed) = change else { continue };
                let grew = commit.changes.iter().any(|change| {
                    matches!(change, Change::Batch { batch, change } if *batch == closed.batch
                        && matches!(change, BatchChange::Joined { .. } | BatchChange::Sealed(_)))
                });
                if !grew && !was_due(&state, old, closed.batch, commit) {
                    verdict.violations.push(format!("applying rules started {}", closed.batch));
                }
            }
        }
        fold(&mut state, commit);
    }
}

/// The members of a run that was replaced before it succeeded are those of the batch that replaced it.
fn check_replaced(commits: &[Commit], verdict: &mut Verdict) {
    let Some(genesis) = commits.first() else { return };
    let mut state = refit_engine::ledger::begin(genesis);
    for commit in &commits[1..] {
        for change in &commit.changes {
            let Change::Run { run, change: RunChange::Finished(finished) } = change else {
                continue;
            };
            let Some(Cancel::ReplacedBy(to)) = cancel_of(&state, commit, *run) else { continue };
            if finished.phase != Phase::Succeeded && !moves(commit, *run) {
                verdict.violations.push(format!("lost: members of {run} did not move to {to}"));
            }
        }
        fold(&mut state, commit);
    }
}

/// Why a run is to end: a person may have asked for it after it was to be replaced.
fn cancel_of(state: &State, commit: &Commit, id: BatchId) -> Option<Cancel> {
    let asked = commit.changes.iter().rev().find_map(|change| match change {
        Change::Run { run, change: RunChange::CancelAsked(cancel) } if *run == id => Some(cancel),
        _ => None,
    });
    asked.or_else(|| state.runs.get(&id)?.cancel.as_ref()).cloned()
}

/// Whether a commit moves the members of a run to a batch.
fn moves(commit: &Commit, run: BatchId) -> bool {
    commit.changes.iter().any(|change| match change {
        Change::Batch { batch, change: BatchChange::MovedTo(_) } => *batch == run,
        _ => false,
    })
}

/// Whether a batch would have started under these rules by this commit.
fn was_due(state: &State, rules: &Rules, id: BatchId, commit: &Commit) -> bool {
    let Some((name, _)) = state.open_batch(id) else { return true };
    let Some(rule) = rules.triggers.get(name) else { return false };
    // Runs may have ended in the same commit.
    let ended = commit.changes.iter().filter_map(|change| match change {
        Change::Run { run, change: RunChange::Finished(_) } => state.runs.get(run),
        _ => None,
    });
    let ended = ended.filter(|run| run.trigger == name).count();
    let Some(case) = Case::of(state, commit.now, (name, rule), id) else { return false };
    let case = if case.active == ended { case.alone() } else { case };
    judge(&case).is_none()
}

/// Where runs are to be alone, no two of a trigger were under way at the same time.
fn check_overlap(
    state: &State,
    books: &Books,
    commits: &[Commit],
    runs: &[SimRun],
    verdict: &mut Verdict,
) {
    let applied = commits.iter().flat_map(|commit| &commit.changes);
    let revisions = applied.filter(|change| matches!(change, Change::Applied { .. })).count();
    let Some(book) = state.rules.as_ref().and_then(|revision| books.get(revision)) else { return };
    if revisions != 1 {
        return;
    }
    for (name, rule) in &book.rules.triggers {
        if rule.overlap == Overlap::Allow {
            continue;
        }
        let mut spans: Vec<(i64, i64)> = runs
            .iter()
            .filter(|run| run.trigger == *name)
            .map(|run| (run.began, run.ends))
            .collect();
        spans.sort_unstable();
        if spans.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            verdict.violations.push(format!("two runs of {name} at the same time: {spans:?}"));
        }
    }
}
