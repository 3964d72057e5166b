//! What `metrics.jsonl` tells.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A point of a curve: step and value.
pub(super) type Point = (f64, f64);

/// A line of `metrics.jsonl`.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Start(Map<String, Value>),
    Train {
        step: u64,
        #[serde(default)]
        metrics: Map<String, Value>,
        #[serde(flatten)]
        more: Map<String, Value>,
    },
    Validation {
        step: u64,
        #[serde(default)]
        metrics: Map<String, Value>,
    },
    Test {
        step: u64,
        #[serde(default)]
        metrics: Map<String, Value>,
    },
    #[serde(other)]
    Other,
}

/// Curves by name.
pub(super) type Curves = BTreeMap<String, Vec<Point>>;

/// A run so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// What the run began with.
    pub start: Map<String, Value>,
    /// Metrics of training steps.
    pub train: Curves,
    /// Metrics of the validation split.
    pub validation: Curves,
    /// Metrics of the test split; the last point of each is of the model that was kept.
    pub test: Curves,
    /// Learning rate, gradient norm and whatever else a training line has besides metrics.
    pub progress: Curves,
    /// Lines that could not be read, a cut last one not counted.
    pub damaged: usize,
    /// Times that the run went back to an earlier step.
    pub resumed: usize,
    /// The last training step that was recorded.
    pub step: u64,
}

impl History {
    /// Reads a file's bytes. Nothing in them is an error: what cannot be read is counted.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut history = Self::default();
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice(line) {
                Ok(event) => history.add(event),
                Err(_) => history.damaged += 1,
            }
        }
        history
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Start(start) => self.start = start,
            Event::Train { step, metrics, more } => {
                if step <= self.step {
                    self.resumed += 1;
                    self.forget_from(step);
                }
                self.step = step;
                extend(&mut self.train, step, metrics);
                extend(&mut self.progress, step, more);
            }
            Event::Validation { step, metrics } => {
                for curve in self.validation.values_mut() {
                    forget_from(curve, step);
                }
                extend(&mut self.validation, step, metrics);
            }
            Event::Test { step, metrics } => extend(&mut self.test, step, metrics),
            Event::Other => {}
        }
    }

    fn forget_from(&mut self, step: u64) {
        for curve in self.train.values_mut().chain(self.progress.values_mut()) {
            forget_from(curve, step);
        }
        // Validation after `step` steps comes after the training line of that step: it is written again.
        for curve in self.validation.values_mut() {
            forget_from(curve, step);
        }
    }
}

/// A curve's points from `step` on were undone.
fn forget_from(curve: &mut Vec<Point>, step: u64) {
    let kept = curve.partition_point(|point| point.0 < step as f64);
    curve.truncate(kept);
}

/// Adds numbers to their curves. One that is not finite is a gap: JSON has no such number, so it stands there as "NaN",
/// "inf" or "-inf", or as `null`.
fn extend(curves: &mut Curves, step: u64, numbers: Map<String, Value>) {
    for (name, value) in numbers {
        let number = match &value {
            Value::Null => Some(f64::NAN),
            Value::String(text) => text.parse().ok().filter(|number: &f64| !number.is_finite()),
            value => value.as_f64(),
        };
        let Some(number) = number else { continue };
        curves.entry(name).or_default().push((step as f64, number));
    }
}
