//! The watched folder: files that behave as objects in buckets.
//!
//! `buckets/NAME/OBJECT` is the object `gs://NAME/OBJECT`. A file that is new, or whose content has changed, is
//! announced to the door of objects as the notification of a bucket would be, again and again until the door
//! acknowledges it; a file that is gone is announced as deleted.
//!
//! | rule | |
//! |---|---|
//! | when | size, time of modification and inode have stood still for half a second |
//! | generation | when the file was last changed or moved there, in microseconds, by the system's word |
//! | not an object | anything hidden (`.name`), unfinished (`*.part`, `*.partial`, `*.tmp`, `*.crdownload`, `*.swp`, `*~`), in no bucket, linked, or not named in UTF-8 |
//! | cannot be looked at | a folder, or a file, is complained of once; what was announced of it is not taken for gone |
//! | across restarts | what was acknowledged is kept in a file and not announced again; what was not is, under the same generation, so that the ledger knows it |

mod listing;
mod notification;
mod scan;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use http::Method;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::{Clock, Transport};
use refit_platform::env;
use refit_wire::http::Request;
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

use crate::news::{News, Teller};
pub use listing::listing;
use notification::{Checksums, Message};
use scan::Seen;
use standing::{Notice, Object, Standing, Stat};

/// How long between two looks, unless looking takes long.
const LOOK_EVERY: Span = Span::from_millis(200);
/// Looking takes at most one part in so many of the time.
const LOOK_SHARE: i64 = 10;
/// How long one announcement may take.
const ANNOUNCE_WITHIN: Span = Span::secs(10);
/// How many are made at the same time.
const AT_ONCE: usize = 16;
/// How long after a failed announcement the next is made, doubling with every failure.
const BACK_OFF_MIN: Span = Span::from_millis(250);
const BACK_OFF_MAX: Span = Span::secs(10);

/// What a watcher is given.
pub struct Config {
    /// The folder with one folder per bucket.
    pub buckets: PathBuf,
    /// The file in which it is kept what was announced.
    pub record: PathBuf,
    /// The door of objects.
    pub door: Url,
    /// The way there.
    pub transport: Arc<dyn Transport>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is told of every announcement.
    pub teller: Teller,
}

/// Announces what changes below the buckets.
pub struct Watcher {
    config: Config,
    standing: Standing,
    back_off: BackOff,
    /// Files that cannot be read, so that each is complained of once.
    unreadable: BTreeSet<Object>,
    /// Places that cannot be looked at, so that each is complained of once.
    hidden: BTreeSet<String>,
    /// Files that lie in no bucket, by name.
    loose: BTreeSet<String>,
}

/// When to try again.
#[derive(Debug, Default)]
struct BackOff {
    failures: u32,
    not_before: Span,
}

/// What came of an announcement.
enum Told {
    /// The door has it.
    Acknowledged(Notice),
    /// The file is not what it was a moment ago.
    Changed,
    /// The file cannot be read.
    Unreadable(Object, io::Error),
    /// The door did not take it.
    Refused(String),
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("buckets", &self.buckets).finish_non_exhaustive()
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Watcher {
    /// A watcher that knows what was announced in an earlier life.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be read, `Data` if it is not what a watcher has written.
    pub fn open(config: Config) -> Result<Self, Error> {
        let announced = read(&config.record)?;
        let (back_off, unreadable, hidden, loose) = Default::default();
        let standing = Standing::new(announced);
        Ok(Self { config, standing, back_off, unreadable, hidden, loose })
    }

    /// Watches until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let looked = self.look().await;
            let rest = Span::from_millis(looked.as_millis() * LOOK_SHARE).max(LOOK_EVERY);
            tokio::select! {
                () = self.config.clock.sleep(rest) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Looks once, and announces what is ready. What looking took; announcing costs the folder nothing.
    async fn look(&mut self) -> Span {
        let begun = self.config.clock.elapsed();
        let buckets = self.config.buckets.clone();
        let look = move || io::Result::Ok((scan::scan(&buckets)?, scan::loose(&buckets)?));
        let looked = disk(look).await;
        let now = self.config.clock.elapsed();
        match looked {
            Ok((seen, loose)) => {
                self.tell_loose(loose);
                self.complain(&seen);
                let found = self.with_hidden(seen);
                self.announce(now, &found).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the buckets cannot be looked at; they are again");
                self.back_off.failed(now);
            }
        }
        Span::from_millis(now.as_millis() - begun.as_millis())
    }

    async fn announce(&mut self, now: Span, found: &BTreeMap<Object, Stat>) {
        let ready = self.standing.look(now, found);
        if ready.is_empty() || now < self.back_off.not_before {
            return;
        }
        let told: Vec<Told> = futures::stream::iter(ready)
            .map(|notice| self.config.tell(notice))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        self.note(told).await;
    }

    /// Complains once of every place that cannot be looked at.
    fn complain(&mut self, seen: &Seen) {
        for (place, error) in &seen.unread {
            if !self.hidden.contains(place) {
                tracing::warn!(%error, place, "a place cannot be looked at; what is there is not announced");
            }
        }
        self.hidden = seen.unread.keys().cloned().collect();
    }

    /// The files that were seen. One that was announced and may be there unseen is not gone.
    fn with_hidden(&self, mut seen: Seen) -> BTreeMap<Object, Stat> {
        let hidden = self.standing.announced().iter().filter(|(object, _)| seen.hides(object));
        let hidden: Vec<_> = hidden.map(|(object, stat)| (object.clone(), *stat)).collect();
        seen.files.extend(hidden);
        seen.files
    }

    /// Tells once of every file that lies in no bucket.
    fn tell_loose(&mut self, loose: Vec<String>) {
        let loose: BTreeSet<String> = loose.into_iter().collect();
        for name in loose.difference(&self.loose) {
            self.config.teller.tell(News::Loose { name: name.clone() });
        }
        self.loose = loose;
    }

    async fn note(&mut self, told: Vec<Told>) {
        let (mut acknowledged, mut refused) = (false, None);
        for told in told {
            match told {
                Told::Acknowledged(notice) => {
                    acknowledged = true;
                    self.unreadable.remove(&notice.object);
                    self.standing.acknowledged(notice);
                }
                Told::Changed => {}
                Told::Unreadable(object, error) => {
                    if self.unreadable.insert(object.clone()) {
                        tracing::warn!(%error, %object, "a file cannot be read; it is tried again");
                    }
                }
                Told::Refused(why) => refused = Some(why),
            }
        }
        match refused {
            Some(why) => {
                tracing::warn!(why, "changes could not be announced; they are again");
                self.back_off.failed(self.config.clock.elapsed());
            }
            None => self.back_off = BackOff::default(),
        }
        if acknowledged {
            self.keep().await;
        }
    }

    /// Keeps what was announced. Should that fail, it is announced again in the next life, and known to the ledger.
    async fn keep(&self) {
        let text = serde_json::to_vec(self.standing.announced());
        let record = self.config.record.clone();
        let kept = disk(move || write(&record, &text?)).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "what was announced cannot be kept");
        }
    }
}

