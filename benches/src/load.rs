//! Load: connections that each send one event after another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use refit_core::time::Timestamp;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::stopwatch::Stopwatch;

/// What a load met.
#[derive(Debug)]
pub(crate) struct Met {
    /// How long it took.
    pub(crate) took: Duration,
    /// How long each answer took, sorted.
    pub(crate) answers: Vec<Duration>,
}

impl Met {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        as_f64(self.answers.len()) / self.took.as_secs_f64()
    }

    /// What this many of a hundred answers took at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.answers.len() * percent / 100).min(self.answers.len().saturating_sub(1));
        self.answers.get(at).copied().unwrap_or_default()
    }
}

/// A count as a number to calculate with.
pub(crate) fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Sends events over that many connections, each event a new fact.
pub(crate) async fn run(place: &str, events: usize, connections: usize) -> anyhow::Result<Met> {
    let next = Arc::new(AtomicUsize::new(0));
    let total = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(connection(place.to_owned(), Arc::clone(&next), events));
    }
    let mut answers = Vec::with_capacity(events);
    while let Some(met) = tasks.join_next().await {
        answers.extend(met??);
    }
    answers.sort_unstable();
    Ok(Met { took: total.elapsed(), answers })
}

async fn connection(
    place: String,
    next: Arc<AtomicUsize>,
    events: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(&place).await?;
    stream.set_nodelay(true)?;
    let mut met = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= events {
            return Ok(met);
        }
        let request = request(&place, number);
        let watch = Stopwatch::start();
        stream.write_all(&request).await?;
        answer(&mut stream).await?;
        met.push(watch.elapsed());
    }
}

/// Sends one event as soon as the place answers.
pub(crate) async fn one(place: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(place).await?;
    stream.write_all(&request(place, 0)).await?;
    answer(&mut stream).await
}

/// Reads an answer, which is one without a body.
async fn answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut bytes = [0; 2048];
    let mut length = 0;
    while !bytes[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut bytes[length..]).await?;
        anyhow::ensure!(read > 0, "the connection was closed");
        length += read;
    }
    let head = std::str::from_utf8(&bytes[..length]).context("an answer is text")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 204"), "not accepted: {head}");
    Ok(())
}

/// The notification of an upload, as Eventarc delivers it: headers with their ends, and a body. It differs from
/// others by its number.
pub(crate) fn upload(number: usize, now: Timestamp) -> (String, String) {
    let name = format!("churn/part-{number}.parquet");
    let headers = format!(
        "content-type: application/json\r\nce-specversion: 1.0\r\nce-id: {number}\r\n\
         ce-type: google.cloud.storage.object.v1.finalized\r\n\
         ce-source: //storage.googleapis.com/projects/_/buckets/acme-data\r\n\
         ce-subject: objects/{name}\r\nce-time: {now}\r\n"
    );
    let generation = 1_700_000_000_000_000_usize + number;
    let object = json!({
        "kind": "storage#object", "bucket": "acme-data", "name": name,
        "generation": generation.to_string(), "metageneration": "1", "size": "48213",
        "contentType": "application/vnd.apache.parquet", "timeCreated": now.to_string(),
        "md5Hash": format!("{generation:022}=="), "crc32c": "zyXoUg==",
    });
    (headers, object.to_string())
}

fn request(place: &str, number: usize) -> Vec<u8> {
    let (headers, body) = upload(number, SystemClock.now());
    let length = body.len();
    format!("POST / HTTP/1.1\r\nhost: {place}\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
