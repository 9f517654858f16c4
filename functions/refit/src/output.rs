//! What a command prints: its result to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// Where results, notes and errors go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Output as the command line asks for it.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether the result is JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result.
    pub(crate) fn show(self, result: &(impl Serialize + Display)) -> Result<(), Failure> {
        match self.json {
            true => print(&to_json(result)),
            false => print(&result.to_string()),
        }
    }

    /// Prints a result that is JSON for people as well.
    pub(crate) fn show_value(self, value: &Value) -> Result<(), Failure> {
        print(&to_json(value))
    }

    /// Prints a text, which is a member of that name in JSON.
    pub(crate) fn show_text(self, name: &str, text: &str) -> Result<(), Failure> {
        match self.json {
            true => print(&to_json(&json!({ name: text }))),
            false => print(text),
        }
    }

    /// Says something on the way.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Says why a command failed.
    pub(crate) fn fail(self, failure: &Failure) {
        match self.json {
            true => {
                let error = json!({ "kind": failure.exit.word(), "message": failure.message });
                // Nobody is left to tell if even this cannot be printed.
                let _ = print(&to_json(&json!({ "error": error })));
            }
            false => say(&format!("error: {}", failure.message)),
        }
    }

    /// Whether results may be coloured.
    pub(crate) fn has_colours(self) -> bool {
        !self.json && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    /// Whether progress may be drawn.
    pub(crate) fn draws(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether progress may be told.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether somebody is there to answer a question.
    pub(crate) fn can_ask(self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question, and reads the answer; empty at the end of the input.
    pub(crate) async fn ask(self, question: &str) -> Result<String, Failure> {
        // Without the question the answer is read all the same.
        let _ = write!(io::stderr(), "{question} ");
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|_| line.trim().to_owned())
        });
        let read = read.await.map_err(io::Error::other).flatten();
        read.map_err(|error| {
            Failure::new(Exit::Internal, format!("the answer cannot be read: {error}"))
        })
    }

    /// Asks whether to go on; where nobody can be asked, `--yes` has to say so.
    pub(crate) async fn confirm(self, question: &str) -> Result<bool, Failure> {
        if !self.can_ask() {
            let message =
                "nobody is here to be asked: add --yes to go on, or --dry-run to look only";
            return Err(Failure::new(Exit::Usage, message));
        }
        let answer = self.ask(&format!("{question} [y/N]")).await?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("results have string keys")
}

/// Prints to stdout. Whoever reads it may have read enough.
fn print(text: &str) -> Result<(), Failure> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Internal, format!("the result cannot be printed: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn say(text: &str) {
    // There is no better place to complain to.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A table whose columns are aligned. Only the last column may hold spaces, so that `awk` can read it.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}
