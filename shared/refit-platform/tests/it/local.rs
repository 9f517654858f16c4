//! The store in a directory: the suite, and what only a disk can do wrong.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::ErrorKind;
use refit_core::time::Span;
use refit_engine::port::{Created, Store};
use refit_platform::store::LocalStore;
use refit_testkit::conformance::{self, Backend, Traits};
use refit_testkit::skip::skipped;
use tempfile::TempDir;

use crate::alone::{alone, given, new_folder, on_a_disk_of_its_own};
use crate::requests::open;

struct Local(TempDir);

#[async_trait]
impl Backend for Local {
    async fn open(&self, place: &str) -> Arc<dyn Store> {
        let location = self.0.path().join(place);
        open(location.to_str().unwrap()).await
    }

    fn traits(&self) -> Traits {
        // File systems take the time of the last tick of the kernel, a hundredth of a second at most.
        Traits { slack: Span::from_millis(20), persistent: true }
    }
}

mod suite {
    refit_testkit::store_conformance!(std::sync::Arc::new(super::Local(super::new_folder())));
}

async fn create(root: &Path, name: &str) -> Result<Created, refit_core::error::Error> {
    LocalStore::open(root).await?.create(name, "body".into()).await
}

#[tokio::test]
async fn killed_writers_leave_only_whole_objects() {
    let root = new_folder();
    let store = LocalStore::open(root.path()).await.unwrap();
    let writer = || alone("local::writes_until_killed", root.path());
    conformance::killed_writers_leave_only_whole_objects(&store, writer).await;
}

#[tokio::test]
#[ignore = "run by killed_writers_leave_only_whole_objects, in a process of its own"]
async fn writes_until_killed() {
    if let Some(root) = given() {
        conformance::write_until_killed(&LocalStore::open(root).await.unwrap()).await;
    }
}

#[test]
fn a_full_disk_refuses_and_shows_nothing_in_part() {
    if !on_a_disk_of_its_own("local::fills_a_small_disk", "size=256k,mode=700") {
        skipped(
            "a_full_disk_refuses_and_shows_nothing_in_part",
            "this user cannot mount a small disk",
        );
    }
}

#[tokio::test]
#[ignore = "run by a_full_disk_refuses_and_shows_nothing_in_part, on a disk of 256 KiB"]
async fn fills_a_small_disk() {
    let Some(root) = given() else { return };
    let store = LocalStore::open(&root).await.unwrap();
    let body = Bytes::from(vec![b'x'; 50_000]);
    let mut error = None;
    for number in 0..20 {
        error = error.or(store.create(&format!("log/{number:02}"), body.clone()).await.err());
    }
    let error = error.expect("20 times 50 kB do not fit into 256 KiB");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let entries = store.list("", "", 1000).await.unwrap().entries;
    assert!((1..6).contains(&entries.len()), "{entries:?}");
    assert!(entries.iter().all(|entry| entry.size == 50_000), "{entries:?}");
    assert_eq!(
        fs::read_dir(Path::new(&root).join(".tmp")).unwrap().count(),
        0,
        "leftovers fill the disk"
    );
}

#[test]
fn a_read_only_disk_is_refused_with_the_reason() {
    if !on_a_disk_of_its_own("local::opens_on_a_read_only_disk", "ro,mode=700") {
        skipped(
            "a_read_only_disk_is_refused_with_the_reason",
            "this user cannot mount a read-only disk",
        );
    }
}

#[tokio::test]
#[ignore = "run by a_read_only_disk_is_refused_with_the_reason, on such a disk"]
async fn opens_on_a_read_only_disk() {
    let Some(root) = given() else { return };
    let error = LocalStore::open(&root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("read-only"), "{error}");
}

#[tokio::test]
async fn a_directory_that_others_could_change_is_refused_with_the_cure() {
    let folder = new_folder();
    let make = |name: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let link = folder.path().join("link");
    symlink(make("fine", 0o755), &link).unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    for (path, words) in [
        (
            make("for-the-group", 0o770),
            "can be written by others (mode 770); take that away with chmod go-w",
        ),
        (
            make("for-all", 0o1777),
            "can be written by others (mode 1777); take that away with chmod go-w",
        ),
        (link, "is a symbolic link; name the directory it points to"),
        (file, "is not a directory"),
    ] {
        let error = LocalStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(words) && text.contains(&format!("path=`{}`", path.display())),
            "{text}"
        );
    }
    LocalStore::open(folder.path().join("fine")).await.expect("what others may only read is fine");
}

