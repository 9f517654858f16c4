//! Which names there are.

use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};

use super::{Stage, lost, names_under, read, won};

pub(super) async fn every_lawful_character_is_kept(stage: Stage) {
    let store = stage.store().await;
    let name = "AZaz09._-/x.Y_z-0/ABCDEFGHIJKLMNOPQRSTUVWXYZ/abcdefghijklmnopqrstuvwxyz.0123456789";
    won(&*store, name, "body").await;
    assert_eq!(read(&*store, name).await.as_deref(), Some(&b"body"[..]));
    assert_eq!(names_under(&*store, "").await, [name]);
}

pub(super) async fn names_may_be_deep_and_long(stage: Stage) {
    let store = stage.store().await;
    let deep = vec!["d"; 40].join("/");
    let long = format!("manifests/{}", "x".repeat(200));
    let both = [&"y".repeat(120)[..]; 4].join("/");
    for name in [&deep, &long, &both] {
        won(&*store, name, name.clone()).await;
        lost(&*store, name, name.clone()).await;
        assert_eq!(read(&*store, name).await.as_deref(), Some(name.as_bytes()));
    }
    assert_eq!(names_under(&*store, "").await, [deep, long, both]);
}

pub(super) async fn names_that_look_alike_are_different_objects(stage: Stage) {
    let store = stage.store().await;
    let names = ["a-b", "a.b", "a/b", "ab", "ab.", "a_b", "log/1", "log/01", "log/1.0"];
    for name in names {
        won(&*store, name, name).await;
    }
    for name in names {
        assert_eq!(read(&*store, name).await.as_deref(), Some(name.as_bytes()));
    }
    assert_eq!(names_under(&*store, "").await.len(), names.len());
}

pub(super) async fn unlawful_names_are_refused(stage: Stage) {
    let store = stage.store().await;
    let long = "x".repeat(2000);
    let names = [
        "",
        "/",
        "/etc/x",
        "log/",
        "log//1",
        ".",
        "..",
        "../x",
        "log/../x",
        "log/..",
        "./x",
        "log/.hidden",
        ".tmp/x",
        "log/a b",
        "log/ä",
        "log/a\0b",
        "log\\1",
        "log/a:b",
        "log/%2e",
        "log/a\n",
        "~",
        &long,
    ];
    for name in names {
        refused(name, store.create(name, Bytes::new()).await);
        refused(name, store.get(name).await);
        refused(name, store.delete(name).await);
    }
    assert_eq!(names_under(&*store, "").await, [""; 0]);
}

fn refused<T>(name: &str, answer: Result<T, Error>) {
    assert_eq!(answer.err().map(|error| error.kind()), Some(ErrorKind::Invalid), "name {name:?}");
}
