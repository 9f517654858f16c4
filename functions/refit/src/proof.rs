//! Proofs over a whole ledger, and how their findings are reported.

use std::fmt;

use refit_engine::audit::{self, Report};
use refit_host::function::read_rules;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::cmd::sweep;
use crate::context::{Context, Opened, no_ledger};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::words::count;

/// What is to be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// That every event has exactly one fate.
    Audit {
        /// Whether every object that is watched had its event.
        buckets: bool,
    },
    /// That what is stored is whole.
    Fsck,
}

struct Proved {
    report: Report,
    proof: Proof,
}

/// Proves it, or finds what is wrong.
pub(crate) async fn prove(context: &Context, proof: Proof) -> Result<Exit, Failure> {
    let opened = context.open_existing().await?;
    let ledger = &opened.ledger;
    if matches!(ledger.commit(0).await, Ok(None)) {
        return Err(no_ledger(&opened.location));
    }
    let read = match proof {
        Proof::Audit { .. } => "commits read",
        Proof::Fsck => "objects read",
    };
    let progress = Progress::new(context.output, read);
    let tell = |count| progress.count(count);
    let report = match proof {
        Proof::Audit { .. } => audit::audit(ledger, &read_rules(), &tell).await,
        Proof::Fsck => audit::fsck(ledger, &read_rules(), &tell).await,
    };
    drop(progress);
    let mut report = report?;
    if proof == (Proof::Audit { buckets: true }) {
        look_into_buckets(context, &opened, &mut report).await?;
    }
    let exit = if report.is_clean() { Exit::Ok } else { Exit::Findings };
    context.output.show(&Proved { report, proof })?;
    Ok(exit)
}

/// Every object that a trigger in force watches is known, but for those a sweep leaves alone.
async fn look_into_buckets(
    context: &Context,
    opened: &Opened,
    report: &mut Report,
) -> Result<(), Failure> {
    let state = opened.state().await?.ok_or_else(|| no_ledger(&opened.location))?;
    let (swept, missed) = sweep::look(context, opened, &state).await?;
    report.objects = Some(swept.objects);
    for event in missed {
        report.find("an object that is watched is recorded", format!("missed: {}", event.name()));
    }
    for trouble in swept.troubles {
        report.find("what is watched can be looked at", trouble);
    }
    Ok(())
}

impl Serialize for Proved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Report { commits, findings, more_findings, .. } = &self.report;
        match self.proof {
            Proof::Audit { .. } => self.report.serialize(serializer),
            Proof::Fsck => {
                let mut fields = serializer.serialize_struct("Report", 3)?;
                fields.serialize_field("commits", commits)?;
                fields.serialize_field("findings", findings)?;
                fields.serialize_field("more_findings", more_findings)?;
                fields.end()
            }
        }
    }
}

impl fmt::Display for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { findings, more_findings, .. } = &self.report;
        findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        if *more_findings > 0 {
            writeln!(f, "{} left out", count(*more_findings, "finding is", "findings are"))?;
        }
        let found = match findings.len() as u64 + more_findings {
            0 => "nothing is wrong".to_owned(),
            number => count(number, "finding", "findings"),
        };
        write!(f, "{found}: {}", self.looked_at())
    }
}

impl Proved {
    fn looked_at(&self) -> String {
        let Report { commits, segments, events, accepted, refused, pending, orphans, runs, .. } =
            self.report;
        let commits = count(commits, "commit", "commits");
        match self.proof {
            Proof::Fsck => commits,
            Proof::Audit { .. } => {
                let objects = self.report.objects.map(|number| count(number, "object", "objects"));
                let objects = objects.map(|text| format!(", {text} in buckets"));
                format!(
                    "{commits}, {}, {}, {accepted} accepted, {refused} refused, {}, {pending} pending, {orphans} orphans{}",
                    count(segments, "segment", "segments"),
                    count(events, "event", "events"),
                    count(runs, "run", "runs"),
                    objects.unwrap_or_default(),
                )
            }
        }
    }
}
