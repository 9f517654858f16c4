//! Running inputs in processes of their own, for as long as one likes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use refit_core::key::sha256_hex;
use rustix::time::ClockId;

use crate::targets::Target;
use crate::work::{Bound, Summary, run, taken};

/// How much of a processor one input may take.
const INPUT_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What a process ends with that was given an input which takes too long.
const HANGS: i32 = 102;
/// Findings after which to stop.
const FINDINGS_MAX: usize = 20;

/// A run that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// What is fuzzed.
    pub target: &'static Target,
    /// How long.
    pub length: Duration,
    /// The seed of the first process.
    pub seed: u64,
}

impl Hunt {
    /// Runs processes until the time is over: the files of the corpus that hold what was found.
    ///
    /// # Errors
    /// A process that cannot be started, or a finding that cannot be written.
    #[expect(clippy::disallowed_methods, reason = "a run is as long as it was asked to be")]
    pub fn run(&self) -> io::Result<Vec<PathBuf>> {
        let end = Instant::now() + self.length;
        let name = format!("refit-fuzz-{}-{}", std::process::id(), self.target.name);
        let note = std::env::temp_dir().join(name);
        let mut found = Vec::new();
        for seed in self.seed.. {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || found.len() >= FINDINGS_MAX {
                break;
            }
            let ended = self.process(seed, left, &note)?;
            if !ended.success() {
                found.push(self.keep(&note, ended)?);
            }
        }
        // It may never have been written.
        let _ = fs::remove_file(note);
        Ok(found)
    }

    fn process(&self, seed: u64, left: Duration, note: &Path) -> io::Result<ExitStatus> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("work").arg(self.target.name).arg(note);
        command.args([seed.to_string(), left.as_secs().max(1).to_string()]).status()
    }

    /// Keeps the input that a process ended with.
    fn keep(&self, note: &Path, ended: ExitStatus) -> io::Result<PathBuf> {
        let noted = fs::read(note)?;
        let (length, input) = noted.split_at_checked(8).unwrap_or_default();
        let length = length.try_into().map_or(0, u64::from_le_bytes);
        let input = &input[..usize::try_from(length).unwrap_or(0).min(input.len())];
        let how = if ended.code() == Some(HANGS) { "hang" } else { "crash" };
        fs::create_dir_all(self.target.corpus())?;
        let path = self.target.corpus().join(format!("{how}-{}", &sha256_hex(input)[..12]));
        fs::write(&path, input)?;
        Ok(path)
    }
}

/// Milliseconds this process has taken of a processor.
fn millis() -> u64 {
    u64::try_from(taken(ClockId::ProcessCPUTime).as_millis()).unwrap_or(u64::MAX)
}

/// What a process of a hunt does: notes each input before it is given, and ends if one takes too long.
///
/// # Errors
/// The file for the notes cannot be written.
#[expect(clippy::disallowed_methods, reason = "a run is as long as it was asked to be")]
pub fn work(
    target: &'static Target,
    note: &Path,
    seed: u64,
    length: Duration,
) -> io::Result<Summary> {
    let note = File::create(note)?;
    let begun = Instant::now();
    // What the process had taken of a processor when the input was given.
    let given: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(millis())));
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK_EVERY);
            let took = millis().saturating_sub(given.load(Ordering::Relaxed));
            if Duration::from_millis(took) > INPUT_WITHIN {
                std::process::exit(HANGS);
            }
        }
    });
    let watch = |input: &[u8]| {
        let noted = [&(input.len() as u64).to_le_bytes(), input].concat();
        note.write_all_at(&noted, 0).expect("the note can be written");
        given.store(millis(), Ordering::Relaxed);
    };
    Ok(run(target, seed, Bound::Until(begun + length), watch))
}