impl BackOff {
    fn failed(&mut self, now: Span) {
        let wait = BACK_OFF_MIN.times(1 << self.failures.min(8)).min(BACK_OFF_MAX);
        self.failures += 1;
        self.not_before = now + wait;
    }
}

impl Config {
    /// Announces a change.
    async fn tell(&self, notice: Notice) -> Told {
        let id = env::nonce();
        let message = Message { id: &id, published: self.clock.now() };
        let body = match (notice.now, notice.before) {
            (Some(stat), _) => match self.read(&notice, stat).await {
                Ok(Some(checksums)) => {
                    notification::finalized(&notice, &stat, &checksums, &message)
                }
                Ok(None) => return Told::Changed,
                Err(error) => return Told::Unreadable(notice.object, error),
            },
            (None, Some(before)) => notification::deleted(&notice, before, &message),
            (None, None) => return Told::Changed,
        };
        match self.post(&body).await {
            Ok(()) => {
                let bytes = notice.now.map(|stat| stat.bytes);
                self.teller.tell(News::Announced { object: notice.object.to_string(), bytes });
                Told::Acknowledged(notice)
            }
            Err(why) => Told::Refused(why),
        }
    }

    /// Reads a file; none if it changed meanwhile.
    async fn read(&self, notice: &Notice, stat: Stat) -> io::Result<Option<Checksums>> {
        let path = self.buckets.join(&notice.object.0);
        let read = disk(move || {
            let checksums = Checksums::of(&path)?;
            Ok((scan::look_at(&path)? == Some(stat)).then_some(checksums))
        });
        match read.await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read,
        }
    }

    async fn post(&self, body: &Value) -> Result<(), String> {
        let request = Request {
            timeout: Some(ANNOUNCE_WITHIN),
            ..Request::new(Method::POST, self.door.clone()).json(body)
        };
        match self.transport.send(request).await {
            Ok(response) if response.is_success() => Ok(()),
            Ok(response) => Err(format!("status=`{}`", response.status)),
            Err(failure) => Err(failure.to_string()),
        }
    }
}

fn read(record: &Path) -> Result<BTreeMap<Object, Stat>, Error> {
    let failed = |kind, message: &str| {
        Error::new(kind, format!("what was announced {message}: path=`{}`", record.display()))
    };
    let text = match fs::read(record) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(failed(ErrorKind::Unavailable, "cannot be read").because(error));
        }
    };
    serde_json::from_slice(&text).map_err(|error| {
        failed(ErrorKind::Data, "is unreadable; remove the file to announce every file again")
            .because(error)
    })
}

/// Replaces the file as a whole: a process that dies meanwhile leaves the old one.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, text)?;
    fs::rename(draft, path)
}

/// Does what waits for the disk where waiting does no harm.
async fn disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
