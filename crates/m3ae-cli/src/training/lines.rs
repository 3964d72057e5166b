//! Progress of a run as printed lines.

use m3ae_train::{Metrics, Observer, RunConfig, RunFolder, Start, StepReport};

use super::pace::{Pace, readable};
use crate::output::{say, say_error};

/// Prints progress.
pub struct Lines {
    every: usize,
    steps: usize,
    pace: Pace,
}

impl Lines {
    /// The lines for a run of this recipe.
    pub fn new(config: &RunConfig) -> Self {
        Self { every: config.log.every, steps: 0, pace: Pace::default() }
    }
}

/// `mlm 2.310 (34 % right) | itm 0.690`: each loss, followed by its accuracy.
fn short(metrics: &Metrics, digits: usize) -> String {
    let mut text = String::new();
    for (name, value) in metrics.iter() {
        match name.rsplit_once('_') {
            Some((of, "loss")) => {
                let separator = if text.is_empty() { "" } else { " | " };
                text += &format!("{separator}{of} {value:.digits$}");
            }
            Some((_, "accuracy")) => text += &format!(" ({:.1} % right)", 100.0 * value),
            Some(("vqa", "score")) => text += &format!(" ({:.1} % right", 100.0 * value),
            Some((of, "score")) => {
                text += &format!(", {of} {:.1}", 100.0 * value);
            }
            _ => text += &format!(" {name} {value:.digits$}"),
        }
    }
    // Question answering has several scores in one pair of parentheses.
    if text.matches('(').count() > text.matches(')').count() { text + ")" } else { text }
}

impl Observer for Lines {
    fn start(&mut self, start: &Start, _folder: &RunFolder) {
        self.steps = start.steps;
        let tested = start.test_samples.map_or_else(String::new, |test| format!(", {test} to test on"));
        let answers = start.answers.map_or_else(String::new, |answers| format!(", {answers} answers"));
        say!(
            "{:.1} M parameters; {} texts of {} images to train on, {} to validate on{tested}; {} tokens{answers}",
            start.parameters as f64 / 1e6,
            start.train_samples,
            start.train_images,
            start.val_samples,
            start.vocabulary,
        );
        start.initial.iter().for_each(|report| say!("{}", report.trim_end()));
        if start.truncated > 0 {
            say!("{} texts are longer than text.max_length and are cut off", start.truncated);
        }
        if let Some(step) = start.resumed_at {
            say!("continuing after step {step}");
        }
    }

    fn step(&mut self, report: &StepReport) {
        let left = self.pace.left(report, self.steps);
        if report.step.is_multiple_of(self.every) || report.step == self.steps {
            say!(
                "step {}/{} | {} | {:.1} samples/s | lr {:.2e}{}",
                report.step,
                self.steps,
                short(&report.metrics, 3),
                report.samples_per_second,
                report.learning_rate,
                left.map_or_else(String::new, |left| format!(" | {} left", readable(left)))
            );
        }
    }

    fn validated(&mut self, step: usize, metrics: &Metrics, best: bool) {
        let best = if best { " (best so far)" } else { "" };
        say!("validation after {step} steps: {}{best}", short(metrics, 4));
    }

    fn notice(&mut self, text: &str) {
        say_error!("{text}");
    }
}
