//! Requests over HTTP, and everything that can happen to them on the way.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use refit_core::time::Span;
use refit_engine::port::{Clock, Store, Transport as _};
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options};
use refit_wire::http::{Failure, Reply, Request};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use url::Url;

use crate::web::{Answer, Server};

pub(crate) fn transport(options: Options) -> HttpTransport {
    HttpTransport::new(Arc::new(SystemClock), options).unwrap()
}

/// Opens a store at a location, with the machine's clock.
pub(crate) async fn open(location: &str) -> Arc<dyn Store> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let transport = Arc::new(transport(Options::default()));
    refit_platform::store::open(location, &clock, &transport).await.unwrap()
}

/// Sends a request with a short time-out.
async fn send(method: Method, url: Url) -> Reply {
    let request = Request { timeout: Some(Span::from_millis(200)), ..Request::new(method, url) };
    transport(Options::default()).send(request).await
}

fn not_sent(reply: Reply) -> String {
    match reply {
        Err(Failure::NotSent(message)) => message,
        other => panic!("not NotSent: {other:?}"),
    }
}

fn unclear(reply: Reply) -> String {
    match reply {
        Err(Failure::Unclear(message)) => message,
        other => panic!("not Unclear: {other:?}"),
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_is_and_the_answer_comes_back_whole() {
    let server =
        Server::start(|_| Answer::response("418 Teapot", &["X-Mark: 7"], "short and stout")).await;
    let url = server.url("/apis/v2?x=%2F&y=a+b");
    let mut request = Request::new(Method::POST, url).json(&json!({"a": 1}));
    request.headers.insert("x-mine", "yes".parse().unwrap());
    let response = transport(Options::default()).send(request).await.unwrap();
    assert_eq!((response.status, &*response.body), (418, &b"short and stout"[..]));
    assert_eq!(response.headers["x-mark"], "7");
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /apis/v2?x=%2F&y=a+b HTTP/1.1\r\n"), "{head}");
    for line in [
        "accept: application/json",
        "content-type: application/json",
        "x-mine: yes",
        "content-length: 7",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert!(head.contains("user-agent: refit/"), "{head}");
    assert!(!head.contains("authorization") && !head.contains("referer"), "{head}");
    assert_eq!(body, r#"{"a":1}"#);
}

#[tokio::test]
async fn only_a_request_that_may_have_a_body_says_that_it_has_none() {
    let server = Server::start(|_| Answer::ok("")).await;
    for (method, says) in
        [(Method::GET, false), (Method::DELETE, false), (Method::POST, true), (Method::PUT, true)]
    {
        send(method.clone(), server.url("/")).await.unwrap();
        let request = server.requests().pop().unwrap();
        assert_eq!(request.contains("content-length: 0"), says, "{request}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Server::start(|_| Answer::ok("")).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 For Good"] {
        let location = format!("Location: {}", other.url("/taken"));
        let server = Server::start(move |_| Answer::response(status, &[&location], "")).await;
        for method in [Method::GET, Method::POST] {
            let response = send(method, server.url("/")).await.unwrap();
            assert_eq!(response.status.to_string(), status[..3]);
        }
        assert_eq!(server.requests().len(), 2);
    }
    assert_eq!(other.requests(), [""; 0]);
}

#[tokio::test]
async fn what_never_reached_the_other_side_was_not_sent() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plain = without_tls().await;
    for url in [format!("http://{gone}/"), format!("https://{gone}/"), format!("https://{plain}/")]
    {
        for method in [Method::GET, Method::POST] {
            let request = Request::new(method, url.parse().unwrap());
            let message = not_sent(transport(Options::default()).send(request).await);
            assert!(
                message.starts_with("no connection, ") && message.contains("host=`127.0.0.1:"),
                "{message}"
            );
        }
    }
    let refused = not_sent(send(Method::POST, format!("http://{gone}/").parse().unwrap()).await);
    assert!(refused.contains("refused"), "{refused}");
}

/// Starts a server that speaks without being asked, and no TLS.
async fn without_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn an_answer_lost_or_cut_short_is_unclear_and_nothing_is_sent_again() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    for (what, bytes) in [
        ("closed", ""),
        ("half a status", "HTTP/1.1 2"),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("no body", whole),
        ("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        ("half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf"),
        ("no HTTP", "220 smtp.example.com ESMTP\r\n"),
    ] {
        for method in [Method::GET, Method::POST] {
            let server = Server::start(move |_| Answer::Send(bytes.into())).await;
            let message = unclear(send(method.clone(), server.url("/canary?canary")).await);
            assert!(
                message.contains("host=`127.0.0.1:") && !message.contains("canary"),
                "{what}: {message}"
            );
            assert_eq!(server.requests().len(), 1, "{what}, {method}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_end_in_time_is_unclear() {
    for bytes in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"] {
        for method in [Method::GET, Method::POST] {
            let server = Server::start(move |_| Answer::Hang(bytes.into())).await;
            let message = unclear(send(method, server.url("/")).await);
            assert!(message.contains("in time"), "{message}");
            assert_eq!(server.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn an_answer_may_have_four_mebibytes_and_no_more() {
    let limit = 4 << 20;
    let sized = |size: usize| Answer::ok(vec![b'x'; size]);
    let chunked = |size: usize| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        Answer::Send(format!("{head}{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size)).into())
    };
    let servers = [
        Server::start(move |path| sized(limit + usize::from(path.contains("/more")))).await,
        Server::start(move |path| chunked(limit + usize::from(path.contains("/more")))).await,
    ];
    for server in servers {
        let send = |path| {
            let request = Request::new(Method::GET, server.url(path));
            async { transport(Options::default()).send(request).await }
        };
        assert_eq!(send("/").await.unwrap().body.len(), limit);
        let message = unclear(send("/more").await);
        assert!(message.contains("larger than 4194304 bytes"), "{message}");
    }
}

#[tokio::test]
async fn the_environment_does_not_send_requests_elsewhere() {
    let server = Server::start(|_| Answer::ok("")).await;
    // A proxy would be asked for a whole URL.
    send(Method::GET, server.url("/path")).await.unwrap();
    assert!(server.requests()[0].starts_with("GET /path "), "{:?}", server.requests());
}
