//! `object` needs to create objects in the inbox and to wake `tick`, and nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use refit_core::error::ErrorKind;
use refit_core::time::Timestamp;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock as _, Store, StoreClock, Transport};
use refit_host::environment::{Callers, Platform, Settings};
use refit_host::function::{Base, Doors, mount};
use refit_host::hooks::HookSecrets;
use refit_host::server;
use refit_platform::clock::SystemClock;
use refit_platform::store::MemoryStore;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request as Asked, Server, Site};
use refit_testkit::fault::{Call, Fault, FaultyStore};
use refit_wire::http::{Failure, Reply, Request};
use refit_wire::sample::{Sample, read_sample};
use refit_wire::source::Sender;
use tokio::sync::watch;

use crate::patience::{call, soon};

/// A stand-in for `tick`, or for what nobody is to ask, that counts how often it is asked.
struct Tick(watch::Sender<usize>);

impl Site for Tick {
    fn react(self: Arc<Self>, _: Asked) -> Reacting {
        self.0.send_modify(|wakes| *wakes += 1);
        Box::pin(async { Reaction::Answer(Answer::text(204, "text/plain", "")) })
    }
}

/// A way to one place only.
struct OnlyTo {
    place: String,
    inner: HttpTransport,
    refused: Arc<AtomicUsize>,
}

#[async_trait]
impl Transport for OnlyTo {
    async fn send(&self, request: Request) -> Reply {
        if request.url.as_str() == format!("http://{}/", self.place) {
            return self.inner.send(request).await;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(Failure::NotSent("the role does not allow it".to_owned()))
    }
}

/// A store that lets segments be created, and refuses everything else.
fn inbox_only(store: &MemoryStore, refused: &Arc<AtomicUsize>) -> Arc<dyn Store> {
    let refused = Arc::clone(refused);
    let script = move |call: Call<'_>| match call {
        Call::Create(name) if name.starts_with("inbox/") => Fault::None,
        Call::Create(_) | Call::Get(_) | Call::List(_) | Call::Delete(_) => {
            refused.fetch_add(1, Ordering::Relaxed);
            Fault::Before(ErrorKind::Unauthorized)
        }
    };
    Arc::new(FaultyStore::new(Arc::new(store.clone()), script))
}

/// Every sample delivery of the repository.
fn samples(now: Timestamp) -> Vec<(PathBuf, Sample)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("events");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    });
    let samples = files.filter(|path| path.extension().is_some_and(|it| it == "http"));
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let sample = read_sample(&text, now).unwrap();
        (path, sample)
    };
    samples.map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn object_runs_whole_where_it_may_only_append_and_wake() {
    let (refused, wakes) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(0));
    let mut woken = wakes.subscribe();
    let tick = Server::new();
    tick.open(Arc::new(Tick(wakes)));
    let clock = Arc::new(SystemClock);
    let store = MemoryStore::new(Arc::<SystemClock>::clone(&clock));
    let inner = HttpTransport::new(Arc::<SystemClock>::clone(&clock), Options::default()).unwrap();
    let way = OnlyTo { place: tick.place(), inner, refused: Arc::clone(&refused) };
    let base = Base {
        store: inbox_only(&store, &refused),
        transport: Arc::new(way),
        clock: Arc::<SystemClock>::clone(&clock),
        nonces: Nonces::new("it"),
        root: "memory:/".to_owned(),
        store_clock: StoreClock::Service,
        buckets: refit_wire::listing::Buckets::default(),
    };
    let settings = Settings {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        ledger: base.root.clone(),
        wake: Some(format!("http://{}/", tick.place())),
        callers: Callers::None,
        hooks: HookSecrets::default(),
        reports: None,
        platform: Platform::Server,
    };
    let router = mount(Doors::Object, &base, &settings, None).await.unwrap().router;
    let listener = server::listen(settings.address).await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    tokio::spawn(server::serve(listener, router, clock, std::future::pending()));

    let samples = samples(SystemClock.now());
    assert!(samples.len() >= 20, "{}", samples.len());
    for (path, sample) in &samples {
        let before = store.list("inbox/", "", 1000).await.unwrap().entries.len();
        let headers: String = sample
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
            .collect();
        let reply = call(&place, "POST /", &headers, &sample.body).await.unwrap();
        // Nobody would verify a webhook here, and a handshake is answered with what it asks for.
        let is_webhook = Sender::of(&sample.headers).is_some();
        let is_handshake = path.ends_with("azureml-validation.http");
        let status = match (is_webhook, is_handshake) {
            (true, _) => 401,
            (_, true) => 200,
            _ => 204,
        };
        assert_eq!(reply.status, status, "{}", path.display());
        let after = store.list("inbox/", "", 1000).await.unwrap().entries.len();
        assert!(after <= before + 1, "{}: one segment at the most", path.display());
    }
    soon("tick is woken", woken.wait_for(|wakes| *wakes > 0)).await.unwrap();
    let stored = store.list("", "", 1000).await.unwrap().entries;
    assert!(stored.iter().all(|entry| entry.name.starts_with("inbox/")), "{stored:?}");
    assert!(stored.len() >= 15, "{}", stored.len());
    assert_eq!(refused.load(Ordering::Relaxed), 0, "it did not even try");
}

/// The function as a process, from its start to its end, on a bucket of a server of others that takes new segments and
/// refuses whatever else is asked of it.
#[cfg(feature = "gcp")]
#[tokio::test(flavor = "multi_thread")]
async fn object_starts_serves_and_ends_where_it_may_only_append_and_wake() {
    use crate::process::Process;
    use crate::world::{JSON, upload};

    let test = "object_starts_serves_and_ends_where_it_may_only_append_and_wake";
    let Some(cloud) = crate::cloud::Cloud::start(test).await else { return };
    let (ground, bucket) = cloud.append_only().await;
    let (wakes, asked) = (watch::Sender::new(0), watch::Sender::new(0));
    let (mut woken, elsewhere) = (wakes.subscribe(), asked.subscribe());
    let (tick, metadata) = (Server::new(), Server::new());
    tick.open(Arc::new(Tick(wakes)));
    metadata.open(Arc::new(Tick(asked)));
    let object = Process::start(
        "object",
        &[
            ("PORT", "0"),
            ("REFIT_LEDGER", &ground.location),
            ("STORAGE_EMULATOR_HOST", &bucket.place()),
            ("GCE_METADATA_HOST", &metadata.place()),
            ("REFIT_WAKE", &format!("http://{}/", tick.place())),
        ],
    )
    .await;
    let body = upload("churn/a", 7, "m1").to_string();
    assert_eq!(call(&object.place, "POST /", JSON, body.as_bytes()).await.unwrap().status, 204);
    assert_eq!(call(&object.place, "POST /", JSON, b"{").await.unwrap().status, 204);
    soon("tick is woken", woken.wait_for(|wakes| *wakes > 0)).await.unwrap();
    object.terminate();
    let ended = object.ended().await;
    assert!(ended.status.success(), "{:#?}", ended.lines);
    let asked = bucket.requests();
    assert_eq!(asked.len(), 2, "a request each, and none at the start or the end: {asked:#?}");
    assert_eq!(*elsewhere.borrow(), 0, "nobody else was asked");
    let stored = ground.store.list("", "", 1000).await.unwrap().entries;
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert!(stored.iter().all(|entry| entry.name.starts_with("inbox/")), "{stored:?}");
}
