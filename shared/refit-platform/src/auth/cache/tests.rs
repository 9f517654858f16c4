use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{join_all, poll_immediate};
use refit_core::time::Timestamp;
use refit_testkit::clock::ManualClock;
use tokio::sync::Semaphore;

use super::*;

/// A source that answers by script, each time when it is let.
struct Scripted {
    answers: Mutex<VecDeque<Result<Span, ErrorKind>>>,
    asked: AtomicUsize,
    let_through: Semaphore,
}

#[async_trait]
impl Source for Scripted {
    type Key = u8;

    async fn fetch(&self, _: &u8) -> Result<Given, Error> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        self.let_through.acquire().await.unwrap().forget();
        let answer = self.answers.lock().unwrap().pop_front().expect("the script has an answer");
        let token = Token::new(&format!("canary-{number}"));
        answer.map(|life| (token, life)).map_err(|kind| Error::new(kind, "no luck"))
    }
}

struct World {
    clock: Arc<ManualClock>,
    cache: Cache<Scripted>,
}

const HOUR: Span = Span::hours(1);

impl World {
    fn new(answers: impl IntoIterator<Item = Result<Span, ErrorKind>>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let answers = Mutex::new(answers.into_iter().collect());
        let source =
            Scripted { answers, asked: AtomicUsize::new(0), let_through: Semaphore::new(0) };
        Self { cache: Cache::new(source, Arc::clone(&clock) as Arc<dyn Clock>), clock }
    }

    /// The same world with answers that come at once.
    fn prompt(self) -> Self {
        self.let_through(1000);
        self
    }

    fn let_through(&self, answers: usize) {
        self.cache.source.let_through.add_permits(answers);
    }

    fn asked(&self) -> usize {
        self.cache.source.asked.load(Ordering::Relaxed)
    }

    /// The number of the token, or the error.
    async fn get(&self) -> Result<String, String> {
        let token = self.cache.get(&1).await;
        token.map(|token| token.as_str().replace("canary-", "")).map_err(|error| error.to_string())
    }

    async fn got(&self, expected: &str) {
        assert_eq!(self.get().await.unwrap(), expected);
    }

    async fn failed(&self) {
        assert_eq!(self.get().await.unwrap_err(), "no luck");
    }
}

#[tokio::test]
async fn a_hundred_that_wait_ask_once_and_all_get_the_token() {
    let world = World::new([Ok(HOUR)]);
    let mut all = Box::pin(join_all((0..100).map(|_| world.get())));
    assert_eq!(poll_immediate(&mut all).await, None, "all wait");
    world.let_through(1);
    assert_eq!(all.await, vec![Ok("0".to_owned()); 100]);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_hundred_that_wait_in_vain_ask_once_and_all_are_told() {
    let world = World::new([Err(ErrorKind::Unavailable)]).prompt();
    let answers = join_all((0..100).map(|_| world.get())).await;
    assert_eq!(answers, vec![Err("no luck".to_owned()); 100]);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_five_minutes_early_or_at_half_its_life() {
    for (life, due) in [
        (HOUR, Span::mins(55)),
        (Span::mins(12), Span::mins(7)),
        (Span::mins(10), Span::mins(5)),
        (Span::mins(4), Span::mins(2)),
        (Span::secs(2), Span::secs(1)),
    ] {
        let world = World::new([Ok(life), Ok(life)]).prompt();
        world.got("0").await;
        world.clock.advance(Span::from_millis(due.as_millis() - 1));
        world.got("0").await;
        world.clock.advance(Span::from_millis(1));
        world.got("1").await;
        world.got("1").await;
        assert_eq!(world.asked(), 2, "life {life}");
    }
}

#[tokio::test]
async fn a_token_that_holds_serves_while_its_successor_cannot_be_had() {
    let world =
        World::new([Ok(HOUR), Err(ErrorKind::Unavailable), Err(ErrorKind::Unavailable), Ok(HOUR)])
            .prompt();
    world.got("0").await;
    world.clock.advance(Span::mins(56));
    world.got("0").await;
    world.got("0").await;
    assert_eq!(world.asked(), 2, "a failure stands for a while");
    world.clock.advance(Span::mins(4));
    world.failed().await;
    assert_eq!(world.asked(), 3, "what is over does not serve");
    world.clock.advance(BACK_OFF);
    world.got("3").await;
}

#[tokio::test]
async fn who_comes_while_a_token_is_replaced_gets_the_old_one_at_once() {
    let world = World::new([Ok(HOUR), Ok(HOUR)]);
    world.let_through(1);
    world.got("0").await;
    world.clock.advance(Span::mins(55));
    let mut replacing = Box::pin(world.get());
    assert_eq!(poll_immediate(&mut replacing).await, None);
    world.got("0").await;
    world.let_through(1);
    assert_eq!(replacing.await, Ok("1".to_owned()));
    world.got("1").await;
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_failure_stands_for_a_moment_only() {
    let world = World::new([Err(ErrorKind::Unavailable), Ok(HOUR)]).prompt();
    world.failed().await;
    world.clock.advance(Span::from_millis(BACK_OFF.as_millis() - 1));
    world.failed().await;
    assert_eq!(world.asked(), 1);
    world.clock.advance(Span::from_millis(1));
    world.got("1").await;
}

#[tokio::test]
async fn who_goes_away_in_the_middle_leaves_it_to_the_next() {
    let world = World::new([Ok(HOUR)]);
    let mut first = Box::pin(world.get());
    let mut second = Box::pin(world.get());
    assert_eq!(poll_immediate(&mut first).await, None);
    assert_eq!(poll_immediate(&mut second).await, None);
    drop(first);
    world.let_through(1);
    assert_eq!(second.await, Ok("1".to_owned()));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_given_up() {
    let world = World::new([Ok(HOUR)]);
    let mut waiting = Box::pin(world.get());
    assert_eq!(poll_immediate(&mut waiting).await, None);
    world.clock.advance(Span::from_millis(TIMEOUT.as_millis() - 1));
    assert_eq!(poll_immediate(&mut waiting).await, None);
    world.clock.advance(Span::from_millis(1));
    assert_eq!(waiting.await, Err("a credential was not had in time".to_owned()));
}

#[tokio::test]
async fn a_token_that_was_refused_is_forgotten_and_no_other() {
    let world = World::new([Ok(HOUR), Ok(HOUR)]).prompt();
    world.got("0").await;
    world.cache.forget(&1, &Token::new("canary-0"));
    world.got("1").await;
    world.cache.forget(&1, &Token::new("canary-0"));
    world.cache.forget(&2, &Token::new("canary-1"));
    world.got("1").await;
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn tokens_of_different_keys_are_different() {
    let world = World::new([Ok(HOUR), Ok(HOUR)]).prompt();
    world.got("0").await;
    assert_eq!(world.cache.get(&2).await.unwrap(), Token::new("canary-1"));
    world.got("0").await;
}

#[tokio::test]
async fn the_wall_clock_does_not_matter() {
    let world = World::new([Ok(HOUR)]).prompt();
    world.got("0").await;
    for now in ["1999-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        world.clock.set(now.parse().unwrap());
        world.got("0").await;
    }
}

#[tokio::test]
async fn nothing_shows_a_token() {
    let world = World::new([Ok(HOUR)]).prompt();
    world.got("0").await;
    let token = Token::new("canary-0");
    let credential = super::super::bearer(token.clone()).unwrap();
    let shown = format!("{:?} {token:?} {credential:?} {:?}", world.cache, credential.header());
    assert!(!shown.contains("canary"), "{shown}");
}
