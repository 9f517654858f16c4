//! Callers that are not meant, that say nothing sensible, that say nothing at all, and very many of them.

use futures::StreamExt as _;
use refit_testkit::fake::kfp::Options;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::patience::{call, exchange, soon};
use crate::world::{Api, World, upload};

const GENERATION: u64 = 1_767_614_397_000_000;
const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }";
/// More than a process serves at a time.
const MANY: usize = 2000;

/// Lets this process, and those it starts, have that many connections; false where the system does not.
fn can_have_many(test: &str) -> bool {
    let wanted = MANY as u64 * 2;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return true;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    if raised.is_err() {
        refit_testkit::skip::skipped(test, "this process may not have so many connections");
    }
    raised.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_host_cannot_reach_a_function() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let body = upload("churn/a", GENERATION, "m1").to_string();
    let tick = &world.tick.as_ref().unwrap().place;
    let hosts = ["host: rebound.example", "host: localhost\r\norigin: https://rebound.example"];
    for (place, host) in
        [&world.object.place, tick].into_iter().flat_map(|it| hosts.map(|host| (it, host)))
    {
        let request = format!(
            "POST / HTTP/1.1\r\n{host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(place, request.as_bytes()).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 403 "), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(world.settle().await.events, 1, "only the rules are stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_with_an_error_and_disturbs_nobody() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2_000_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ] {
        // Before all of a long one was read the connection may also be closed, which is an error to whoever still writes;
        // and whoever speaks HTTP/2 would not understand an answer.
        let answer = exchange(&world.object.place, garbage).await.unwrap_or_default();
        let shown = String::from_utf8_lossy(&garbage[..garbage.len().min(30)]).into_owned();
        let text = String::from_utf8_lossy(&answer);
        let may_be_cut = garbage.len() > 10_000 || garbage.starts_with(b"PRI");
        assert!(
            (may_be_cut && text.is_empty()) || text.starts_with("HTTP/1.1 4"),
            "{shown}: {text}"
        );
    }
    let reply = world.deliver(&upload("churn/a", GENERATION, "m1")).await;
    assert_eq!(reply.status, 204);
    world.settle().await;
    assert_eq!(world.runs().len(), 1);
}

/// Requests whose end two readers may see in two places, each with another request hidden behind that end.
fn smuggling(place: &str) -> [String; 5] {
    let body = upload("churn/hidden", GENERATION, "hidden").to_string();
    let hidden =
        format!("POST / HTTP/1.1\r\nhost: {place}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let head = format!("POST / HTTP/1.1\r\nhost: {place}\r\n");
    [
        format!("{head}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}content-length: 0\r\ncontent-length: 5\r\n\r\n{hidden}"),
        format!("{head}transfer-encoding: identity, chunked, x\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}content-length: +0\r\n\r\n{hidden}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_hidden_in_another_is_not_obeyed() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    for request in smuggling(&world.object.place) {
        let answer = exchange(&world.object.place, request.as_bytes()).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.matches("HTTP/1.1 ").count() <= 1, "two answers to {request}: {text}");
    }
    let report = world.settle().await;
    assert_eq!((report.accepted, world.runs().len()), (0, 0), "what was hidden is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_to_speak_is_cut_off_and_does_not_keep_others_out() {
    let test = "whoever_is_slow_to_speak_is_cut_off_and_does_not_keep_others_out";
    if !can_have_many(test) {
        return;
    }
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let mut slow = Vec::new();
    for number in 0..MANY {
        let mut stream = TcpStream::connect(&world.object.place).await.unwrap();
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => b"POST / HTTP/1.1\r\nhost: ",
            _ => b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{",
        };
        stream.write_all(said).await.unwrap();
        slow.push(stream);
    }
    let reply = world.deliver(&upload("churn/a", GENERATION, "m1")).await;
    assert_eq!(reply.status, 204);
    for mut stream in slow {
        let mut rest = Vec::new();
        // Closed, or reset: either way the place is free again.
        let _ = soon("it is cut off", stream.read_to_end(&mut rest)).await;
        let text = String::from_utf8_lossy(&rest);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_never_reads_an_answer_is_cut_off() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let place = &world.object.place;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut deaf = socket.connect(place.parse().unwrap()).await.unwrap();
    let questions = format!("GET /healthz HTTP/1.1\r\nhost: {place}\r\n\r\n").repeat(1000);
    let asking = async { while deaf.write_all(questions.as_bytes()).await.is_ok() {} };
    soon("it is cut off", asking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_connections_at_once_are_all_answered() {
    if !can_have_many("two_thousand_connections_at_once_are_all_answered") {
        return;
    }
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let bodies: Vec<String> = (0..MANY)
        .map(|n| upload(&format!("churn/{n}"), GENERATION, &n.to_string()).to_string())
        .collect();
    let sends = futures::stream::iter(&bodies)
        .map(|body| call(&world.object.place, "POST /", "", body.as_bytes()));
    let replies: Vec<_> = sends.buffer_unordered(MANY).collect().await;
    let accepted = replies.iter().filter(|reply| matches!(reply, Ok(reply) if reply.status == 204));
    assert_eq!(accepted.count(), MANY, "{:?}", replies.iter().find(|reply| reply.is_err()));
    let report = world.settle().await;
    assert_eq!(report.accepted, MANY as u64, "everything acknowledged is there");
}
