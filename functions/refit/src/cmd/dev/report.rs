//! How a run went.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use breast_cancer::metrics::Metrics;
use refit_core::key::RunKey;
use refit_core::run::{Phase, Run};
use refit_dev::pipelines::Pipelines;
use serde::Serialize;
use serde_json::Value;

use crate::run_row::RunRow;
use crate::words::count;

/// How a run went, and what it has made.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    run: RunRow,
    /// Where lies what it has made, if the local pipeline service ran it.
    artifacts: Option<PathBuf>,
    /// What lies there, as it is named.
    files: Vec<String>,
    /// What it says of itself in `metrics.json`.
    metrics: Option<Value>,
    #[serde(skip)]
    hints: String,
}

/// What can be tried next.
pub(super) struct Hints<'a> {
    /// The folder of the demo.
    pub(super) folder: &'a Path,
    /// Whether nobody serves it any more.
    pub(super) ends: bool,
    /// Where this program lies, if a shell would not find it by its name.
    pub(super) hidden: Option<PathBuf>,
}

impl Report {
    pub(super) fn of(run: &Run, pipelines: &Pipelines, hints: Option<Hints<'_>>) -> Self {
        let id: Option<RunKey> =
            run.attempt().external.as_ref().and_then(|external| external.id.parse().ok());
        let local = id.and_then(|id| Some((pipelines.folder(id), pipelines.run(id)?)));
        let (folder, local) = local.unzip();
        let artifacts = folder.map(|folder| folder.join("artifacts"));
        let metrics = artifacts.as_ref().and_then(|artifacts| {
            let text = fs::read(artifacts.join("metrics.json")).ok()?;
            serde_json::from_slice(&text).ok()
        });
        Self {
            run: RunRow::of(run),
            artifacts,
            files: local.map(|run| run.artifacts).unwrap_or_default(),
            metrics,
            hints: hints.map(|hints| hints.to_string()).unwrap_or_default(),
        }
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.run.phase == Phase::Succeeded
    }

    fn write_metrics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(metrics) = &self.metrics else { return Ok(()) };
        if let Ok(metrics) = serde_json::from_value::<Metrics>(metrics.clone()) {
            return writeln!(f, "\n{metrics}\n");
        }
        let values = metrics.as_object().into_iter().flatten();
        values
            .filter(|(_, value)| value.is_number())
            .try_for_each(|(name, value)| writeln!(f, "{name}  {value}"))
    }

    /// The folder with what was made, and the pictures by their paths, which a terminal may open.
    fn write_artifacts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(folder) = self.artifacts.as_ref().filter(|_| !self.files.is_empty()) else {
            return Ok(());
        };
        writeln!(f, "{} in {}", self.files.join(", "), folder.display())?;
        let mut pictures = self.files.iter().filter(|file| file.ends_with(".svg"));
        pictures.try_for_each(|file| writeln!(f, "picture: {}", folder.join(file).display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunRow { run, trigger, phase, members, message, .. } = &self.run;
        let members = count(*members, "member", "members");
        let message = message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        writeln!(f, "run {run} of {trigger} with {members} {}{message}", phase.text())?;
        self.write_metrics(f)?;
        self.write_artifacts(f)?;
        f.write_str(&self.hints)
    }
}

impl fmt::Display for Hints<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.ends { "" } else { ", in another terminal" };
        writeln!(f, "\nWhat to try next{place}:")?;
        if let Some(program) = &self.hidden {
            writeln!(f, "  alias refit='{}'", program.display())?;
        }
        writeln!(f, "  cd {}", self.folder.display())?;
        let serve = self.ends.then_some(("refit dev &", "serve the folder on"));
        let others = [
            ("refit why gs://uploads/part-1.csv", "what became of a file"),
            ("refit status", "what waits, and until when"),
            ("refit models", "its version, which waits for `refit approve`"),
            ("cp data/part-1.csv buckets/uploads/more.csv", "another file, another run"),
            ("$EDITOR refit.yaml", "other rules, applied when saved"),
        ];
        let mut rows = serve.into_iter().chain(others);
        rows.try_for_each(|(command, what)| writeln!(f, "  {command:<44}  {what}"))
    }
}

/// This program, unless a shell has found it by its name.
pub(super) fn hidden_program() -> Option<PathBuf> {
    let is_found = std::env::args_os().next().is_some_and(|name| name == "refit");
    if is_found { None } else { std::env::current_exe().ok() }
}
