//! The loop around the reconciler. While the store is down: few passes, a line of the log for each, and it goes on. While
//! nothing happens: a pass for each ping, and no more.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use refit_core::error::ErrorKind;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use refit_engine::layout;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock, Store, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_host::driver::{Driver, Woken};
use refit_host::function::read_rules;
use refit_host::waker::Waker as _;
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_testkit::fault::{Call, Fault, FaultyStore};
use refit_testkit::transport::ScriptedTransport;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing_subscriber::fmt::MakeWriter;

/// How often the scheduler asks.
const PING: Span = Span::secs(60);
/// What a moment is here: every pause of the product is a multiple of it.
const MOMENT: Span = Span::from_millis(100);
/// How often whoever is ready may go on before time passes: more often than anything here does in a moment.
const TURNS: usize = 50;
/// One test at a time: a line that a thread without a listener is the first to come to is told to nobody from then on.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Passes in ten minutes at the most: five seconds after each that failed.
const PASSES_MAX: u64 = 600 / 5;

/// The lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn count(&self, word: &str) -> u64 {
        let written = self.0.lock().expect("no holder of the lock panics");
        String::from_utf8_lossy(&written).lines().filter(|line| line.contains(word)).count() as u64
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no holder of the lock panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A reconciler that is driven, and its store, which may be down.
struct Driven {
    driver: Driver,
    clock: Arc<ManualClock>,
    is_down: Arc<AtomicBool>,
    /// Whether a call of the store is a mistake of the program.
    is_broken: Arc<AtomicBool>,
    /// How often the first call of a pass was made.
    begun: Arc<AtomicU64>,
    /// Listings, reads, and all other calls.
    calls: Arc<[AtomicU64; 3]>,
    stop: watch::Sender<bool>,
    driving: JoinHandle<()>,
}

impl Driven {
    /// One whose store is down, and that is asked by nobody but its own ping.
    fn begin() -> Self {
        Self::with(Some(PING), true)
    }

    fn with(ping: Option<Span>, is_down: bool) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let is_down = Arc::new(AtomicBool::new(is_down));
        let is_broken = Arc::<AtomicBool>::default();
        let begun = Arc::<AtomicU64>::default();
        let memory = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
        let (fails, first) = (Arc::clone(&is_down), Arc::clone(&begun));
        let calls = Arc::<[AtomicU64; 3]>::default();
        let counted = Arc::clone(&calls);
        let breaks = Arc::clone(&is_broken);
        let store = FaultyStore::new(Arc::new(memory), move |call| {
            first.fetch_add(u64::from(call == Call::List(layout::SNAPSHOT)), Ordering::Relaxed);
            let kind = match call {
                Call::List(_) => 0,
                Call::Get(_) => 1,
                Call::Create(_) | Call::Delete(_) => 2,
            };
            counted[kind].fetch_add(1, Ordering::Relaxed);
            assert!(!breaks.load(Ordering::Relaxed), "a mistake of the program");
            match fails.load(Ordering::Relaxed) {
                true => Fault::Before(ErrorKind::Unavailable),
                false => Fault::None,
            }
        });
        let reconciler = Reconciler::new(Parts {
            store: Arc::<FaultyStore>::new(store) as Arc<dyn Store>,
            transport: Arc::new(ScriptedTransport::new()),
            clock: Arc::<ManualClock>::clone(&clock),
            read_rules: read_rules(),
            nonces: Nonces::new("driven"),
            root: "memory://driven".to_owned(),
            timing: Timing::default(),
            store_clock: StoreClock::Service,
            buckets: None,
        });
        let (stop, stopped) = watch::channel(false);
        let driver_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let (driver, driving) = Driver::start(reconciler, driver_clock, ping, stopped);
        Self { driver, clock, is_down, is_broken, begun, calls, stop, driving }
    }

    /// Listings, reads, and all other calls so far.
    fn calls(&self) -> [u64; 3] {
        std::array::from_fn(|kind| self.calls[kind].load(Ordering::Relaxed))
    }

    /// Asks for a pass, and waits until it has ended.
    async fn asked(&self) -> Woken {
        let driver = self.driver.clone();
        let told = tokio::spawn(async move { driver.wake_and_wait().await });
        self.play(Span::mins(1), |_| ()).await;
        assert!(told.is_finished());
        told.await.expect("the task does not panic")
    }

    /// Lets time pass; whoever has something to do at any moment of it does it then.
    async fn play(&self, span: Span, meanwhile: impl Fn(&Driver)) {
        let end = self.clock.elapsed() + span;
        while self.clock.elapsed() < end {
            meanwhile(&self.driver);
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            self.clock.advance(MOMENT);
        }
    }
}

