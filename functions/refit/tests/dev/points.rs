//! The process is killed before and after every operation on its ledger, every call to its pipeline service and its
//! registry of models, and every letter to those who are told.
//!
//! A point is the n-th operation of a name in one life. A life that is killed there runs in a process of its own, on
//! ports that send it SIGKILL; nothing of that is in `refit`. Then the real `refit dev` is started in the folder, comes
//! to rest, and everything is proved. A point that is not met fails the test.

mod killing;
mod life;
mod planted;
mod post;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use refit_testkit::folder::copy;
use refit_testkit::process::output;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::process::Dev;
use crate::proof;
use killing::{MET, Point, Side};
use post::Post;

/// The trigger of short runs, and its bucket.
const MARK: &str = "mark";
/// The trigger of runs that are replaced, and its bucket.
const LONG: &str = "long";
/// The trigger whose runs make versions of a model, its bucket and the model.
const MODEL: &str = "model";
/// The trigger that waits for a month, and its bucket.
const SLOW: &str = "slow";
/// The persons who are told, and the end of their address.
const PEOPLE: &str = "people";
/// The programs that are told, and the end of their address.
const PROGRAMS: &str = "programs";
/// The operations that tell somebody.
const TELLING: &[&str] = &["tell", "tell a summary", "tell a program"];
/// Lives at the same time: most of each is waiting.
const AT_ONCE: usize = 16;

