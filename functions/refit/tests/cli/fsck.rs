//! What `refit fsck` finds in a ledger that was whole until one thing in it was changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use refit_core::commit::{Change, Commit, MemoryChange};
use refit_core::key::{Hash128, sha256_hex};
use refit_core::memory::{Fresh, SeenRun, StoredRun};
use refit_core::run::Phase;
use refit_core::state::VERSION;
use refit_core::time::{Day, Span, Timestamp};
use refit_core::timing::Timing;
use refit_engine::audit::FINDINGS;
use refit_engine::layout;
use refit_engine::ledger::{Draft, Ledger};
use refit_engine::record::{read_commit, write_commit};
use refit_platform::clock::SystemClock;
use refit_platform::store::LocalStore;
use refit_testkit::fake::kfp;
use refit_testkit::folder::copy;
use serde_json::Value;

use crate::world::{World, timing};

const EACH: &str = "batch: each\n    overlap: allow\n    budget: { runs: 99, per: 24h }";
const LATER: &str = "batch: { quiet: 1h, max_wait: 2h }";

const READABLE: &str = "every record can be read; what comes after is not looked at";
/// An invariant, which stands for them all: each is shown to refuse a commit where they are.
const ONWARD: &str = "time never goes back";
const NO_GAP: &str = "the log has no gap";
const LED_TO: &str = "a snapshot is what the log leads to";
const SNAPSHOT_READABLE: &str = "a snapshot can be read";
const STORED: &str = "what a commit depends on is stored";
const IN_FORCE: &str = "the rules in force are stored";
const NAMED: &str = "an object is what its name says";
const SEGMENT_READABLE: &str = "a segment can be read";
const FOREIGN: &str = "nothing foreign is stored";

/// What is done to a ledger, and what a finding names then.
type Damage = fn(&Laid) -> String;