/// 33 of the scenarios: the store is down for ten minutes, whether nobody asks for a pass or everybody does at any moment.
#[tokio::test]
async fn a_store_that_is_down_is_asked_now_and_then_and_told_of_once_each_time() {
    let _alone = ALONE.lock().await;
    for is_busy in [false, true] {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let driven = Driven::begin();
        driven
            .play(Span::mins(10), |driver| {
                if is_busy {
                    driver.wake()
                }
            })
            .await;
        let failed = lines.count("a pass failed");
        // It never gives up, and tries again long before the next ping.
        assert!((100..=PASSES_MAX).contains(&failed), "{failed} passes failed");
        assert_eq!(lines.count(""), failed, "nothing else is told");
        // A read is made three times before it counts as failed.
        let begun = driven.begun.load(Ordering::Relaxed);
        assert!(begun <= 3 * (failed + 1), "{begun} calls in {failed} passes");
        assert_eq!(lines.count("a pass has ended"), 0);

        driven.is_down.store(false, Ordering::Relaxed);
        driven.play(Span::secs(6), |_| ()).await;
        assert_eq!(lines.count("a pass failed"), failed);
        assert!(lines.count("a pass has ended") >= 1, "it goes on by itself");
        assert_eq!(driven.asked().await, Woken::Passed);
        driven.is_down.store(true, Ordering::Relaxed);
        assert_eq!(driven.asked().await, Woken::Failed, "who waits is told");
    }
}

#[tokio::test]
async fn it_ends_when_it_is_stopped_and_when_nobody_is_left_to_stop_it_and_says_so() {
    let _alone = ALONE.lock().await;
    for how in ["stopped", "left alone", "broken"] {
        let mut driven = Driven::begin();
        let driver = driven.driver.clone();
        let told = tokio::spawn(async move { driver.ended().await });
        driven.play(Span::secs(1), |_| ()).await;
        assert!(!driven.driving.is_finished() && !told.is_finished());
        match how {
            "stopped" => drop(driven.stop.send_replace(true)),
            "left alone" => driven.stop = watch::channel(false).0,
            _ => driven.is_broken.store(true, Ordering::Relaxed),
        }
        driven.play(Span::secs(6), |_| ()).await;
        assert!(driven.driving.is_finished() && told.is_finished(), "{how}");
        assert_eq!(driven.driving.await.is_err(), how == "broken");
    }
}

/// As a scheduler outside asks `tick`: what it costs is what the simulation says of it, which has no such loop.
#[tokio::test]
async fn an_idle_hour_of_pings_from_outside_is_a_pass_each_of_a_listing_and_a_read() {
    let _alone = ALONE.lock().await;
    let driven = Driven::with(None, false);
    assert_eq!(driven.asked().await, Woken::Passed, "it founds the ledger");
    assert_eq!(driven.asked().await, Woken::Passed);
    let before = driven.calls();
    for _ in 0..60 {
        assert_eq!(driven.asked().await, Woken::Passed);
    }
    let after = driven.calls();
    assert_eq!(std::array::from_fn(|kind| after[kind] - before[kind]), [60, 60, 0]);
}
