//! The watcher over real files, a door that answers as it is told, and a clock that is moved.

use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use refit_core::time::Timestamp;
use refit_testkit::clock::ManualClock;
use refit_wire::http::{Reply, Response};
use serde_json::json;
use tempfile::TempDir;

use super::standing::STILL;
use super::*;

/// A door: what it answers, and every notification it was sent.
#[derive(Default)]
struct Door {
    status: Mutex<u16>,
    sent: Mutex<Vec<String>>,
    /// On which a minute goes by until it answers.
    slow: Mutex<Option<Arc<ManualClock>>>,
}

#[async_trait]
impl Transport for Door {
    async fn send(&self, request: Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let said = |name: &str| {
            body["message"]["attributes"][name].as_str().unwrap_or_default().to_owned()
        };
        let line = [said("eventType"), said("objectId"), said("objectGeneration")].join(" ");
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        if let Some(clock) = &*self.slow.lock().unwrap_or_else(PoisonError::into_inner) {
            clock.advance(Span::mins(1));
        }
        let status = *self.status.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Response { status, ..Response::default() })
    }
}

struct World {
    folder: TempDir,
    clock: Arc<ManualClock>,
    door: Arc<Door>,
}

impl World {
    fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000))),
            door: Arc::default(),
        };
        fs::create_dir_all(world.folder.path().join("buckets/uploads")).unwrap();
        world
    }

    fn watcher(&self) -> Watcher {
        let at = |name: &str| self.folder.path().join(name);
        let config = Config {
            buckets: at("buckets"),
            record: at("announced.json"),
            door: "http://127.0.0.1/object".parse().unwrap(),
            transport: Arc::<Door>::clone(&self.door),
            clock: Arc::<ManualClock>::clone(&self.clock),
            teller: Teller::new().0,
        };
        Watcher::open(config).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("buckets/uploads").join(name)
    }

    /// The door answers so from now on.
    fn answers(&self, status: u16) {
        *self.door.status.lock().unwrap() = status;
    }

    /// Looks, lets files stand still, looks again: what was sent.
    async fn looks(&self, watcher: &mut Watcher) -> Vec<String> {
        watcher.look().await;
        self.clock.advance(STILL);
        watcher.look().await;
        std::mem::take(&mut *self.door.sent.lock().unwrap())
    }
}

/// Makes folders in a folder, the last of which have paths longer than any call takes, so that nobody can look at them,
/// whatever their rights; the place of the last, below the folder.
pub(super) fn bury(folder: &Path) -> String {
    let name = "d".repeat(250);
    let mut open = fs::File::open(folder).unwrap();
    let deep = 17;
    for _ in 0..deep {
        let next = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
        fs::create_dir(&next).unwrap();
        open = fs::File::open(&next).unwrap();
    }
    vec![name; deep].join("/")
}

fn generation(path: &Path) -> i64 {
    scan::look_at(path).unwrap().unwrap().generation
}

#[tokio::test]
async fn a_file_is_announced_until_the_door_acknowledges_it_and_then_no_more_in_any_life() {
    let world = World::new();
    fs::write(world.file("a.csv"), "x").unwrap();
    let line = format!("OBJECT_FINALIZE a.csv {}", generation(&world.file("a.csv")));
    world.answers(503);
    let mut watcher = world.watcher();
    assert_eq!(world.looks(&mut watcher).await, [line.as_str()]);
    watcher.look().await;
    assert!(world.door.sent.lock().unwrap().is_empty(), "it waits a while before it tries again");

    world.answers(204);
    let mut killed = world.watcher();
    assert_eq!(world.looks(&mut killed).await, [line.as_str()], "the same in the next life");
    assert_eq!(world.looks(&mut killed).await, [""; 0]);
    assert_eq!(world.looks(&mut world.watcher()).await, [""; 0]);

    world.clock.advance(BACK_OFF_MAX);
    watcher.look().await;
    assert_eq!(
        *world.door.sent.lock().unwrap(),
        [line.as_str()],
        "whoever was refused comes again"
    );
}

#[tokio::test]
async fn an_overwritten_file_is_a_new_generation_and_one_that_is_gone_is_deleted() {
    let world = World::new();
    world.answers(204);
    let mut watcher = world.watcher();
    fs::write(world.file("a.csv"), "x").unwrap();
    let first = generation(&world.file("a.csv"));
    world.looks(&mut watcher).await;
    fs::write(world.file("b.csv"), "xy").unwrap();
    fs::rename(world.file("b.csv"), world.file("a.csv")).unwrap();
    let second = generation(&world.file("a.csv"));
    assert_eq!(world.looks(&mut watcher).await, [format!("OBJECT_FINALIZE a.csv {second}")]);
    assert!(second >= first);
    fs::remove_file(world.file("a.csv")).unwrap();
    assert_eq!(world.looks(&mut watcher).await, [format!("OBJECT_DELETE a.csv {second}")]);
    assert_eq!(world.looks(&mut watcher).await, [""; 0]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_looked_at_hides_nothing_else_and_its_files_are_not_gone() {
    let world = World::new();
    world.answers(204);
    let place = bury(&world.file(""));
    let stat = json!({ "inode": 1, "bytes": 1, "modified_ns": 1, "generation": 1 });
    let kept = json!({ format!("uploads/{place}/x.csv"): stat, "uploads/gone.csv": stat });
    fs::write(world.folder.path().join("announced.json"), kept.to_string()).unwrap();
    fs::write(world.file("a.csv"), "x").unwrap();
    let line = format!("OBJECT_FINALIZE a.csv {}", generation(&world.file("a.csv")));
    let mut watcher = world.watcher();
    let mut told = world.looks(&mut watcher).await;
    told.sort();
    assert_eq!(told, ["OBJECT_DELETE gone.csv 1", line.as_str()]);
    assert_eq!(watcher.hidden.len(), 1, "it is complained of once");
    assert_eq!(world.looks(&mut watcher).await, [""; 0]);
}

#[tokio::test]
async fn a_slow_door_does_not_make_looks_rare() {
    let world = World::new();
    world.answers(204);
    *world.door.slow.lock().unwrap() = Some(Arc::clone(&world.clock));
    let mut watcher = world.watcher();
    fs::write(world.file("a.csv"), "x").unwrap();
    watcher.look().await;
    world.clock.advance(STILL);
    let looked = watcher.look().await;
    assert_eq!(world.door.sent.lock().unwrap().len(), 1);
    assert_eq!(looked, Span::ZERO);
}

#[test]
fn a_record_that_is_none_is_an_error_with_its_cure() {
    let world = World::new();
    let record = world.folder.path().join("announced.json");
    fs::write(&record, json!([1]).to_string()).unwrap();
    let error = read(&record).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("remove the file"), "{error}");
}
