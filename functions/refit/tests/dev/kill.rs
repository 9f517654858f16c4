//! The program is killed again and again while files arrive; nothing is lost and nothing is done twice.
//!
//! The moments are counted in lines it says, drawn from a seed. `REFIT_KILLS` is how often it is killed (20 unless
//! said), `REFIT_SEED` the seed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Dev;
use crate::proof;

const KILLS: u64 = 20;
/// Lines it says in one life, at the most.
const LINES_MAX: u64 = 80;
/// How often others may run between a line and the kill, at the most: between two lines much is done.
const YIELDS_MAX: u64 = 2000;
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
}

#[test]
fn killed_at_any_moment_it_loses_nothing_and_does_nothing_twice() {
    let number = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "a longer hunt is asked for by environment")]
        let text = std::env::var(name).ok();
        text.map(|text| text.parse::<u64>().expect("a number"))
    };
    let kills = number("REFIT_KILLS").unwrap_or(KILLS);
    let seed = number("REFIT_SEED").unwrap_or(1);
    let mut world = World::new(seed);
    (0..kills).for_each(|_| world.live_and_be_killed());

    let of = format!("seed {seed}");
    let mut dev = Dev::start(world.path(), &[]);
    let place = dev.listening();
    dev.says("watching");
    let members = |runs: &[Value]| proof::members(world.path(), runs);
    proof::settle(world.path(), &place, |runs| members(runs).len() >= world.files.len());
    let runs = proof::each_batch_is_one_run(world.path(), &place, &of);
    let expected: Vec<_> = world.files.iter().cloned().collect();
    assert_eq!(members(&runs), expected, "{of}: every file is in one manifest");
    assert!(runs.iter().all(|run| run["phase"] == "succeeded"), "{of}: {runs:#?}");

    assert!(dev.terminate().success());
    proof::nothing_is_wrong(world.path(), &of);
    proof::status_is_clean(world.path(), &of);
    // What the test harness does not swallow.
    let (files, runs) = (expected.len(), runs.len());
    writeln!(std::io::stderr(), "{of}: {kills} kills, {files} files, {runs} runs").unwrap();
}
