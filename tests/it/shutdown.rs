//! The end of a process: requests under way are answered, and it does not outstay its welcome.

use refit_core::time::Span;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::client::Reply;
use refit_testkit::fake::kfp::{Ask, Kfp, Options, Trouble};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::patience::{call, soon};
use crate::process::Process;
use crate::world::{Api, World, timing, upload};

const GENERATION: u64 = 1_767_614_397_000_000;
const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }";
/// After that long the platform ends a process that was told to end.
const WELCOME: Span = Span::secs(10);

/// Waits until nobody listens at a place any more.
async fn closed(place: &str) {
    let tries = async {
        while TcpStream::connect(place).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon("it stops listening", tries).await;
}

/// Waits until a process that was told to end has, and says how long that took.
async fn ended(process: Process, told: Span) -> Span {
    let ended = process.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    Span::from_millis(SystemClock.elapsed().as_millis() - told.as_millis())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_under_way_is_accepted_before_object_ends() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let body = upload("churn/a", GENERATION, "m1").to_string();
    let place = world.object.place.clone();
    let mut stream = TcpStream::connect(&place).await.unwrap();
    let idle = TcpStream::connect(&place).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {place}\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    soon("the body is asked for", stream.read_exact(&mut go_on)).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    let told = SystemClock.elapsed();
    world.object.terminate();
    closed(&place).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 204 "), "{}", String::from_utf8_lossy(&answer));
    let World { object, .. } = world;
    assert!(ended(object, told).await < WELCOME);
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_under_way_ends_before_tick_does() {
    for (call_within, trouble) in [(Span::secs(2), Trouble::Hang), (Span::secs(30), Trouble::Hang)]
    {
        let mut timing = timing();
        (timing.call, timing.lease) = (call_within, Span::secs(60));
        let kfp = Kfp::start(Options::default());
        let mut world = World::timed(kfp, timing).await;
        let applied = world.apply(&world.rules(Api::V2beta1, "", RULE)).await;
        assert!(applied.ok, "{}", applied.message);
        world.kfp.trouble(Ask::Start, trouble);
        assert_eq!(world.deliver(&upload("churn/a", GENERATION, "m1")).await.status, 204);
        let passes = async {
            loop {
                world.pass().await;
            }
        };
        tokio::select! {
            () = passes => {}
            () = soon("a start hangs", world.kfp.held(1)) => {}
        }
        let tick = world.tick.take().unwrap();
        let told = SystemClock.elapsed();
        tick.terminate();
        assert!(ended(tick, told).await < WELCOME, "calls may take {call_within}");
        world.start_tick().await;
        world.settle().await;
        assert_eq!(world.runs().len(), 1);
    }
}

/// Wakes a process until the start of a run hangs, and tells it to end then. Says when that was, and how that wake was
/// answered.
async fn told_to_end_in_a_wake(world: &World, tick: &Process) -> (Span, std::io::Result<Reply>) {
    let wakes = async {
        loop {
            let wake = call(&tick.place, "POST /", "", b"");
            tokio::pin!(wake);
            tokio::select! {
                reply = &mut wake => assert_eq!(reply.unwrap().status, 204),
                () = world.kfp.held(1) => {
                    let told = SystemClock.elapsed();
                    tick.terminate();
                    return (told, wake.await);
                }
            }
        }
    };
    soon("a start hangs", wakes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_under_way_is_answered_before_tick_ends() {
    let mut world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    world.kfp.trouble(Ask::Start, Trouble::Hang);
    assert_eq!(world.deliver(&upload("churn/a", GENERATION, "m1")).await.status, 204);
    let tick = world.tick.take().unwrap();
    let (_, reply) = told_to_end_in_a_wake(&world, &tick).await;
    assert_eq!(reply.unwrap().status, 204);
    assert_eq!(tick.ended().await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_that_waits_for_a_call_that_hangs_does_not_keep_tick() {
    let mut timing = timing();
    (timing.call, timing.lease) = (Span::secs(30), Span::secs(60));
    let mut world = World::timed(Kfp::start(Options::default()), timing).await;
    let applied = world.apply(&world.rules(Api::V2beta1, "", RULE)).await;
    assert!(applied.ok, "{}", applied.message);
    world.kfp.trouble(Ask::Start, Trouble::Hang);
    assert_eq!(world.deliver(&upload("churn/a", GENERATION, "m1")).await.status, 204);
    let tick = world.tick.take().unwrap();
    // Nobody answers the wake any more; the sender comes again.
    let (told, _) = told_to_end_in_a_wake(&world, &tick).await;
    assert!(ended(tick, told).await < WELCOME);
    world.start_tick().await;
    world.settle().await;
    assert_eq!(world.runs().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_port_says_so_and_gives_up() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let (_, port) = world.object.place.rsplit_once(':').unwrap();
    let ledger = world.ledger_folder();
    for name in ["object", "tick"] {
        let variables = [("PORT", port), ("REFIT_LEDGER", ledger.to_str().unwrap())];
        let ended = Process::fail(name, &variables).await;
        assert_eq!(ended.status.code(), Some(1), "{name}");
        let last = ended.lines.last().unwrap();
        assert!(last.contains("cannot listen") && last.contains(port), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_is_named() {
    for (variables, words) in [
        (&[][..], "REFIT_LEDGER is not set"),
        #[cfg(not(feature = "aws"))]
        (&[("REFIT_LEDGER", "s3://b/f"), ("PORT", "0")], "not in this build"),
        (&[("REFIT_LEDGER", "/dev/null/ledger"), ("PORT", "0")], "ledger"),
        (&[("REFIT_LEDGER", "memory:"), ("PORT", "http")], "PORT is not a number"),
        (&[("REFIT_LEDGER", "memory:"), ("PORT", "0"), ("REFIT_WAKE", "tick")], "REFIT_WAKE"),
    ] {
        let ended = Process::fail("object", variables).await;
        assert_eq!(ended.status.code(), Some(1), "{variables:?}");
        let last = ended.lines.last().unwrap();
        assert!(last.contains(words), "{words}: {last}");
    }
}
