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
        let now = SystemClock.elapsed();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.output.is_quiet() && now >= *told + EVERY {
            *told = now;
            self.output.note(&format!("{count} {}", self.what));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}
