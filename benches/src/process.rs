//! Processes that are measured.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::stopwatch::Stopwatch;

/// Ticks of the system's clock in a second: what `/proc` counts CPU time in, on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A server that listens.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) place: String,
    /// When it was started.
    pub(crate) started: Stopwatch,
}

impl Process {
    /// Starts a program that knows these variables and no others, and waits until it says where it listens.
    pub(crate) async fn start(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let started = Stopwatch::start();
        let mut child = Command::new(program)
            .args(arguments.iter().map(OsStr::new))
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        let stderr = child.stderr.take().context("a pipe was asked for")?;
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if let ("listening", Some(place)) =
                (said["message"].as_str().unwrap_or_default(), said["address"].as_str())
            {
                let place = place.to_owned();
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { child, place, started });
            }
        }
        anyhow::bail!("`{}` ended before it listened", program.display())
    }

    /// This program itself, in another role.
    pub(crate) async fn this(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start(&std::env::current_exe()?, arguments, &[]).await
    }

    /// CPU time it has used so far, in user and in system.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        // The name of the program is in brackets and may hold anything.
        let fields = stat.rsplit_once(") ").context("no process")?.1;
        let mut fields = fields.split(' ').skip(11);
        let mut ticks = || fields.next().unwrap_or_default().parse::<u64>();
        let used = ticks()? + ticks()?;
        Ok(Duration::from_millis(used * 1000 / TICKS_PER_SECOND))
    }

    /// Memory that is resident now, in MB.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        resident(&self.proc("status")?, "VmRSS:")
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let id = self.child.id().context("it has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }
}

/// The most memory this process ever had, in MB.
pub(crate) fn own_peak() -> anyhow::Result<f64> {
    resident(&std::fs::read_to_string("/proc/self/status")?, "VmHWM:")
}

fn resident(status: &str, field: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}
