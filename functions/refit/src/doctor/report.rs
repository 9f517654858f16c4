//! What was found, what could not be looked at, and what is as it should be.

use std::collections::BTreeSet;
use std::fmt;

use refit_core::diagnostics::Severity;
use serde::Serialize;

use super::rights::May;
use crate::words::count;

/// What is said with every right that is lacking.
const INHERITED: &str = "whether a folder or the organisation grants it is not read";

/// What an examination came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// What is wrong, the worst first.
    pub(crate) findings: Vec<Finding>,
    /// What could not be looked at.
    pub(crate) not_checked: BTreeSet<Unchecked>,
    /// What is as it should be.
    pub(crate) fine: BTreeSet<Fine>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The check that found it.
    pub(crate) check: &'static str,
    /// Where.
    #[serde(rename = "where")]
    pub(crate) at: String,
    /// What is wrong, and what comes of it.
    pub(crate) what: String,
    /// A command that mends it.
    pub(crate) cure: String,
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Unchecked {
    pub(crate) check: &'static str,
    #[serde(rename = "where")]
    pub(crate) at: String,
    pub(crate) why: String,
}

/// Something that is as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Fine {
    pub(crate) check: &'static str,
    #[serde(rename = "where")]
    pub(crate) at: String,
}

/// Where a check writes what it sees.
#[derive(Debug)]
pub(crate) struct Notes<'a> {
    check: &'static str,
    report: &'a mut Report,
}

impl Report {
    /// Where this check writes what it sees.
    pub(super) fn notes(&mut self, check: &'static str) -> Notes<'_> {
        Notes { check, report: self }
    }

    /// Whether something is wrong that keeps events from becoming runs, or lets somebody in.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl Notes<'_> {
    /// Something is wrong.
    pub(super) fn error(&mut self, at: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.find(Severity::Error, at, (what.into(), cure.into()));
    }

    /// Something is probably not meant.
    pub(super) fn warn(&mut self, at: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.find(Severity::Warning, at, (what.into(), cure.into()));
    }

    /// Somebody may do what has to be done, or may not, which is wrong, or nobody knows.
    pub(super) fn right(&mut self, at: &str, may: May, wrong: (impl Into<String>, String)) {
        self.right_or(Severity::Error, (at, may), wrong);
    }

    /// The same, of which it is said how wrong it is to lack it.
    pub(super) fn right_or(
        &mut self,
        severity: Severity,
        (at, may): (&str, May),
        (what, cure): (impl Into<String>, String),
    ) {
        let what: String = what.into();
        match may {
            May::Yes => self.fine(at),
            May::Unknown(why) => self.unchecked(at, why),
            May::No => self.find(severity, at, (format!("{what}; {INHERITED}"), cure)),
        }
    }

    /// Something could not be looked at.
    pub(super) fn unchecked(&mut self, at: &str, why: impl fmt::Display) {
        let (check, at, why) = (self.check, at.to_owned(), why.to_string());
        self.report.not_checked.insert(Unchecked { check, at, why });
    }

    /// Something is as it should be.
    pub(super) fn fine(&mut self, at: &str) {
        self.report.fine.insert(Fine { check: self.check, at: at.to_owned() });
    }

    fn find(&mut self, severity: Severity, at: &str, (what, cure): (String, String)) {
        let (check, at) = (self.check, at.to_owned());
        self.report.findings.push(Finding { severity, check, at, what, cure });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { severity, check, at, what, cure } in &self.findings {
            let word = if *severity == Severity::Error { "error" } else { "warning" };
            writeln!(f, "{word}: {what}\n  where: {at} ({check})\n  cure:  {cure}\n")?;
        }
        for Unchecked { check, at, why } in &self.not_checked {
            writeln!(f, "not checked: {check} of {at}: {why}")?;
        }
        for Fine { check, at } in &self.fine {
            writeln!(f, "fine: {check} of {at}")?;
        }
        let errors = self.findings.iter().filter(|it| it.severity == Severity::Error).count();
        let counted = |number: usize, one, many| count(number as u64, one, many);
        write!(
            f,
            "{}, {}, {} not checked, {} fine",
            counted(errors, "error", "errors"),
            counted(self.findings.len() - errors, "warning", "warnings"),
            self.not_checked.len(),
            self.fine.len(),
        )
    }
}
