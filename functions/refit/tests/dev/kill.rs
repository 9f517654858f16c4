//! The program is killed again and again while files arrive; nothing is lost and nothing is done twice.
//!
//! The moments are counted in lines it says, drawn from a seed. `REFIT_KILLS` is how often it is killed (20 unless
//! said), `REFIT_SEED` the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Dev, ask, json};

const KILLS: u64 = 20;
/// Lines it says in one life, at the most.
const LINES_MAX: u64 = 80;
/// How often others may run between a line and the kill, at the most: between two lines much is done.
const YIELDS_MAX: u64 = 2000;
/// Passes after the last kill before something is wrong.
const PASSES_MAX: usize = 150;
/// Files are dropped after every line, this many at the most.
const FILES_MAX: u64 = 2;

const RULES: &str = "services: { local: { local: {} } }
triggers:
  mark:
    on: { objects: { bucket: uploads, suffix: .csv } }
    batch: { quiet: 1s, max_wait: 3s, max_count: 12 }
    overlap: allow
    budget: { runs: 100000, per: 24h }
    run: { service: local, pipeline: mark, parameters: { manifest: \"${ batch.manifest }\" } }
";

const PIPELINE: &str = "steps:
  - { name: first, command: [sh, -c, 'echo ::progress 0.5 half; cat $REFIT_PARAMETERS'] }
  - { name: second, command: [sh, -c, 'mkdir -p $REFIT_RUN_DIR/artifacts; echo done > $REFIT_RUN_DIR/artifacts/done'] }
";

/// Splitmix64: numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

struct World {
    folder: TempDir,
    random: Random,
    files: BTreeSet<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("pipelines/mark")).unwrap();
        fs::create_dir_all(at("buckets/uploads")).unwrap();
        fs::write(at("refit.yaml"), RULES).unwrap();
        fs::write(at("pipelines/mark/pipeline.yaml"), PIPELINE).unwrap();
        Self { folder, random: Random(seed), files: BTreeSet::new() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn drop_files(&mut self) {
        for _ in 0..=self.random.below(FILES_MAX) {
            let name = format!("{:05}.csv", self.files.len());
            fs::write(self.path().join("buckets/uploads").join(&name), &name).unwrap();
            self.files.insert(format!("gs://uploads/{name}"));
        }
    }

    /// One life, of some lines and a moment.
    fn live_and_be_killed(&mut self) {
        let mut dev = Dev::start(self.path(), &[("REFIT_LOG", "refit=debug,info")]);
        for _ in 0..=self.random.below(LINES_MAX) {
            dev.line();
            self.drop_files();
        }
        (0..self.random.below(YIELDS_MAX)).for_each(|_| std::thread::yield_now());
        dev.kill();
    }

    /// Asks for passes until nothing waits and nothing runs.
    fn settle(&self, place: &str) {
        for _ in 0..PASSES_MAX {
            let (status, body) = ask(place, "POST /tick", &[]);
            assert_eq!(status, 204, "{body}");
            let status = json(self.path(), &["status"]);
            let is_idle = status["pending"] == 0
                && ["batches", "runs"].iter().all(|list| status[list] == json!([]));
            if is_idle && self.members().len() >= self.files.len() {
                return;
            }
        }
        let members: BTreeSet<_> = self.members().into_iter().collect();
        let missing: Vec<_> = self.files.difference(&members).collect();
        panic!("it does not come to rest: {} missing={missing:?}", json(self.path(), &["status"]));
    }

    fn runs(&self) -> Vec<Value> {
        json(self.path(), &["runs", "--all"])["runs"].as_array().unwrap().clone()
    }

    /// The URIs in the manifests of all runs, in order.
    fn members(&self) -> Vec<String> {
        let manifest = |run: &Value| {
            let path = self.path().join(".refit").join(run["manifest"].as_str().unwrap());
            fs::read_to_string(path).unwrap()
        };
        let text: String = self.runs().iter().map(manifest).collect();
        let uri = |line: &str| {
            let member: Value = serde_json::from_str(line).unwrap();
            member["uri"].as_str().unwrap().to_owned()
        };
        let mut members: Vec<_> = text.lines().map(uri).collect();
        members.sort();
        members
    }
}

/// The runs the pipeline service has, with their keys and how each ended, by batch.
fn served(folder: &Path, place: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let token = "GET /computeMetadata/v1/instance/service-accounts/default/token";
    let (_, token) = ask(place, token, &[("metadata-flavor", "Google")]);
    let token: Value = serde_json::from_str(&token).unwrap();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let mut served = BTreeMap::<_, Vec<_>>::new();
    for run in fs::read_dir(folder.join(".refit/dev/pipelines/runs")).unwrap() {
        let id = run.unwrap().file_name().into_string().unwrap();
        let request = format!("GET /apis/local/v1/runs/{id}");
        let (_, run) = ask(place, &request, &[("authorization", bearer.as_str())]);
        let run: Value = serde_json::from_str(&run).unwrap();
        let text =
            |value: &Value| value.as_str().unwrap_or_else(|| panic!("{id}: {run}")).to_owned();
        let batch = text(&run["labels"]["batch"]);
        served.entry(batch).or_default().push((text(&run["id"]), text(&run["state"])));
    }
    served
}

#[test]
fn killed_at_any_moment_it_loses_nothing_and_does_nothing_twice() {
    let number = |name: &str| {
        let text = std::env::vars().find(|(variable, _)| variable == name);
        text.map(|(_, text)| text.parse::<u64>().expect("a number"))
    };
    let kills = number("REFIT_KILLS").unwrap_or(KILLS);
    let seed = number("REFIT_SEED").unwrap_or(1);
    let mut world = World::new(seed);
    (0..kills).for_each(|_| world.live_and_be_killed());

    let mut dev = Dev::start(world.path(), &[]);
    let place = dev.listening();
    dev.says("watching");
    world.settle(&place);

    let expected: Vec<_> = world.files.iter().cloned().collect();
    assert_eq!(world.members(), expected, "seed {seed}: every file is in one manifest");
    let of_ledger: BTreeMap<_, _> = world
        .runs()
        .iter()
        .map(|run| {
            let text = |name: &str| run[name].as_str().unwrap().to_owned();
            (text("run"), vec![(text("key"), text("phase"))])
        })
        .collect();
    let served = served(world.path(), &place);
    let batches: BTreeSet<_> = served.keys().chain(of_ledger.keys()).collect();
    for batch in batches {
        let (run, known) = (served.get(batch), of_ledger.get(batch));
        assert_eq!(run, known, "seed {seed}: {batch} is one run, of one key");
        let phase = &run.unwrap()[0].1;
        assert_eq!(phase, "succeeded", "seed {seed}: {batch}");
    }

    assert!(dev.terminate().success());
    for proof in ["audit", "fsck"] {
        assert_eq!(json(world.path(), &[proof])["findings"], json!([]), "seed {seed}: {proof}");
    }
    println!("seed {seed}: {kills} kills, {} files, {} runs", expected.len(), of_ledger.len());
}