const RULES: &str = "services: { local: { local: {} } }
registries: { models: { local: {} } }
triggers:
  model:
    on: { objects: { bucket: model, suffix: .csv } }
    batch: { quiet: 0s, max_wait: 2s }
    run: { service: local, pipeline: model, parameters: { manifest: \"${ batch.manifest }\" } }
    promote: { registry: models, model: model }
  mark:
    on: { objects: { bucket: mark, suffix: .csv } }
    batch: { quiet: 1500ms, max_wait: 3s }
    overlap: allow
    budget: { runs: 1000, per: 24h }
    run: { service: local, pipeline: mark, parameters: { manifest: \"${ batch.manifest }\" } }
  long:
    on: { objects: { bucket: long, suffix: .csv } }
    batch: { quiet: 0s, max_wait: 2s }
    overlap: replace
    budget: { runs: 1000, per: 24h }
    run: { service: local, pipeline: long, parameters: { manifest: \"${ batch.manifest }\" } }
  slow:
    on: { objects: { bucket: slow, suffix: .csv } }
    batch: { quiet: 20d, max_wait: 30d }
    run: { service: local, pipeline: mark, parameters: { manifest: \"${ batch.manifest }\" } }
";

/// The rules, with somebody told at this address of what every trigger does. People hear of so little that it is no storm.
fn telling(address: &str) -> String {
    let receivers = format!(
        "notify:
  {PEOPLE}: {{ webhook: {{ url: \"{address}/{PEOPLE}\", auth: none }}, on: [cancelled, promoted, quarantine] }}
  {PROGRAMS}: {{ events: {{ url: \"{address}/{PROGRAMS}\", auth: none }} }}
"
    );
    let run = "    run: {";
    let told = format!("    notify: [{PEOPLE}, {PROGRAMS}]\n{run}");
    format!("{receivers}{}", RULES.replace(run, &told))
}

/// Where a life begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// A ledger that was just founded, and files in the buckets.
    Fresh,
    /// The same, and a life before it was killed when it was about to start a run.
    Taken,
    /// A ledger in which a summary is to be sealed and told, and other letters are told anew.
    Storm,
    /// A ledger that was left alone for longer than its window.
    Old,
    /// A ledger with as many identities as a state may hold, and one more.
    Full,
    /// The same after they were moved out of the state.
    Spilled,
}

/// Every point: where the life begins, the operation, and how many of its name are points.
const POINTS: &[(Scene, &str, usize)] = &[
    (Scene::Fresh, "announce", 1),
    (Scene::Fresh, "wake", 1),
    (Scene::Fresh, "create rules/", 1),
    (Scene::Fresh, "create inbox/", 2),
    (Scene::Fresh, "create parts/", 2),
    (Scene::Fresh, "create manifests/", 3),
    (Scene::Fresh, "create log/", 8),
    (Scene::Fresh, "list snapshot/", 1),
    (Scene::Fresh, "list inbox/", 1),
    (Scene::Fresh, "get log/", 2),
    (Scene::Fresh, "get rules/", 1),
    (Scene::Fresh, "get inbox/", 1),
    (Scene::Fresh, "get parts/", 1),
    (Scene::Fresh, "get manifests/", 1),
    (Scene::Fresh, "prepare", 2),
    (Scene::Fresh, "start", 3),
    (Scene::Fresh, "status", 2),
    (Scene::Fresh, "cancel", 1),
    (Scene::Fresh, "models", 2),
    (Scene::Fresh, "register", 1),
    (Scene::Fresh, "stage", 1),
    (Scene::Fresh, "tell", 2),
    (Scene::Fresh, "tell a program", 3),
    (Scene::Taken, "find", 2),
    (Scene::Storm, "seal", 1),
    (Scene::Storm, "tell a summary", 1),
    (Scene::Old, "get snapshot/", 1),
    (Scene::Old, "create snapshot/", 1),
    (Scene::Old, "list log/", 1),
    (Scene::Old, "list parts/", 1),
    (Scene::Old, "list manifests/", 1),
    (Scene::Old, "list seen/", 1),
    (Scene::Old, "sweep", 1),
    (Scene::Old, "delete inbox/", 2),
    (Scene::Old, "delete snapshot/", 1),
    (Scene::Old, "delete parts/", 2),
    (Scene::Old, "delete manifests/", 1),
    (Scene::Old, "delete seen/", 1),
    (Scene::Full, "create seen/", 1),
    (Scene::Spilled, "get seen/", 1),
];

/// A folder that is served.
struct Folder(TempDir);

impl Folder {
    /// A folder as the scene has it.
    fn new(scene: Scene, templates: &Path, post: &Post) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let at = |name: &str| folder.path().join(name);
        let tells = matches!(scene, Scene::Fresh | Scene::Taken | Scene::Storm);
        let rules = if tells { telling(&post.of(folder.path())) } else { RULES.to_owned() };
        fs::write(at("refit.yaml"), &rules).unwrap();
        let done = || "exit 0".to_owned();
        for (name, script) in [(MARK, done()), (MODEL, done()), (LONG, wait_for(&at("go")))] {
            let pipeline = at("pipelines").join(name);
            fs::create_dir_all(&pipeline).unwrap();
            let text = format!("steps:\n  - {{ name: only, command: [sh, -c, '{script}'] }}\n");
            fs::write(pipeline.join("pipeline.yaml"), text).unwrap();
            fs::create_dir_all(at("buckets").join(name)).unwrap();
        }
        match template(scene) {
            Some(template) => copy(&templates.join(template), folder.path()).unwrap(),
            None => planted::storm(folder.path(), &rules),
        }
        if matches!(scene, Scene::Fresh | Scene::Taken) {
            for file in ["mark/1.csv", "mark/2.csv", "mark/3.csv", "long/1.csv", "model/1.csv"] {
                fs::write(at("buckets").join(file), file).unwrap();
            }
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// One life, to its point: the operations it met.
    fn live_until(&self, point: &Point) -> BTreeSet<String> {
        let mut life = life::process(self.path(), point);
        let output = output(life.stdin(Stdio::null())).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let killed = output.status.signal() == Some(Signal::KILL.as_raw());
        assert!(killed, "{point} was never reached: {said}");
        said.lines().filter_map(|line| line.strip_prefix(MET)).map(str::to_owned).collect()
    }

    /// What was uploaded.
    fn files(&self) -> Vec<String> {
        let buckets =
            [LONG, MARK, MODEL].map(|bucket| (bucket, self.path().join("buckets").join(bucket)));
        let files = buckets.iter().flat_map(|(bucket, folder)| {
            let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
            names.map(move |name| format!("gs://{bucket}/{}", name.to_str().unwrap()))
        });
        let mut files: Vec<String> = files.collect();
        files.sort();
        files
    }

    /// Starts it plainly, waits until it rests, and proves it: the number of its runs.
    fn prove(&self, of: &str) -> usize {
        fs::write(self.path().join("go"), "").unwrap();
        let mut dev = Dev::start(self.path(), &[]);
        let place = dev.listening();
        dev.says("watching");
        let files = self.files();
        let given = |runs: &[Value]| {
            let done: Vec<_> =
                runs.iter().filter(|run| run["phase"] == "succeeded").cloned().collect();
            let mut members = proof::members(self.path(), &done);
            members.retain(|uri| files.contains(uri));
            members
        };
        proof::settle(self.path(), &place, |runs| {
            given(runs).len() >= files.len() && proof::versions(&place, MODEL) == makers(runs)
        });
        let runs = proof::each_batch_is_one_run(self.path(), &place, of);
        assert_eq!(given(&runs), files, "{of}: every file is in one run that was done");
        assert_eq!(proof::versions(&place, MODEL), makers(&runs), "{of}: each is one version");
        assert!(dev.terminate().success());
        proof::nothing_is_wrong(self.path(), of);
        runs.len()
    }
}

/// The keys of the runs that were to make a version, in order.
fn makers(runs: &[Value]) -> Vec<String> {
    let made = |run: &&Value| run["trigger"] == MODEL && run["phase"] == "succeeded";
    let mut keys: Vec<_> =
        runs.iter().filter(made).map(|run| run["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys
}

/// Waits until a file is there, a minute at the most.
fn wait_for(file: &Path) -> String {
    let file = file.display();
    format!("i=0; until [ -e {file} ] || [ $i -ge 600 ]; do sleep 0.1; i=$((i+1)); done")
}

/// The ledger a scene begins with, unless it is one of its own: whom it tells is in its rules from the first.
fn template(scene: Scene) -> Option<&'static str> {
    match scene {
        Scene::Fresh | Scene::Taken => Some("new"),
        Scene::Storm => None,
        Scene::Old => Some("old"),
        Scene::Full => Some("full"),
        Scene::Spilled => Some("spilled"),
    }
}

async fn plant(templates: &Path) {
    planted::new(&templates.join("new")).await;
    planted::old(&templates.join("old")).await;
    planted::full(&templates.join("full"), &templates.join("spilled")).await;
}

/// Every point, with where the life that meets it begins.
fn points() -> Vec<(Scene, Point)> {
    let numbered = POINTS.iter().flat_map(|(scene, operation, count)| {
        (1..=*count).map(move |number| (*scene, *operation, number))
    });
    let sides = numbered.flat_map(|(scene, operation, number)| {
        [Side::Before, Side::After]
            .map(|side| (scene, Point { side, operation: operation.to_owned(), number }))
    });
    sides.collect()
}

fn kill_at(scene: Scene, point: &Point, (templates, post): (&Path, &Post)) -> String {
    let folder = Folder::new(scene, templates, post);
    if scene == Scene::Taken {
        let start = Point { side: Side::Before, operation: "start".to_owned(), number: 1 };
        folder.live_until(&start);
    }
    let met = folder.live_until(point);
    let named = |name: &str| POINTS.iter().any(|(_, operation, _)| *operation == name);
    let unnamed: Vec<_> = met.iter().filter(|name| !named(name)).collect();
    assert!(met.contains(&point.operation) && unnamed.is_empty(), "no point is: {unnamed:?}");
    let runs = folder.prove(&point.to_string());
    let again = post.prove(folder.path(), &point.to_string());
    let is_told = point.side == Side::After && TELLING.contains(&point.operation.as_str());
    assert!(again > 0 || !is_told, "{point}: nobody knew that it was told");
    format!("{scene:?}: killed {point}: {runs} runs, {again} letters told again")
}

#[test]
fn killed_at_every_point_it_loses_nothing_and_does_nothing_twice() {
    let templates = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let post = runtime.block_on(async {
        plant(templates.path()).await;
        Post::open()
    });
    let ground = (templates.path(), &post);
    let points = points();
    let told = Mutex::new(vec![Err("not tried".to_owned()); points.len()]);
    let left = Mutex::new(points.iter().enumerate().rev().collect::<Vec<_>>());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().pop();
                    let Some((number, (scene, point))) = next else { return };
                    let tried = catch_unwind(|| kill_at(*scene, point, ground));
                    let line = tried.map_err(|_| format!("{scene:?}: {point} failed"));
                    told.lock().unwrap()[number] = line;
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    // What the test harness does not swallow.
    told.iter().flatten().for_each(|line| writeln!(std::io::stderr(), "{line}").unwrap());
    let failed: Vec<_> = told.iter().filter_map(|line| line.as_ref().err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by killed_at_every_point_it_loses_nothing_and_does_nothing_twice, in a process of its own"]
async fn lives_until_a_point() {
    if let Some((folder, point)) = life::given() {
        life::live(Path::new(&folder), point).await;
    }
}
