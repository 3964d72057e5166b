//! What a run shows: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use m3ae_train::{Metrics, Observer, RunConfig, RunFolder, Start, StepReport};

/// Prints progress.
pub struct Lines {
    bar: Option<ProgressBar>,
    every: usize,
    steps: usize,
    /// Where this process began, and the seconds that were spent before.
    begun: Option<(usize, f64)>,
}

impl Lines {
    /// For a run of this recipe.
    pub fn new(config: &RunConfig) -> Self {
        Self { bar: None, every: config.log.every, steps: 0, begun: None }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => println!("{text}"),
        }
    }
}

/// `mlm 2.310 (34 % right) | itm 0.690`: each loss, with what was right of it behind.
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
    // The parenthesis of question answering closes behind the last of its scores.
    if text.matches('(').count() > text.matches(')').count() { text + ")" } else { text }
}

impl Observer for Lines {
    fn start(&mut self, start: &Start, _folder: &RunFolder) {
        self.steps = start.steps;
        print!(
            "{:.1} M parameters; {} texts of {} images to train on, {} to validate on",
            start.parameters as f64 / 1e6,
            start.train_samples,
            start.train_images,
            start.val_samples,
        );
        if let Some(test) = start.test_samples {
            print!(", {test} to test on");
        }
        println!(
            "; {} tokens{}",
            start.vocabulary,
            start.answers.map_or_else(String::new, |answers| format!(", {answers} answers"))
        );
        start.initial.iter().for_each(|report| print!("{report}"));
        if start.truncated > 0 {
            println!("{} texts are longer than text.max_length and lose their end", start.truncated);
        }
        if let Some(step) = start.resumed_at {
            println!("going on after step {step}");
        }
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(start.steps as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta} left") {
                bar.set_style(style);
            }
            bar.reset_eta();
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, report: &StepReport) {
        let numbers = format!("{} | {:.1} samples/s", short(&report.metrics, 3), report.samples_per_second);
        let (first, before) = *self.begun.get_or_insert((report.step, report.seconds));
        match &self.bar {
            Some(bar) => {
                bar.set_position(report.step as u64);
                bar.set_message(numbers);
            }
            None if report.step.is_multiple_of(self.every) || report.step == self.steps => {
                let pace = (report.seconds - before) / (report.step - first).max(1) as f64;
                let left = Duration::from_secs((pace * (self.steps - report.step) as f64) as u64);
                println!(
                    "step {}/{} | {numbers} | lr {:.2e} | {left:?} left",
                    report.step, self.steps, report.learning_rate
                );
            }
            None => {}
        }
        if report.step == self.steps
            && let Some(bar) = &self.bar
        {
            bar.finish();
        }
    }

    fn validated(&mut self, step: usize, metrics: &Metrics, best: bool) {
        let best = if best { " (best so far)" } else { "" };
        self.line(&format!("validation after {step} steps: {}{best}", short(metrics, 4)));
    }

    fn notice(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}
