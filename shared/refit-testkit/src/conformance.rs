//! What every store must do, as tests that every store is put through.
//!
//! A new store is plugged in by implementing [`Backend`] and writing [`store_conformance!`](crate::store_conformance)
//! in a test: each case becomes a test of its own. What differs among stores is an argument ([`Traits`]), never a
//! reason to leave a case out.

mod failing;
mod kill;
mod listing;
mod names;
mod objects;
mod pages;
mod races;
mod reopening;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Created, Entry, Page, Store};

pub use kill::{killed_writers_leave_only_whole_objects, write_until_killed};

/// A kind of store, as the suite sees it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Opens the store at a place: the same store each time, empty the first time.
    async fn open(&self, place: &str) -> Arc<dyn Store>;

    /// What differs among stores.
    fn traits(&self) -> Traits;
}

/// What differs among stores.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// How far two times of the store may be off against each other.
    pub slack: Span,
    /// Whether opening a place again finds what was created there.
    pub persistent: bool,
}

/// Where one case plays: a place of its own.
#[derive(Clone)]
pub struct Stage {
    backend: Arc<dyn Backend>,
    place: String,
}

/// One case.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it demands, as a sentence.
    pub name: &'static str,
    play: fn(Stage) -> BoxFuture<'static, ()>,
}

impl Case {
    /// Puts a store through the case.
    ///
    /// # Panics
    /// If the store does not do what the case demands.
    pub async fn play(&self, backend: Arc<dyn Backend>) {
        (self.play)(Stage { backend, place: self.name.to_owned() }).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The list of cases, from which the table and the macro that makes tests of them are made.
macro_rules! cases {
    ($dollar:tt $($module:ident { $($name:ident)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(
            Case { name: stringify!($name), play: |stage| Box::pin($module::$name(stage)) },
        )*)*];

        /// Makes a test of every case for the store that the expression, an `Arc<dyn Backend>`, stands for; after
        /// `optional` it is an `Option` of one, and where there is none each test says by name that it is skipped.
        #[macro_export]
        macro_rules! store_conformance {
            (optional $dollar backend:expr) => {$($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    match $dollar backend {
                        Some(backend) => $crate::conformance::play(stringify!($name), backend).await,
                        None => $crate::skip::skipped(
                            concat!(module_path!(), "::", stringify!($name)),
                            "the server it needs is not installed",
                        ),
                    }
                }
            )*)*};
            ($dollar backend:expr) => {$($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::conformance::play(stringify!($name), $dollar backend).await;
                }
            )*)*};
        }
    };
}

cases! { $
    objects {
        what_was_never_created_is_absent
        what_was_created_is_read_back
        an_empty_body_is_a_body
        a_body_is_bytes_not_text
        a_mebibyte_is_read_back_whole
        the_second_create_loses_and_the_first_body_stays
        the_same_body_again_loses
        a_deleted_object_is_gone
        deleting_what_is_not_there_succeeds
        deleting_one_leaves_its_neighbours
        a_deleted_name_can_be_created_again
        a_listing_shows_the_time_that_creating_told
        a_later_object_has_a_later_time
        a_loser_is_told_a_time_after_the_winners
        the_time_of_an_object_never_changes
    }
    names {
        every_lawful_character_is_kept
        names_may_be_deep_and_long
        names_that_look_alike_are_different_objects
        unlawful_names_are_refused
    }
    listing {
        an_empty_store_lists_nothing
        an_object_is_listed_as_soon_as_it_is_created
        names_are_listed_in_the_order_of_their_bytes
        a_listing_shows_sizes
        a_prefix_selects_by_characters_not_by_folders
        a_folder_does_not_show_neighbours_whose_names_begin_alike
        from_is_inclusive
        from_may_be_a_name_that_is_not_there
        from_and_prefix_hold_together
        the_time_of_a_page_is_not_before_what_was_there
        the_times_of_pages_do_not_go_back
    }
    pages {
        a_limit_cuts_and_says_where_to_go_on
        a_limit_of_exactly_what_is_there_is_the_end
        a_page_never_holds_more_than_a_thousand
        many_pages_show_every_name_once_and_in_order
        small_pages_join_without_gap_or_overlap
        a_page_can_begin_at_a_name_deleted_meanwhile
        a_listing_during_creates_loses_nothing_that_was_there
        a_listing_during_deletes_loses_nothing_that_stays
    }
    races {
        of_sixteen_racing_creators_exactly_one_wins
        of_sixteen_racing_creators_of_the_same_bytes_exactly_one_wins
        racing_creators_of_different_names_all_win
        a_reader_sees_a_whole_object_or_none
        many_readers_at_once_all_see_the_object
        racing_deletes_all_succeed
        the_winner_of_a_race_is_listed_once
    }
    failing {
        after_a_lost_answer_the_retry_loses_and_the_body_is_ours
        after_a_failure_before_the_effect_the_retry_wins
        a_create_given_up_midway_left_all_or_nothing
    }
    reopening {
        a_store_opened_again_shows_what_it_keeps
        a_name_taken_before_reopening_stays_taken
        what_was_deleted_stays_deleted_after_reopening
        two_that_have_it_open_see_each_others_objects
    }
}

