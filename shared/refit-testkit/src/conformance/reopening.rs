//! A store that is opened again, or twice.

use super::{Stage, is_won, names_under, read, won};

pub(super) async fn a_store_opened_again_shows_what_it_keeps(stage: Stage) {
    let store = stage.store().await;
    let names = ["inbox/1", "log/1", "log/2"];
    for name in names {
        won(&*store, name, name).await;
    }
    drop(store);
    let again = stage.store().await;
    let kept = if stage.traits().persistent { &names[..] } else { &[] };
    assert_eq!(names_under(&*again, "").await, kept);
    for name in kept {
        assert_eq!(read(&*again, name).await.as_deref(), Some(name.as_bytes()));
    }
}

pub(super) async fn a_name_taken_before_reopening_stays_taken(stage: Stage) {
    won(&*stage.store().await, "log/1", "first").await;
    let again = stage.store().await;
    let created = again.create("log/1", "second".into()).await.expect("it can be written");
    assert_eq!(is_won(created), !stage.traits().persistent);
    let body = if stage.traits().persistent { "first" } else { "second" };
    assert_eq!(read(&*again, "log/1").await.as_deref(), Some(body.as_bytes()));
}

pub(super) async fn what_was_deleted_stays_deleted_after_reopening(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "inbox/1", "one").await;
    won(&*store, "inbox/2", "two").await;
    store.delete("inbox/1").await.expect("it can be deleted");
    drop(store);
    let kept: &[&str] = if stage.traits().persistent { &["inbox/2"] } else { &[] };
    assert_eq!(names_under(&*stage.store().await, "").await, kept);
}

pub(super) async fn two_that_have_it_open_see_each_others_objects(stage: Stage) {
    let (one, two) = (stage.store().await, stage.store().await);
    won(&*one, "log/1", "one").await;
    let seen = read(&*two, "log/1").await;
    assert_eq!(seen.is_some(), stage.traits().persistent);
    if stage.traits().persistent {
        won(&*two, "log/2", "two").await;
        two.delete("log/1").await.expect("it can be deleted");
        assert_eq!(names_under(&*one, "").await, ["log/2"]);
        assert_eq!(read(&*one, "log/1").await, None);
    }
}