const CASES: &[(&str, Damage, &[&str])] = &[
    ("a byte of a commit, not JSON any more", |it| it.flip(&it.nth("log", 2), ""), &[READABLE]),
    (
        "a byte of a commit, another state",
        |it| {
            it.flip(&it.last("log"), r#""kept":{"at":""#);
            it.last("snapshot")
        },
        &[LED_TO],
    ),
    (
        "a byte of a commit, another number",
        |it| it.flip(&it.nth("log", 2), r#""seq":"#),
        &[READABLE],
    ),
    ("a commit at a time before the last", Laid::go_back, &[ONWARD]),
    ("a commit is gone", |it| it.lose(&it.nth("log", 3)), &[LED_TO, NO_GAP]),
    (
        "the last commit is gone",
        |it| {
            it.lose(&it.last("log"));
            it.last("snapshot")
        },
        &[LED_TO],
    ),
    ("a byte of a snapshot", |it| it.flip(&it.last("snapshot"), ""), &[SNAPSHOT_READABLE]),
    ("a byte of a part in use", |it| it.flip(&it.last("parts"), ""), &[NAMED]),
    ("a byte of a part of a closed batch", |it| it.flip(&it.nth("parts", 0), ""), &[NAMED]),
    ("a part in use is gone", |it| it.lose(&it.last("parts")), &[STORED]),
    ("a part is gone before its time", |it| it.lose(&it.nth("parts", 0)), &[STORED]),
    ("a byte of a manifest", |it| it.flip(&it.last("manifests"), ""), &[NAMED]),
    ("a manifest is gone", |it| it.lose(&it.last("manifests")), &[STORED]),
    ("a byte of the memory", |it| it.flip(&it.last("seen"), r#""identities":""#), &[NAMED]),
    ("a run of the memory is gone", |it| it.lose(&it.last("seen")), &[STORED]),
    ("a byte of rules of before", |it| it.flip(&it.rules(false), ""), &[NAMED]),
    ("a byte of the rules in force", |it| it.flip(&it.rules(true), "prefix: "), &[NAMED]),
    ("the rules in force are gone", |it| it.lose(&it.rules(true)), &[IN_FORCE]),
    ("rules of before are gone", |it| it.lose(&it.rules(false)), &[STORED]),
    ("a byte of a segment", |it| it.flip(&it.last("inbox"), ""), &[SEGMENT_READABLE]),
    ("a stranger in the inbox", |it| it.add("inbox/stranger", "x"), &[FOREIGN]),
    ("a stranger in the log", |it| it.add("log/9", "x"), &[FOREIGN]),
    ("a stranger among snapshots", |it| it.add("snapshot/1", "x"), &[FOREIGN]),
    ("a stranger among parts", |it| it.add("parts/x", "x"), &[FOREIGN]),
    ("a stranger among manifests", |it| it.add("manifests/x.jsonl", "x"), &[FOREIGN]),
    ("a stranger in the memory", |it| it.add("seen/x", "x"), &[FOREIGN]),
    ("a stranger among rules", |it| it.add("rules/prod.yaml", "x"), &[FOREIGN]),
    ("a part no commit names", |it| it.add(&part(2, "x"), "x"), &[FOREIGN]),
    ("a part far beyond the log", |it| it.add(&part(999, "x"), "x"), &[FOREIGN]),
    ("a part no commit names, changed", |it| it.add(&part(2, "x"), "y"), &[FOREIGN, NAMED]),
    ("a part of a writer that died", |it| it.add(&part(it.seq + 1, "x"), "x"), &[]),
    ("the same, changed", |it| it.add(&part(it.seq + 1, "x"), "y"), &[NAMED]),
    ("rules nobody has applied", |it| it.add(&layout::rules(&sha256_hex(b"x")), "x"), &[]),
];

/// The name of a part with this content under the number of a commit.
fn part(seq: u64, content: &str) -> String {
    format!("parts/{seq:020}-{}", sha256_hex(content.as_bytes()))
}

/// A ledger in a folder that nobody serves.
struct Laid {
    folder: PathBuf,
    /// Its last commit.
    seq: u64,
    /// The revision of the rules in force.
    revision: String,
}

impl Laid {
    fn names(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(self.folder.join(folder)).unwrap();
        let name = |file: fs::DirEntry| file.file_name().into_string().unwrap();
        let mut names: Vec<_> =
            files.map(|file| format!("{folder}/{}", name(file.unwrap()))).collect();
        names.sort();
        names
    }

    fn nth(&self, folder: &str, at: usize) -> String {
        self.names(folder)[at].clone()
    }

    fn last(&self, folder: &str) -> String {
        self.names(folder).pop().unwrap()
    }

    fn rules(&self, in_force: bool) -> String {
        let own = layout::rules(&self.revision);
        self.names("rules").into_iter().find(|name| (*name == own) == in_force).unwrap()
    }

    /// Changes one bit, of the byte after this text.
    fn flip(&self, name: &str, after: &str) -> String {
        let path = self.folder.join(name);
        let mut body = fs::read(&path).unwrap();
        let is_here = |at: &usize| body[*at..].starts_with(after.as_bytes());
        let at = (0..body.len()).find(is_here).expect("it holds the text") + after.len();
        body[at] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, body).unwrap();
        name.to_owned()
    }

    fn lose(&self, name: &str) -> String {
        fs::remove_file(self.folder.join(name)).unwrap();
        name.to_owned()
    }

    /// Adds a commit of a time long gone, and that says nothing else: how a finding names it.
    fn go_back(&self) -> String {
        let last = fs::read(self.folder.join(self.last("log"))).unwrap();
        let last = read_commit(self.seq, &last).unwrap();
        let seq = self.seq + 1;
        let nonce = "stray".to_owned();
        let (changes, uses) = (Vec::new(), Vec::new());
        let commit = Commit { seq, nonce, now: Timestamp::EPOCH, changes, uses, ..last };
        let body = String::from_utf8(write_commit(&commit).to_vec()).unwrap();
        self.add(&layout::commit(seq), &body);
        format!("commit=`{seq}`")
    }

    fn add(&self, name: &str, content: &str) -> String {
        let path = self.folder.join(name);
        assert!(!path.exists(), "{name}");
        fs::write(path, content).unwrap();
        name.to_owned()
    }
}

/// A world whose ledger has had two revisions of the rules, a run and an open batch. What no commit names is old at once.
fn lived() -> World {
    let times = Timing { garbage: Span::from_millis(1), ..timing() };
    let world = World::timed(&times).under(EACH);
    world.write_sample("a", "1", "${now}");
    world.refit("replay a.http").ends(0);
    world.until("it runs", |state| state.runs.values().any(|run| run.attempt().external.is_some()));
    let run = world.kfp.runs()[0].clone();
    world.kfp.end(&run.id, kfp::Phase::Succeeded);
    world.until_runs(1, Phase::Succeeded);
    let world = world.under(LATER);
    world.write_sample("b", "2", "${now}");
    world.refit("replay b.http").ends(0);
    world.until("a batch is open", |state| !state.triggers["churn"].open.is_empty());
    world
}

/// A copy of its ledger, to which a commit adds a run of the memory and a day's housekeeping; and a snapshot of that.
async fn laid(from: &Path, folder: PathBuf) -> Laid {
    copy(from, &folder).unwrap();
    let ledger = Ledger::new(Arc::new(LocalStore::open(folder.clone()).await.unwrap()));
    let mut view = ledger.load().await.unwrap().unwrap();
    let (seq, now) = (view.state.seq + 1, view.state.now);
    let entries = Fresh { identities: vec![(Hash128(1), true)], objects: Vec::new() };
    let run = StoredRun { v: VERSION, entries };
    let body = serde_json::to_vec(&run).unwrap();
    let name = format!("seen/{seq:020}-{}", sha256_hex(&body));
    let spilled = SeenRun { name: name.clone(), last: Day(0), filter: run.entries.filter() };
    let commit = Commit {
        v: VERSION,
        seq,
        nonce: "keeper".to_owned(),
        now,
        segments: Vec::new(),
        changes: vec![
            Change::Memory(MemoryChange::Spilled(spilled)),
            Change::Memory(MemoryChange::Kept { at: now, swept: seq }),
        ],
        decisions: Vec::new(),
        fresh: Fresh::default(),
        uses: vec![name.clone()],
        members: None,
    };
    let objects = [(name, body.into())];
    let draft = Draft { commit: &commit, objects: &objects };
    ledger.write(&mut view, &draft, &SystemClock, &|_| true).await.unwrap();
    let mut view = ledger.load().await.unwrap().unwrap();
    ledger.keep_snapshot(&mut view, 1).await.unwrap();
    let revision = view.state.rules.unwrap();
    Laid { folder, seq: view.state.seq, revision }
}

/// The findings of `fsck` on a ledger in a folder of the world.
fn found(world: &World, folder: &str) -> Vec<(String, String)> {
    let ended = world.refit(&format!("fsck --json --ledger {folder}"));
    let told = ended.json();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = told["findings"].as_array().unwrap();
    ended.ends(if findings.is_empty() { 0 } else { 7 });
    findings.iter().map(|finding| (text(finding, "what"), text(finding, "message"))).collect()
}

#[test]
fn one_thing_that_is_changed_is_found_and_named() {
    let world = lived();
    let path = |name: &str| world.path(name);
    let whole = world.wait(laid(&path("ledger"), path("whole")));
    assert_eq!(found(&world, "whole"), []);
    let (mut shown, mut wrong) = (BTreeSet::new(), Vec::new());
    for (at, (what, damage, wanted)) in CASES.iter().enumerate() {
        let name = format!("damaged-{at}");
        let Laid { seq, revision, .. } = &whole;
        let damaged = Laid { folder: path(&name), seq: *seq, revision: revision.clone() };
        copy(&whole.folder, &damaged.folder).unwrap();
        let object = damage(&damaged);
        let found = found(&world, &name);
        let names: BTreeSet<&str> = found.iter().map(|(what, _)| what.as_str()).collect();
        let is_named = found.iter().any(|(_, message)| message.contains(&object));
        if names != wanted.iter().copied().collect() || !(is_named || wanted.is_empty()) {
            wrong.push(format!("{what} ({object}): {found:?}"));
        }
        shown.extend(wanted.iter().copied());
    }
    assert_eq!(wrong, [""; 0]);
    let all = FINDINGS.iter().chain([&ONWARD]).copied().collect();
    assert_eq!(shown, all, "each finding has a case");
}
