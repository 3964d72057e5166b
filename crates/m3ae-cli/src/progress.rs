//! A progress bar on stderr, shown if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar that may not be there yet.
#[derive(Default)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Shows the bar with `done` of `total` items.
    pub fn begin(&mut self, total: u64, done: u64, unit: &str) {
        let bar = ProgressBar::new(total).with_position(done);
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left"))
        {
            bar.set_style(style);
        }
        self.0 = Some(bar);
    }

    /// Adds `count` finished items.
    pub fn advance(&self, count: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(count);
        }
    }

    /// Prints while the bar is hidden.
    pub fn line(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Removes the bar.
    pub fn end(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
