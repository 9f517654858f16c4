//! Listings of several pages, and what goes on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use refit_engine::port::Store;

use super::{Stage, fill, list_all, names_of, page};

fn numbered(folder: &str, numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|number| format!("{folder}/{number:05}")).collect()
}

pub(super) async fn a_limit_cuts_and_says_where_to_go_on(stage: Stage) {
    let store = stage.store().await;
    let names = numbered("inbox", 0..5);
    fill(&*store, &names).await;
    for limit in 1..5 {
        let page = page(&*store, "inbox/", "", limit).await;
        assert_eq!(names_of(&page.entries), names[..limit]);
        let from = page.next.expect("there is more");
        let rest = super::page(&*store, "inbox/", &from, 1000).await;
        assert_eq!(names_of(&rest.entries), names[limit..], "from {from}");
    }
}

pub(super) async fn a_limit_of_exactly_what_is_there_is_the_end(stage: Stage) {
    let store = stage.store().await;
    let names = numbered("inbox", 0..5);
    fill(&*store, &names).await;
    fill(&*store, &numbered("log", 0..5)).await;
    for limit in [5, 6, 1000] {
        assert_eq!(names_of(&list_all(&*store, "inbox/", limit).await), names);
    }
    assert_eq!(
        page(&*store, "inbox/", "", 6).await.next,
        None,
        "more in another folder is no more"
    );
}

pub(super) async fn a_page_never_holds_more_than_a_thousand(stage: Stage) {
    let store = stage.store().await;
    let names = numbered("inbox", 0..1001);
    fill(&*store, &names).await;
    for limit in [1000, 1001, usize::MAX] {
        let page = page(&*store, "", "", limit).await;
        assert_eq!(names_of(&page.entries), names[..1000], "limit {limit}");
        assert!(page.next.is_some(), "limit {limit}");
    }
}

pub(super) async fn many_pages_show_every_name_once_and_in_order(stage: Stage) {
    let store = stage.store().await;
    let names = numbered("inbox", 0..2500);
    let shuffled: Vec<String> = (0..2500).map(|i| names[i * 1117 % 2500].clone()).collect();
    fill(&*store, &shuffled).await;
    assert_eq!(names_of(&list_all(&*store, "inbox/", 1000).await), names);
    assert_eq!(names_of(&list_all(&*store, "", 1000).await), names);
}

pub(super) async fn small_pages_join_without_gap_or_overlap(stage: Stage) {
    let store = stage.store().await;
    let mut names = numbered("a", 0..20);
    names.extend(numbered("a/deep", 0..20));
    names.extend(numbered("b", 0..20));
    fill(&*store, &names).await;
    names.sort_unstable();
    for limit in [1, 7, 20, 59, 60, 61] {
        assert_eq!(names_of(&list_all(&*store, "", limit).await), names, "limit {limit}");
    }
}

pub(super) async fn a_page_can_begin_at_a_name_deleted_meanwhile(stage: Stage) {
    let store = stage.store().await;
    let names = numbered("inbox", 0..10);
    fill(&*store, &names).await;
    let from = page(&*store, "inbox/", "", 4).await.next.expect("there is more");
    for name in &names[3..6] {
        store.delete(name).await.expect("it can be deleted");
    }
    let rest = page(&*store, "inbox/", &from, 1000).await;
    assert_eq!(names_of(&rest.entries), names[6..]);
}

/// Lists page by page, again and again, while `work` goes on, and demands that every listing shows the names.
async fn listings_show(
    store: &Arc<dyn Store>,
    names: &[String],
    work: impl Future<Output = ()> + Send + 'static,
) {
    let over = Arc::new(AtomicBool::new(false));
    let worker = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            work.await;
            over.store(true, Ordering::Release);
        }
    });
    loop {
        let last = over.load(Ordering::Acquire);
        let listed = list_all(&**store, "inbox/", 13).await;
        let seen = names_of(&listed);
        assert!(seen.is_sorted_by(|a, b| a < b), "out of order, or twice: {seen:?}");
        let missing: Vec<_> =
            names.iter().filter(|name| seen.binary_search(&name.as_str()).is_err()).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        if last {
            break;
        }
        tokio::task::yield_now().await;
    }
    worker.await.expect("the writer did not fail");
}

pub(super) async fn a_listing_during_creates_loses_nothing_that_was_there(stage: Stage) {
    let store = stage.store().await;
    let before = numbered("inbox", (0..400).step_by(4));
    fill(&*store, &before).await;
    let writer = Arc::clone(&store);
    let work =
        async move { fill(&*writer, &numbered("inbox", (0..400).filter(|i| i % 4 != 0))).await };
    listings_show(&store, &before, work).await;
    assert_eq!(list_all(&*store, "inbox/", 1000).await.len(), 400);
}

pub(super) async fn a_listing_during_deletes_loses_nothing_that_stays(stage: Stage) {
    let store = stage.store().await;
    fill(&*store, &numbered("inbox", 0..400)).await;
    let writer = Arc::clone(&store);
    let work = async move {
        for name in numbered("inbox", (0..400).filter(|i| i % 4 != 0)) {
            writer.delete(&name).await.expect("it can be deleted");
        }
    };
    let staying = numbered("inbox", (0..400).step_by(4));
    listings_show(&store, &staying, work).await;
    assert_eq!(names_of(&list_all(&*store, "inbox/", 1000).await), staying);
}
