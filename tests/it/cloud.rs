//! Cloud Storage on this machine: a server of others, and what a network in front of it does wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use refit_core::time::Span;
use refit_platform::env;
use refit_testkit::counterpart::{Counterpart, Kind};
use refit_testkit::fake::proxy::{Fault, Proxy};
use refit_testkit::fake::server::Request;
use serde_json::{Value, json};

use crate::ground::{Ground, LEDGERS};
use crate::patience::call;

/// One server for all tests, each of which has a folder of its own.
static SERVER: OnceLock<Option<Counterpart>> = OnceLock::new();

/// Cloud Storage.
pub(crate) struct Cloud {
    server: &'static str,
}

/// What goes wrong between processes and their ledger.
pub(crate) struct Faults {
    _proxy: Proxy,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    refused: AtomicUsize,
    lost: AtomicUsize,
    /// Uploads to the log.
    commits: AtomicUsize,
}

impl Cloud {
    /// The server; none where it is not installed, which is said.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        let server = SERVER.get_or_init(|| Kind::CloudStorage.start(test)).as_ref()?.place();
        make_bucket(server, LEDGERS).await;
        Some(Self { server })
    }

    /// A folder of its own for a ledger in which processes may create segments, and nothing else.
    pub(crate) async fn append_only(&self) -> (Ground, Proxy) {
        let proxy = Proxy::start(self.server, |request| match is_new("/inbox/", request) {
            true => Fault::None,
            false => Fault::Refuse(403),
        });
        (Ground::bucket(self.server, &proxy.place(), &env::nonce()).await, proxy)
    }

    /// A folder of its own for a ledger that processes reach with troubles.
    pub(crate) async fn faulty(&self) -> (Ground, Faults) {
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let proxy = Proxy::start(self.server, move |request| counted.next(request));
        let ground = Ground::bucket(self.server, &proxy.place(), &env::nonce()).await;
        (ground, Faults { _proxy: proxy, counts })
    }
}

/// Whether a request creates an object in a folder of a ledger, under a name that must be free.
fn is_new(folder: &str, request: &Request) -> bool {
    let asks = |name: &str| {
        let mut query = request.query.iter();
        query.find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    request.method == "POST"
        && request.path.first().is_some_and(|part| part == "upload")
        && asks("name").contains(folder)
        && asks("ifGenerationMatch") == "0"
}

impl Counts {
    /// How the next request ends: one in eight badly, spread so that no two kinds keep step, and that of the first
    /// commit, so that it is settled by what is found in its place.
    fn next(&self, request: &Request) -> Fault {
        if is_new("/log/", request) && self.commits.fetch_add(1, Ordering::Relaxed) == 0 {
            return Fault::LoseAnswer;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let is = |every: usize, from: usize| number % every == from;
        if is(23, 5) || is(29, 17) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Fault::Refuse(if is(23, 5) { 429 } else { 503 });
        }
        if is(31, 11) || is(37, 19) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return if is(31, 11) { Fault::LoseAnswer } else { Fault::LoseRequest };
        }
        match is(13, 7) {
            true => Fault::Delay(Span::from_millis(200)),
            false => Fault::None,
        }
    }
}

impl Faults {
    /// Requests that were refused, those of which the request or the answer was lost, and commits, of which the first
    /// one's answer was.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let Counts { refused, lost, commits, .. } = &*self.counts;
        [refused, lost, commits].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Makes a bucket, unless it is there.
pub(crate) async fn make_bucket(server: &str, name: &str) {
    let status = post(server, "/storage/v1/b?project=refit", &json!({ "name": name })).await;
    assert!([200, 409].contains(&status), "status=`{status}`");
}

/// Posts JSON to the server.
pub(crate) async fn post(server: &str, target: &str, body: &Value) -> u16 {
    let json = "content-type: application/json\r\n";
    let body = body.to_string();
    call(server, &format!("POST {target}"), json, body.as_bytes()).await.unwrap().status
}
