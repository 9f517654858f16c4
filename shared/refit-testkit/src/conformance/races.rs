//! Many at once, on threads of their own where the runtime has several.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use refit_core::error::Error;
use refit_engine::port::{Created, Store};
use tokio::sync::Barrier;

use super::{Stage, is_won, list_all, names_of, read, won};

/// How many race each other.
const RACERS: usize = 16;
/// How often they do.
const ROUNDS: usize = 20;

/// Lets all racers create at the same moment, each what `entry` says, and tells what came of it.
async fn race(store: &Arc<dyn Store>, entry: impl Fn(usize) -> (String, Bytes)) -> Vec<Created> {
    let start = Arc::new(Barrier::new(RACERS));
    let racers = (0..RACERS).map(|racer| {
        let (store, start, (name, body)) = (Arc::clone(store), Arc::clone(&start), entry(racer));
        tokio::spawn(async move {
            start.wait().await;
            store.create(&name, body).await
        })
    });
    let ends = join_all(racers).await.into_iter().map(|end| end.expect("a racer did not fail"));
    let ends: Result<Vec<Created>, Error> = ends.collect();
    ends.expect("the store can be written")
}

/// A body that says whose it is, long enough to be torn.
fn body_of(racer: usize) -> Bytes {
    vec![u8::try_from(racer).expect("few racers"); 100_000].into()
}

pub(super) async fn of_sixteen_racing_creators_exactly_one_wins(stage: Stage) {
    let store = stage.store().await;
    for round in 0..ROUNDS {
        let name = format!("log/{round:02}");
        let ends = race(&store, |racer| (name.clone(), body_of(racer))).await;
        let winners: Vec<usize> = (0..RACERS).filter(|racer| is_won(ends[*racer])).collect();
        assert_eq!(winners.len(), 1, "winners of round {round}: {winners:?}");
        assert!(read(&*store, &name).await == Some(body_of(winners[0])), "not the winner's body");
    }
}

pub(super) async fn of_sixteen_racing_creators_of_the_same_bytes_exactly_one_wins(stage: Stage) {
    let store = stage.store().await;
    for round in 0..ROUNDS {
        let ends = race(&store, |_| (format!("manifests/{round:02}"), body_of(7))).await;
        assert_eq!(ends.iter().filter(|end| is_won(**end)).count(), 1, "winners of round {round}");
    }
}

pub(super) async fn racing_creators_of_different_names_all_win(stage: Stage) {
    let store = stage.store().await;
    for round in 0..ROUNDS {
        let ends =
            race(&store, |racer| (format!("inbox/{round:02}/{racer:02}"), body_of(racer))).await;
        assert!(ends.iter().all(|end| is_won(*end)), "round {round}: {ends:?}");
    }
    assert_eq!(list_all(&*store, "inbox/", 1000).await.len(), RACERS * ROUNDS);
}

pub(super) async fn a_reader_sees_a_whole_object_or_none(stage: Stage) {
    let store = stage.store().await;
    let whole = Bytes::from(vec![b'x'; 1 << 20]);
    for round in 0..ROUNDS {
        let name = format!("inbox/{round:02}");
        let writer = tokio::spawn({
            let (store, name, whole) = (Arc::clone(&store), name.clone(), whole.clone());
            async move { won(&*store, &name, whole).await }
        });
        loop {
            let listed = super::page(&*store, &name, "", 1).await.entries;
            assert!(listed.iter().all(|entry| entry.size == 1 << 20), "listed in part: {listed:?}");
            match read(&*store, &name).await {
                Some(body) => break assert!(body == whole, "read in part: {} bytes", body.len()),
                None => assert_eq!(listed, [], "listed, yet absent"),
            }
            tokio::task::yield_now().await;
        }
        writer.await.expect("the writer did not fail");
    }
}

pub(super) async fn many_readers_at_once_all_see_the_object(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "log/1", body_of(1)).await;
    let readers = (0..200).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { read(&*store, "log/1").await })
    });
    for body in join_all(readers).await {
        assert!(body.expect("a reader did not fail") == Some(body_of(1)), "not the body");
    }
}

pub(super) async fn racing_deletes_all_succeed(stage: Stage) {
    let store = stage.store().await;
    won(&*store, "inbox/1", "one").await;
    let deletes = (0..RACERS).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.delete("inbox/1").await })
    });
    for end in join_all(deletes).await {
        end.expect("a deleter did not fail").expect("deleting succeeds, first or not");
    }
    assert_eq!(read(&*store, "inbox/1").await, None);
}

pub(super) async fn the_winner_of_a_race_is_listed_once(stage: Stage) {
    let store = stage.store().await;
    race(&store, |racer| ("log/1".to_owned(), body_of(racer))).await;
    let listed = list_all(&*store, "", 1000).await;
    assert_eq!(names_of(&listed), ["log/1"], "what the losers wrote must not show");
    assert_eq!(listed[0].size, 100_000);
}
