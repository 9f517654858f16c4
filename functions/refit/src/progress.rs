//! Telling how far long work has got: drawn on a terminal, in lines from time to time elsewhere.

use std::sync::Mutex;
use std::sync::PoisonError;

use indicatif::{ProgressBar, ProgressStyle};
use refit_core::time::Span;
use refit_engine::port::Clock;
use refit_platform::clock::SystemClock;

use crate::output::Output;

/// How often a line is printed.
const EVERY: Span = Span::secs(5);

/// How far something has got.
pub(crate) struct Progress {
    output: Output,
    what: &'static str,
    drawn: Option<ProgressBar>,
    told: Mutex<Span>,
}

impl Progress {
    /// The progress of counting `what`.
    pub(crate) fn new(output: Output, what: &'static str) -> Self {
        let drawn = output.draws().then(|| {
            let style = ProgressStyle::with_template("{spinner} {pos} {msg} {elapsed}");
            let style = style.expect("the template names what indicatif knows");
            ProgressBar::new_spinner().with_style(style).with_message(what)
        });
        Self { output, what, drawn, told: Mutex::new(SystemClock.elapsed()) }
    }

    /// Says how many there are by now.
    pub(crate) fn count(&self, count: u64) {
        if let Some(bar) = &self.drawn {
            bar.set_position(count);
            bar.tick();
            return;
        }
        if let Some(line) = self.line(count, SystemClock.elapsed()) {
            self.output.note(&line);
        }
    }

    /// The line that is due by now.
    fn line(&self, count: u64, now: Span) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = !self.output.is_quiet() && now >= *told + EVERY;
        is_due.then(|| {
            *told = now;
            format!("{count} {}", self.what)
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_a_terminal_a_line_says_from_time_to_time_how_many_there_are() {
        let lines = |quiet: bool| {
            let (output, told) = (Output::new(false, quiet), Mutex::new(Span::ZERO));
            let progress = Progress { output, what: "commits read", drawn: None, told };
            let line = |at: u32| progress.line(at.into(), Span::from_millis(at.into()));
            (1..=12_000).filter_map(line).collect::<Vec<_>>()
        };
        assert_eq!(lines(false), ["5000 commits read", "10000 commits read"]);
        assert_eq!(lines(true), [""; 0], "nobody wants to know");
    }
}
