//! One object at a time.

use refit_core::time::Timestamp;

use super::{Stage, entry, lost, names_under, read, won};

pub(super) async fn what_was_never_created_is_absent(stage: Stage) {
    let store = stage.store().await;
    for name in ["log/1", "log", "inbox/deep/er/x", "x"] {
        assert_eq!(read(&*store, name).await, None, "{name}");
    }
    won(&*store, "log/2", "two").await;
    assert_eq!(read(&*store, "log/1").await, None, "beside another");
}

pub(super) async fn what_was_created_is_read_back(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "log/1", "one").await;
    won(&*store, "log/2", "two").await;
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&b"one"[..]));
    assert_eq!(read(&*store, "log/2").await.as_deref(), Some(&b"two"[..]));
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&b"one"[..]), "once more");
}

pub(super) async fn an_empty_body_is_a_body(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "log/1", "").await;
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&b""[..]));
    assert_eq!(entry(&*store, "log/1").await.size, 0);
    lost(&*store, "log/1", "something").await;
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&b""[..]));
}

pub(super) async fn a_body_is_bytes_not_text(stage: Stage) {
    let store = stage.store().await;
    let body: Vec<u8> = (0..=255).chain([b'\r', b'\n', 0, 0xff]).collect();
    won(&*store, "log/1", body.clone()).await;
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&body[..]));
}

pub(super) async fn a_mebibyte_is_read_back_whole(stage: Stage) {
    let store = stage.store().await;
    let body: Vec<u8> =
        (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    won(&*store, "inbox/big", body.clone()).await;
    assert!(read(&*store, "inbox/big").await.as_deref() == Some(&body[..]), "the bytes differ");
    assert_eq!(entry(&*store, "inbox/big").await.size, 1 << 20);
}

pub(super) async fn the_second_create_loses_and_the_first_body_stays(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "log/1", "first").await;
    lost(&*store, "log/1", "second").await;
    lost(&*store, "log/1", "third").await;
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&b"first"[..]));
    assert_eq!(entry(&*store, "log/1").await.size, 5);
}

pub(super) async fn the_same_body_again_loses(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "log/1", "same").await;
    lost(&*store, "log/1", "same").await;
    assert_eq!(read(&*store, "log/1").await.as_deref(), Some(&b"same"[..]));
}

pub(super) async fn a_deleted_object_is_gone(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "inbox/1", "one").await;
    store.delete("inbox/1").await.expect("it can be deleted");
    assert_eq!(read(&*store, "inbox/1").await, None);
    assert_eq!(names_under(&*store, "").await, [""; 0]);
}

pub(super) async fn deleting_what_is_not_there_succeeds(stage: Stage) {
    let store = stage.store().await;
    store.delete("inbox/1").await.expect("nothing was there");
    won(&*store, "inbox/1", "one").await;
    store.delete("inbox/1").await.expect("it can be deleted");
    store.delete("inbox/1").await.expect("it is deleted already");
    assert_eq!(read(&*store, "inbox/1").await, None);
}

pub(super) async fn deleting_one_leaves_its_neighbours(stage: Stage) {
    let store = stage.store().await;
    for name in ["inbox/1", "inbox/10", "inbox/1.a", "inbox/2"] {
        won(&*store, name, name).await;
    }
    store.delete("inbox/1").await.expect("it can be deleted");
    assert_eq!(names_under(&*store, "").await, ["inbox/1.a", "inbox/10", "inbox/2"]);
}

pub(super) async fn a_deleted_name_can_be_created_again(stage: Stage) {
    let store = stage.store().await;
    let first = won(&*store, "inbox/1", "first").await;
    store.delete("inbox/1").await.expect("it can be deleted");
    let second = won(&*store, "inbox/1", "second").await;
    assert_eq!(read(&*store, "inbox/1").await.as_deref(), Some(&b"second"[..]));
    assert!(second + stage.slack() >= first, "{second} is before {first}");
    assert!(entry(&*store, "inbox/1").await.created + stage.slack() >= second, "an older time");
}

pub(super) async fn a_listing_shows_the_time_that_creating_told(stage: Stage) {
    let store = stage.store().await;
    for name in ["inbox/1", "inbox/2", "log/1"] {
        let at = won(&*store, name, name).await;
        let created = entry(&*store, name).await.created;
        let off = at.since(created).max(created.since(at));
        assert!(off <= stage.slack(), "{name}: told {at}, listed {created}");
        assert!(at > Timestamp::EPOCH, "{name}: no time at all");
    }
}

pub(super) async fn a_later_object_has_a_later_time(stage: Stage) {
    let store = stage.store().await;
    let mut before = Timestamp::EPOCH;
    for number in 0..50 {
        let name = format!("log/{number:02}");
        let at = won(&*store, &name, name.clone()).await;
        assert!(at + stage.slack() >= before, "{at} is before {before}");
        before = before.max(at);
    }
}

pub(super) async fn a_loser_is_told_a_time_after_the_winners(stage: Stage) {
    let store = stage.store().await;
    let won_at = won(&*store, "log/1", "one").await;
    let lost_at = lost(&*store, "log/1", "two").await;
    assert!(lost_at + stage.slack() >= won_at, "{lost_at} is before {won_at}");
}

pub(super) async fn the_time_of_an_object_never_changes(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "log/1", "one").await;
    let created = entry(&*store, "log/1").await.created;
    for number in 2..30 {
        lost(&*store, "log/1", "two").await;
        won(&*store, &format!("log/{number}"), "beside").await;
        read(&*store, "log/1").await;
        store.delete(&format!("log/{number}")).await.expect("it can be deleted");
        stage.store().await;
    }
    if stage.traits().persistent {
        assert_eq!(entry(&*stage.store().await, "log/1").await.created, created, "opened again");
    }
    assert_eq!(entry(&*store, "log/1").await.created, created);
}
