//! A progress bar on the error stream; none where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar that may not be there yet.
#[derive(Default)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Begins with `done` of `total` items.
    pub fn begin(&mut self, total: u64, done: u64, unit: &str) {
        let bar = ProgressBar::new(total).with_position(done);
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left"))
        {
            bar.set_style(style);
        }
        self.0 = Some(bar);
    }

    /// So many more are done.
    pub fn advance(&self, count: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(count);
        }
    }

    /// Prints while the bar is out of the way.
    pub fn line(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes it away.
    pub fn end(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
