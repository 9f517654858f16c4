//! How a command ends: its exit code, and what it says of an error.

use std::process::ExitCode;

use refit_core::error::{Error, ErrorKind};

/// Declares the exit codes, each with its word in JSON and its meaning.
macro_rules! exits {
    ($($name:ident = $code:literal, $word:literal, $meaning:literal;)*) => {
        /// How a command ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Exit {
            $(#[doc = $meaning] $name,)*
        }

        impl Exit {
            /// Every exit.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The exit code of the process.
            pub(crate) fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The word for it, as the `kind` of an error in JSON.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it means.
            pub(crate) fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

exits! {
    Ok = 0, "ok", "done";
    Internal = 1, "internal", "something else went wrong: a permission, an unreadable record, a bug; or an error of doctor";
    Usage = 2, "usage", "the command line is wrong";
    Invalid = 3, "invalid", "the rule file or the input is wrong";
    Refused = 4, "refused", "the answer is no: a conflict, or a command the reconciler refused";
    Unavailable = 5, "unavailable", "the store, a service or a reconciler did not answer in time";
    NotFound = 6, "not_found", "there is no such file, ledger, trigger, event, batch or run";
    Findings = 7, "findings", "audit or fsck found something wrong, or check --strict has a warning";
    Interrupted = 130, "interrupted", "ended by ctrl-c";
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What happened, and what would mend it.
    pub(crate) message: String,
}

impl Failure {
    /// A failure that ends the process so.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::Conflict | ErrorKind::Rejected => Self::Refused,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Unauthorized | ErrorKind::Data | ErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind().into(), error.to_string())
    }
}
