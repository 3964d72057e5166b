//! The TensorBoard event files and `report.html` that a run writes while it trains.

use std::path::PathBuf;

use m3ae_report::tensorboard::{EventWriter, wall_time_now};
use m3ae_report::{ReportError, train_report};
use m3ae_train::{Metrics, Observer, RunConfig, RunFolder, Start, StepReport};

/// The folder of the event files in the run's folder.
const EVENTS: &str = "tensorboard";

/// Passes everything on to `screen` and records it. A failure to write is logged and does not stop the run.
pub struct Telemetry {
    screen: Box<dyn Observer>,
    every: usize,
    steps: usize,
    folder: PathBuf,
    events: Option<EventWriter>,
}

impl Telemetry {
    /// The telemetry of a run of this recipe.
    pub fn new(config: &RunConfig, screen: Box<dyn Observer>) -> Self {
        Self { screen, every: config.log.every, steps: 0, folder: config.folder(), events: None }
    }

    fn scalars(&mut self, step: usize, values: &[(String, f64)]) {
        let Some(events) = &mut self.events else { return };
        let values: Vec<(&str, f32)> = values.iter().map(|(name, value)| (name.as_str(), *value as f32)).collect();
        let written = events.scalars(step as u64, wall_time_now(), &values).and_then(|()| events.flush());
        if logged(written).is_none() {
            self.events = None;
        }
    }
}

/// Writes `report.html` again.
pub fn write_report(folder: &std::path::Path) {
    logged(train_report(folder));
}

fn logged<T>(result: Result<T, ReportError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!("{error}")).ok()
}

fn named(prefix: &str, metrics: &Metrics) -> Vec<(String, f64)> {
    metrics.iter().map(|(name, value)| (format!("{prefix}/{name}"), value)).collect()
}

impl Observer for Telemetry {
    fn start(&mut self, start: &Start, folder: &RunFolder) {
        self.steps = start.steps;
        let events = folder.file(EVENTS);
        self.events = logged(match start.resumed_at {
            Some(step) => EventWriter::resume(&events, step as u64),
            None => EventWriter::create(&events),
        });
        self.screen.start(start, folder);
    }

    fn step(&mut self, report: &StepReport) {
        if report.step.is_multiple_of(self.every) || report.step == self.steps {
            let mut values = named("train", &report.metrics);
            values.push(("train/learning_rate".into(), report.learning_rate));
            values.push(("train/gradient_norm".into(), report.gradient_norm));
            values.push(("train/samples_per_second".into(), report.samples_per_second));
            self.scalars(report.step, &values);
        }
        self.screen.step(report);
    }

    fn validated(&mut self, step: usize, metrics: &Metrics, best: bool) {
        self.scalars(step, &named("validation", metrics));
        write_report(&self.folder);
        self.screen.validated(step, metrics, best);
    }

    fn notice(&mut self, text: &str) {
        tracing::info!("{text}");
        self.screen.notice(text);
    }
}
