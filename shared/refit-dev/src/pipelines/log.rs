//! What steps say: kept in files of bounded size, and read for progress.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tracing::warn;

/// How much of a line is looked at.
const LINE_BYTES_MAX: usize = 4096;
/// What stands between what a step said and what it says when it is run again.
const AGAIN: &[u8] = b"-- run again --\n";
const PROGRESS: &str = "::progress ";

/// The log of a step: two files of half the size, of which the older goes when the newer is full.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
    bytes: u64,
    bytes_max: u64,
}

impl Log {
    /// Opens the log at `path` to add to it.
    pub(super) async fn open(path: PathBuf, bytes_max: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(&path).await?;
        let bytes = file.metadata().await?.len();
        let mut log = Self { file, path, bytes, bytes_max };
        if bytes > 0 {
            log.write(AGAIN).await?;
        }
        Ok(log)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let half = usize::try_from(self.bytes_max / 2).unwrap_or(usize::MAX);
        for part in bytes.chunks(half.max(1)) {
            let length = part.len() as u64;
            if self.bytes > 0 && self.bytes + length > self.bytes_max / 2 {
                self.turn_over().await?;
            }
            self.bytes += length;
            self.file.write_all(part).await?;
        }
        self.file.flush().await
    }

    async fn turn_over(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        tokio::fs::rename(&self.path, older(&self.path)).await?;
        self.file = File::create(&self.path).await?;
        self.bytes = 0;
        Ok(())
    }
}

/// Writes all that comes to the log, and gives every line to `each`.
///
/// A log that cannot be written does not stop it: the one who writes would be stopped with it.
pub(super) async fn follow(mut from: impl AsyncRead + Unpin, mut log: Log, each: impl Fn(&str)) {
    let mut buffer = vec![0; LINE_BYTES_MAX];
    let mut line = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        if let Err(error) = log.write(bytes).await {
            warn!(%error, path = %log.path.display(), "the log of a step cannot be written");
        }
        for &byte in bytes {
            match byte {
                b'\n' => each(&String::from_utf8_lossy(&std::mem::take(&mut line))),
                _ if line.len() < LINE_BYTES_MAX => line.push(byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
}

/// What is left of a log, oldest first.
pub(super) fn read(path: &Path) -> Vec<u8> {
    [older(path), path.to_owned()]
        .iter()
        .flat_map(|path| fs::read(path).unwrap_or_default())
        .collect()
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("older.log")
}

/// Reads `::progress 0.4 message`: how far the step is, and what it says of it.
pub(super) fn progress(line: &str) -> Option<(f64, Option<String>)> {
    let rest = line.strip_prefix(PROGRESS)?.trim();
    let (share, message) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let share = share.parse().ok().filter(|share: &f64| share.is_finite())?;
    let message = Some(message.trim()).filter(|message| !message.is_empty());
    Some((share.clamp(0.0, 1.0), message.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn progress_is_read_and_anything_else_is_not() {
        let check = |line: &str, expected: Option<(f64, Option<&str>)>| {
            let expected = expected.map(|(share, message)| (share, message.map(str::to_owned)));
            assert_eq!(progress(line), expected, "{line}");
        };
        check("::progress 0.4 two words", Some((0.4, Some("two words"))));
        check("::progress 1", Some((1.0, None)));
        check("::progress  7 too far\r", Some((1.0, Some("too far"))));
        check("::progress -1", Some((0.0, None)));
        for line in
            ["::progress", "::progress x", "::progress NaN", "progress 0.4", " ::progress 1"]
        {
            check(line, None);
        }
    }

    #[tokio::test]
    async fn the_newest_part_of_a_long_log_is_kept_within_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.log");
        let lines: Vec<_> = (0..2000).map(|at| format!("line {at}")).collect();
        let text = lines.join("\n");
        let seen = RefCell::new(Vec::new());
        let each = |line: &str| seen.borrow_mut().push(line.to_owned());
        let log = Log::open(path.clone(), 10_000).await.unwrap();
        follow(text.as_bytes(), log, each).await;
        assert_eq!(*seen.borrow(), lines);
        let kept = String::from_utf8(read(&path)).unwrap();
        assert!(kept.len() <= 10_000 && kept.len() >= 4000, "{} bytes", kept.len());
        assert!(text.ends_with(&kept));
    }

    #[tokio::test]
    async fn a_line_without_end_is_not_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path().join("train.log"), 1000).await.unwrap();
        let longest = RefCell::new(0);
        let each = |line: &str| *longest.borrow_mut() = line.len();
        follow(vec![b'x'; 1 << 20].as_slice(), log, each).await;
        assert_eq!(*longest.borrow(), LINE_BYTES_MAX);
    }
}