#[tokio::test]
async fn a_directory_of_another_user_is_refused() {
    let folder = new_folder();
    if std::os::unix::fs::chown(folder.path(), Some(65_534), None).is_err() {
        skipped("a_directory_of_another_user_is_refused", "this user cannot give directories away");
        return;
    }
    let error = LocalStore::open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("belongs to user 65534, not to user "), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_gone_is_no_empty_ledger() {
    let folder = new_folder();
    let (here, away) = (folder.path().join("ledger"), folder.path().join("away"));
    let store = LocalStore::open(&here).await.unwrap();
    assert!(store.list("log/", "", 1).await.unwrap().entries.is_empty());
    assert_eq!(store.get("log/1").await.unwrap(), None);
    fs::rename(&here, &away).unwrap();
    for _ in 0..2 {
        let listed = store.list("log/", "", 1).await.unwrap_err();
        let read = store.get("log/1").await.unwrap_err();
        for error in [listed, read] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("the directory of the ledger is gone"), "{error}");
        }
        // A writer that comes now makes folders anew, and no ledger of them.
        assert!(store.create("log/1", Bytes::new()).await.is_err());
    }
    fs::remove_dir_all(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    assert_eq!(store.get("log/1").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_made_is_for_the_current_user_alone() {
    let folder = new_folder();
    let root = folder.path().join("a/ledger");
    create(&root, "inbox/deep/1").await.unwrap();
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().mode() & 0o777;
    for path in ["a", "a/ledger", "a/ledger/.tmp", "a/ledger/inbox", "a/ledger/inbox/deep"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    assert_eq!(mode("a/ledger/inbox/deep/1"), 0o600);
}

#[tokio::test]
async fn files_left_aside_are_removed_after_a_day_and_no_earlier() {
    let folder = new_folder();
    create(folder.path(), "log/1").await.unwrap();
    let aside = folder.path().join(".tmp");
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 0, "a winner leaves nothing");
    create(folder.path(), "log/1").await.unwrap();
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 0, "nor does a loser");
    let day = Duration::from_secs(86_400);
    let now = fs::metadata(folder.path().join("log/1")).unwrap().modified().unwrap();
    for (name, age) in
        [("old", day + Duration::from_secs(60)), ("young", day - Duration::from_secs(60))]
    {
        File::create(aside.join(name)).unwrap().set_modified(now - age).unwrap();
    }
    LocalStore::open(folder.path()).await.unwrap();
    let left: Vec<_> =
        fs::read_dir(&aside).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["young"]);
}

#[tokio::test]
async fn only_files_count_as_objects() {
    let folder = new_folder();
    let store = LocalStore::open(folder.path()).await.unwrap();
    store.create("log/1", "one".into()).await.unwrap();
    let outside = new_folder();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path().join("secret"), folder.path().join("log/2")).unwrap();
    symlink(outside.path(), folder.path().join("elsewhere")).unwrap();
    fs::create_dir(folder.path().join("log/3")).unwrap();
    fs::write(folder.path().join("log/.hidden"), "hidden").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("log/4"), rustix::fs::Mode::RUSR)
        .unwrap();
    let listed = store.list("", "", 1000).await.unwrap().entries;
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["log/1"]);
    for name in ["log/2", "log/3", "log/4"] {
        assert_eq!(store.get(name).await.unwrap_err().kind(), ErrorKind::Data, "{name}");
        assert_eq!(
            store.create(name, "x".into()).await.unwrap_err().kind(),
            ErrorKind::Data,
            "{name}"
        );
    }
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

#[tokio::test]
async fn nothing_is_read_made_or_deleted_by_way_of_a_symbolic_link() {
    let (folder, outside) = (new_folder(), new_folder());
    let store = LocalStore::open(folder.path()).await.unwrap();
    fs::create_dir(outside.path().join("deep")).unwrap();
    let secrets = ["secret", "deep/secret"].map(|name| outside.path().join(name));
    secrets.iter().for_each(|secret| fs::write(secret, "secret").unwrap());
    symlink(outside.path(), folder.path().join("log")).unwrap();
    for name in ["log/secret", "log/deep/secret"] {
        let refused = [
            store.get(name).await.map(drop).unwrap_err(),
            store.create(&format!("{name}2"), "x".into()).await.map(drop).unwrap_err(),
            store.delete(name).await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.to_string().contains("not a folder"), "{error}");
        }
    }
    assert_eq!(store.list("", "", 1000).await.unwrap().entries.len(), 0);
    assert!(secrets.iter().all(|secret| fs::read(secret).unwrap() == b"secret"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2, "nothing was made there");
}

#[tokio::test]
async fn a_name_below_an_object_is_refused() {
    let folder = new_folder();
    let store = LocalStore::open(folder.path()).await.unwrap();
    store.create("log/1", "one".into()).await.unwrap();
    let error = store.create("log/1/2", "x".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("not a folder"), "{error}");
    assert_eq!(store.get("log/1/2").await.unwrap(), None);
    store.delete("log/1/2").await.unwrap();
}

#[tokio::test]
async fn a_folder_removed_under_a_writer_is_made_again() {
    let folder = new_folder();
    let store = LocalStore::open(folder.path()).await.unwrap();
    store.create("log/1", "one".into()).await.unwrap();
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    assert_eq!(store.create("log/2", "x".into()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(matches!(store.create("log/2", "x".into()).await, Ok(Created::Won { .. })));
}

#[tokio::test]
async fn creating_tells_the_time_that_the_file_has_for_ever() {
    let folder = new_folder();
    let store = LocalStore::open(folder.path()).await.unwrap();
    for number in 0..20 {
        let name = format!("log/{number}");
        let Created::Won { at } = store.create(&name, "x".into()).await.unwrap() else {
            panic!("lost")
        };
        let listed = store.list(&name, "", 1).await.unwrap().entries[0].created;
        assert_eq!(at, listed, "exactly, not only nearly");
    }
}
