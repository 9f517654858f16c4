//! What a listing shows.

use refit_core::time::Timestamp;

use super::{Stage, entry, fill, names_of, names_under, page, won};

pub(super) async fn an_empty_store_lists_nothing(stage: Stage) {
    let store = stage.store().await;
    for prefix in ["", "inbox/", "log"] {
        let page = page(&*store, prefix, "", 1000).await;
        assert_eq!((page.entries, page.next), (Vec::new(), None));
        assert!(page.now > Timestamp::EPOCH, "no time at all");
    }
}

pub(super) async fn an_object_is_listed_as_soon_as_it_is_created(stage: Stage) {
    let store = stage.store().await;
    for number in 0..50 {
        let name = format!("inbox/{number:02}");
        won(&*store, &name, "").await;
        assert_eq!(entry(&*store, &name).await.name, name);
    }
}

/// Names in the order of their bytes, with the characters that sort around the slash.
const SORTED: [&str; 13] =
    ["A", "a-/b", "a-b", "a.b/c", "a.c", "a/-", "a/b-c", "a/b/c", "a/b0", "a0", "aA", "a_", "aa"];

pub(super) async fn names_are_listed_in_the_order_of_their_bytes(stage: Stage) {
    let store = stage.store().await;
    let backwards: Vec<String> = SORTED.iter().rev().map(|&name| name.to_owned()).collect();
    fill(&*store, &backwards).await;
    assert_eq!(names_under(&*store, "").await, SORTED);
}

pub(super) async fn a_listing_shows_sizes(stage: Stage) {
    let store = stage.store().await;
    for size in [0, 1, 1000, 70_000] {
        let name = format!("inbox/{size}");
        won(&*store, &name, vec![b'x'; size]).await;
        assert_eq!(entry(&*store, &name).await.size, size as u64);
    }
}

pub(super) async fn a_prefix_selects_by_characters_not_by_folders(stage: Stage) {
    let store = stage.store().await;
    fill(&*store, &["log/10", "log/11", "log/2", "lot", "other/log/1"].map(str::to_owned)).await;
    for (prefix, expected) in [
        ("log/1", &["log/10", "log/11"][..]),
        ("log/10", &["log/10"]),
        ("log/100", &[]),
        ("lo", &["log/10", "log/11", "log/2", "lot"]),
        ("log", &["log/10", "log/11", "log/2"]),
        ("other/", &["other/log/1"]),
        ("z", &[]),
    ] {
        assert_eq!(names_under(&*store, prefix).await, expected, "{prefix}");
    }
}

pub(super) async fn a_folder_does_not_show_neighbours_whose_names_begin_alike(stage: Stage) {
    let store = stage.store().await;
    fill(&*store, &["log-old/1", "log.d/1", "log/1", "log0", "logs/1"].map(str::to_owned)).await;
    assert_eq!(names_under(&*store, "log/").await, ["log/1"]);
    assert_eq!(names_under(&*store, "logs/").await, ["logs/1"]);
    assert_eq!(names_under(&*store, "").await.len(), 5, "and nothing else is in the store");
}

/// Lists from a name, within a prefix.
async fn check(stage: &Stage, cases: &[(&str, &str, &[&str])]) {
    let store = stage.store().await;
    fill(&*store, &["a/1", "log/1", "log/2", "log/3", "z/1"].map(str::to_owned)).await;
    for (prefix, from, expected) in cases {
        let page = page(&*store, prefix, from, 1000).await;
        assert_eq!(names_of(&page.entries), *expected, "prefix {prefix:?} from {from:?}");
    }
}

pub(super) async fn from_is_inclusive(stage: Stage) {
    check(
        &stage,
        &[
            ("log/", "log/1", &["log/1", "log/2", "log/3"]),
            ("log/", "log/2", &["log/2", "log/3"]),
            ("log/", "log/3", &["log/3"]),
            ("", "log/3", &["log/3", "z/1"]),
        ],
    )
    .await;
}

pub(super) async fn from_may_be_a_name_that_is_not_there(stage: Stage) {
    check(
        &stage,
        &[
            ("log/", "log/10", &["log/2", "log/3"]),
            ("log/", "log/2.5", &["log/3"]),
            ("log/", "log/4", &[]),
            ("", "log", &["log/1", "log/2", "log/3", "z/1"]),
            ("", "log/", &["log/1", "log/2", "log/3", "z/1"]),
            ("", "log0", &["z/1"]),
            ("", "zz", &[]),
        ],
    )
    .await;
}

pub(super) async fn from_and_prefix_hold_together(stage: Stage) {
    check(
        &stage,
        &[
            ("log/", "", &["log/1", "log/2", "log/3"]),
            ("log/", "a", &["log/1", "log/2", "log/3"]),
            ("log/", "z", &[]),
            ("log/2", "log/1", &["log/2"]),
            ("log/2", "log/3", &[]),
        ],
    )
    .await;
}

pub(super) async fn the_time_of_a_page_is_not_before_what_was_there(stage: Stage) {
    let store = stage.store().await;
    for number in 0..30 {
        let name = format!("inbox/{number:02}");
        let at = won(&*store, &name, "").await;
        let page = page(&*store, "inbox/", "", 1000).await;
        let newest = page.entries.iter().map(|entry| entry.created).max().expect("one was created");
        assert!(page.now + stage.slack() >= newest.max(at), "{} is before {newest}", page.now);
    }
}

pub(super) async fn the_times_of_pages_do_not_go_back(stage: Stage) {
    let store = stage.store().await;
    let mut before = Timestamp::EPOCH;
    for _ in 0..50 {
        let now = page(&*store, "", "", 1).await.now;
        assert!(now + stage.slack() >= before, "{now} is before {before}");
        before = before.max(now);
    }
}
