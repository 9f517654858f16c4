//! What a function is started with: nothing, for its environment configures it, or a question.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::environment::{Reader, VARIABLES};

/// What is said to a question, and with which exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    text: String,
    /// 0 for a question, 2 for what is none.
    code: u8,
}

/// What the arguments of a function ask; nothing where there are none.
pub(crate) fn asked(service: &str, arguments: impl Iterator<Item = OsString>) -> Option<Asked> {
    let arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let said = |text: String, code| Some(Asked { text, code });
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--help" | "-h"] => said(help(service), 0),
        ["--version" | "-V"] => said(format!("{service} {}\n", env!("CARGO_PKG_VERSION")), 0),
        _ => {
            let given = arguments.join(" ");
            said(format!("{service} takes no arguments, see --help: given=`{given}`\n"), 2)
        }
    }
}

fn help(service: &str) -> String {
    let read = VARIABLES
        .iter()
        .filter(|variable| variable.read_by.iter().any(|reader| reader.name() == service));
    let rows = read.map(|variable| format!("  {:<28} {}\n", variable.name, variable.meaning));
    format!(
        "{}\n\nUsage: {service}\n\nIt takes no arguments; these environment variables configure it:\n{}\n\
         More on each is in docs/reference.md, how it is deployed in docs/deploy.md.\n",
        about(service),
        rows.collect::<String>(),
    )
}

/// What a function does, in a sentence.
fn about(service: &str) -> &'static str {
    match Reader::ALL.iter().find(|reader| reader.name() == service) {
        Some(Reader::Object) => {
            "Takes notifications of buckets, and messages, over HTTP: records them and wakes tick."
        }
        Some(Reader::Drift) => "Takes reports of drift over HTTP: records them and wakes tick.",
        Some(Reader::Hook) => {
            "Takes signed webhooks and approvals over HTTP: records them and wakes tick."
        }
        Some(Reader::Tick) => {
            "Is woken over HTTP: decides what is to run, and calls the pipeline services."
        }
        Some(Reader::Serve | Reader::Worker | Reader::CommandLine) | None => "A function of refit.",
    }
}

impl Asked {
    /// Says it.
    pub(crate) fn answer(&self) -> ExitCode {
        // Nobody is left to tell if even this cannot be printed.
        let _ = match self.code {
            0 => io::stdout().write_all(self.text.as_bytes()),
            _ => io::stderr().write_all(self.text.as_bytes()),
        };
        self.code.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(service: &str, arguments: &[&str]) -> Option<Asked> {
        asked(service, arguments.iter().map(OsString::from))
    }

    #[test]
    fn a_function_without_arguments_is_asked_nothing() {
        assert_eq!(of("object", &[]), None);
    }

    #[test]
    fn help_names_the_variables_a_function_reads_and_no_others() {
        for service in ["object", "drift", "hook", "tick"] {
            let Asked { text, code } = of(service, &["--help"]).unwrap();
            assert_eq!(code, 0);
            assert!(
                text.contains(" REFIT_LEDGER ") && text.contains("docs/reference.md"),
                "{text}"
            );
            assert_eq!(text.contains(" REFIT_WAKE "), service != "tick", "{text}");
            assert!(!text.starts_with("A function"), "{text}");
        }
    }

    #[test]
    fn the_version_is_said_and_anything_else_refused() {
        let version = of("tick", &["--version"]).unwrap();
        assert_eq!(version.text, format!("tick {}\n", env!("CARGO_PKG_VERSION")));
        let refused = of("tick", &["--port", "80"]).unwrap();
        assert_eq!(refused.code, 2);
        assert!(refused.text.contains("given=`--port 80`"), "{}", refused.text);
    }
}
