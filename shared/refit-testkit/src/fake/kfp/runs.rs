//! The runs, and how they go on.

use serde_json::Value;

use super::Options;
use super::catalog::time;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not begun.
    Pending,
    /// It runs.
    Running,
    /// It was told to end and has not yet.
    Canceling,
    /// It ended well.
    Succeeded,
    /// It ended badly, or was ended.
    Failed,
}

/// A run, or the shadow of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its experiment.
    pub experiment: String,
    /// The request that started it.
    pub request: Value,
    /// Its parameters by name, in the types they were sent in.
    pub parameters: Value,
    /// Whether it is a second workflow under the id of another: harm done.
    pub shadow: bool,
    /// Where it stood, oldest first, each with when.
    pub history: Vec<(String, Phase)>,
    /// Looks it is still hidden from.
    hidden: u32,
    /// How often it was looked at.
    looks: u32,
}

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) status: u16,
    pub(super) code: u16,
    pub(super) message: String,
}

/// A run to be started.
pub(super) struct Draft {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) experiment: String,
    pub(super) parameters: Value,
    pub(super) request: Value,
}

/// Every run.
#[derive(Default)]
pub(super) struct Runs {
    all: Vec<Run>,
    ids_ignored: bool,
    looks: Option<u32>,
    /// Looks the next run is hidden from.
    pub(super) hide_next: u32,
    /// Things that happened, which is what the time is told by.
    moments: u32,
}

impl Run {
    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.history.last().map_or(Phase::Pending, |(_, phase)| *phase)
    }

    /// When it began.
    pub(super) fn began(&self) -> &str {
        self.history.first().map_or("", |(at, _)| at)
    }

    /// When it ended; the epoch where it has not, as the server has it.
    pub(super) fn ended(&self) -> &str {
        let last = self.history.last().filter(|(_, phase)| phase.is_end());
        last.map_or("1970-01-01T00:00:00Z", |(at, _)| at)
    }

    fn is_visible(&mut self) -> bool {
        let is_visible = self.hidden == 0;
        self.hidden = self.hidden.saturating_sub(1);
        is_visible && !self.shadow
    }

    /// Time passes by being looked at.
    fn look(&mut self, at: String, looks: Option<u32>) {
        self.looks += 1;
        let next = match self.phase() {
            Phase::Canceling => Phase::Failed,
            Phase::Pending if self.looks >= 1 => Phase::Running,
            Phase::Running if looks.is_some_and(|looks| self.looks >= looks) => Phase::Succeeded,
            Phase::Pending | Phase::Running | Phase::Succeeded | Phase::Failed => return,
        };
        self.history.push((at, next));
    }
}

impl Phase {
    pub(in crate::fake) fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Wrong {
    pub(super) fn new(status: u16, code: u16, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn input(message: impl AsRef<str>) -> Self {
        Self::new(400, 3, format!("Invalid input error: {}", message.as_ref()))
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(404, 5, message)
    }
}

impl Runs {
    pub(super) fn new(options: &Options) -> Self {
        Self { ids_ignored: options.ids_ignored, looks: options.looks, ..Self::default() }
    }

    pub(super) fn all(&self) -> &[Run] {
        &self.all
    }

    /// Starts a run: the workflow first, then its row in the database, which may be there already.
    pub(super) fn begin(&mut self, draft: Draft) -> Result<&Run, Wrong> {
        let made_up = format!("00000000-0000-4000-8000-{:012x}", self.all.len() + 1);
        let id = draft.id.filter(|id| !self.ids_ignored && !id.is_empty()).unwrap_or(made_up);
        let shadow = self.all.iter().any(|run| run.id == id);
        let run = Run {
            id: id.clone(),
            name: draft.name,
            experiment: draft.experiment,
            request: draft.request,
            parameters: draft.parameters,
            shadow,
            history: vec![(self.now(), Phase::Pending)],
            hidden: std::mem::take(&mut self.hide_next),
            looks: 0,
        };
        self.all.push(run);
        let run = self.all.last().filter(|_| !shadow);
        run.ok_or_else(|| {
            Wrong::new(500, 13, format!("Failed to store run {id} to table: Error 1062"))
        })
    }

    /// The run of that id, a moment later than when it was last looked at.
    pub(super) fn look(&mut self, id: &str) -> Result<&Run, Wrong> {
        let (at, looks) = (self.now(), self.looks);
        let run = self.find(id)?;
        if !run.is_visible() {
            return Err(absent(id));
        }
        run.look(at, looks);
        Ok(run)
    }

    /// The runs for which something holds, newest first.
    pub(super) fn list(&mut self, wanted: impl Fn(&Run) -> bool) -> Vec<&Run> {
        let found = self.all.iter_mut().rev().filter(|run| wanted(run));
        found.filter_map(|run| run.is_visible().then_some(&*run)).collect()
    }

    /// Tells a run to end; it has not ended before it is looked at again.
    pub(super) fn terminate(&mut self, id: &str) -> Result<(), Wrong> {
        let phase = self.find(id)?.phase();
        if phase.is_end() {
            return Err(Wrong::new(400, 9, format!("Failed to terminate run {id}: it has ended")));
        }
        self.go_on(id, Phase::Canceling);
        Ok(())
    }

    pub(super) fn go_on(&mut self, id: &str, phase: Phase) {
        let at = self.now();
        if let Ok(run) = self.find(id) {
            run.history.push((at, phase));
        }
    }

    fn find(&mut self, id: &str) -> Result<&mut Run, Wrong> {
        let run = self.all.iter_mut().find(|run| run.id == id && !run.shadow);
        run.ok_or_else(|| absent(id))
    }

    fn now(&mut self) -> String {
        self.moments += 1;
        time(self.moments)
    }
}

fn absent(id: &str) -> Wrong {
    Wrong::missing(format!("Failed to get a run: ResourceNotFoundError: run {id} not found"))
}