/// Puts a store through the case of this name.
///
/// # Panics
/// If the store does not do what the case demands, and if there is no such case.
pub async fn play(name: &str, backend: Arc<dyn Backend>) {
    let case = CASES.iter().find(|case| case.name == name).expect("the case is in the table");
    case.play(backend).await;
}

impl Stage {
    async fn store(&self) -> Arc<dyn Store> {
        self.backend.open(&self.place).await
    }

    fn traits(&self) -> Traits {
        self.backend.traits()
    }

    fn slack(&self) -> Span {
        self.backend.traits().slack
    }
}

/// Creates of one store under way at a time.
const PARALLEL: usize = 64;

/// Creates an object that must not exist yet, and says when.
async fn won(store: &dyn Store, name: &str, body: impl Into<Bytes>) -> Timestamp {
    match store.create(name, body.into()).await {
        Ok(Created::Won { at }) => at,
        other => panic!("creating {name} did not win: {other:?}"),
    }
}

/// Tries to create an object that exists, and says when that was found.
async fn lost(store: &dyn Store, name: &str, body: impl Into<Bytes>) -> Timestamp {
    match store.create(name, body.into()).await {
        Ok(Created::Lost { at }) => at,
        other => panic!("creating {name} again did not lose: {other:?}"),
    }
}

async fn read(store: &dyn Store, name: &str) -> Option<Bytes> {
    store.get(name).await.expect("the store can be read")
}

async fn page(store: &dyn Store, prefix: &str, from: &str, limit: usize) -> Page {
    store.list(prefix, from, limit).await.expect("the store can be listed")
}

/// Creates many objects, each with its own name as its body.
async fn fill(store: &dyn Store, names: &[String]) {
    let creates: Vec<_> =
        names.iter().map(|name| store.create(name, name.clone().into())).collect();
    let all = stream::iter(creates).buffer_unordered(PARALLEL).try_collect::<Vec<Created>>().await;
    let lost = all.expect("the store can be written").into_iter().find(|made| !is_won(*made));
    assert_eq!(lost, None, "one of the names existed");
}

fn is_won(created: Created) -> bool {
    matches!(created, Created::Won { .. })
}

/// Lists everything under a prefix, page by page.
async fn list_all(store: &dyn Store, prefix: &str, limit: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut from = String::new();
    loop {
        let page = page(store, prefix, &from, limit).await;
        assert!(page.entries.len() <= limit, "a page holds more than its limit");
        let last = page.entries.last().map(|entry| entry.name.clone()).unwrap_or_default();
        entries.extend(page.entries);
        let Some(next) = page.next else { return entries };
        assert!(
            next > last && next > from,
            "after {last}, from {from}, the next page begins at {next}"
        );
        from = next;
    }
}

fn names_of(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

/// Everything under a prefix by name, in one page.
async fn names_under(store: &dyn Store, prefix: &str) -> Vec<String> {
    page(store, prefix, "", 1000).await.entries.into_iter().map(|entry| entry.name).collect()
}

/// The only object of this name in a listing.
async fn entry(store: &dyn Store, name: &str) -> Entry {
    let mut entries = page(store, name, name, 1).await.entries;
    assert_eq!(names_of(&entries), [name]);
    entries.remove(0)
}
