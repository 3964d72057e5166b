//! The values of the charts.

use std::fs;
use std::path::Path;

use m3ae_train::{Metrics, StepReport};
use serde::Deserialize;

/// The most points of a series, more than any terminal has columns; beyond that every second one is dropped.
const MOST: usize = 4096;

/// Values over steps.
#[derive(Debug, Clone, Default)]
pub struct Series {
    points: Vec<(f64, f64)>,
    /// The average so far of the current window.
    latest: Option<(f64, f64)>,
}

impl Series {
    /// Adds a value; one that is not finite cannot be drawn and is left out.
    pub fn push(&mut self, step: usize, value: f64) {
        self.latest = None;
        if !value.is_finite() {
            return;
        }
        if self.points.len() >= MOST {
            let mut number = 0;
            self.points.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        self.points.push((step as f64, value));
    }

    /// Sets a value that the next one replaces.
    pub fn preview(&mut self, step: usize, value: f64) {
        self.latest = value.is_finite().then_some((step as f64, value));
    }

    /// All points by step.
    pub fn points(&self) -> Vec<(f64, f64)> {
        self.points.iter().copied().chain(self.latest).collect()
    }
}

/// A metric's values on both splits.
#[derive(Debug, Clone)]
pub struct MetricHistory {
    pub name: String,
    pub train: Series,
    pub validation: Series,
}

/// Everything that is drawn as a line.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In the order in which the run measures them.
    pub metrics: Vec<MetricHistory>,
    pub learning_rate: Series,
    pub gradient_norm: Series,
    pub samples_per_second: Series,
}

/// A line of `metrics.jsonl`, as far as it is needed here.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Train {
        step: usize,
        metrics: Metrics,
        learning_rate: f64,
        gradient_norm: f64,
        samples_per_second: f64,
    },
    Validation {
        step: usize,
        metrics: Metrics,
    },
    #[serde(other)]
    Other,
}

impl History {
    /// What an earlier process has left in `metrics.jsonl`. Lines that are none of ours are passed over: the charts
    /// begin later.
    pub fn read(path: &Path) -> Self {
        let mut history = Self::default();
        for line in fs::read_to_string(path).unwrap_or_default().lines() {
            match serde_json::from_str(line) {
                Ok(Line::Train { step, metrics, learning_rate, gradient_norm, samples_per_second }) => {
                    metrics.iter().for_each(|(name, value)| history.metric(name).train.push(step, value));
                    history.learning_rate.push(step, learning_rate);
                    history.gradient_norm.push(step, gradient_norm);
                    history.samples_per_second.push(step, samples_per_second);
                }
                Ok(Line::Validation { step, metrics }) => history.validated(step, &metrics),
                Ok(Line::Other) | Err(_) => {}
            }
        }
        history
    }

    /// Adds a step; the mean over a window is final when the window `closes`.
    pub fn step(&mut self, report: &StepReport, closes: bool) {
        let add = |series: &mut Series, value| match closes {
            true => series.push(report.step, value),
            false => series.preview(report.step, value),
        };
        report.metrics.iter().for_each(|(name, value)| add(&mut self.metric(name).train, value));
        add(&mut self.samples_per_second, report.samples_per_second);
        self.learning_rate.push(report.step, report.learning_rate);
        self.gradient_norm.push(report.step, report.gradient_norm);
    }

    /// Adds a validation.
    pub fn validated(&mut self, step: usize, metrics: &Metrics) {
        metrics.iter().for_each(|(name, value)| self.metric(name).validation.push(step, value));
    }

    fn metric(&mut self, name: &str) -> &mut MetricHistory {
        let place = self.metrics.iter().position(|metric| metric.name == name).unwrap_or_else(|| {
            let metric =
                MetricHistory { name: name.to_owned(), train: Series::default(), validation: Series::default() };
            self.metrics.push(metric);
            self.metrics.len() - 1
        });
        &mut self.metrics[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_keeps_its_ends_and_its_size() {
        let mut series = Series::default();
        for step in 0..100_000 {
            series.push(step, step as f64);
        }
        series.preview(100_000, 7.0);
        let points = series.points();
        assert!(points.len() <= MOST + 1, "{}", points.len());
        assert_eq!((points[0], points[points.len() - 1]), ((0.0, 0.0), (100_000.0, 7.0)));
        assert!(points.is_sorted());
    }

    #[test]
    fn what_is_not_finite_is_not_drawn() {
        let mut series = Series::default();
        series.push(1, f64::NAN);
        series.push(2, f64::INFINITY);
        series.preview(3, f64::NAN);
        assert!(series.points().is_empty());
    }

    #[test]
    fn an_earlier_processs_values_are_read_and_foreign_lines_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let lines = [
            r#"{"event":"start","steps":6}"#,
            r#"{"event":"validation","step":0,"metrics":{"mlm_loss":7.0}}"#,
            "no JSON",
            r#"{"event":"train","step":2,"epoch":0,"metrics":{"mlm_loss":6.5},"learning_rate":0.1,"gradient_norm":2.0,"samples_per_second":3.0,"seconds":1.0}"#,
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        let history = History::read(&path);
        assert_eq!(history.metrics.len(), 1);
        assert_eq!(history.metrics[0].validation.points(), [(0.0, 7.0)]);
        assert_eq!(history.metrics[0].train.points(), [(2.0, 6.5)]);
        assert_eq!(history.gradient_norm.points(), [(2.0, 2.0)]);
        assert!(History::read(&folder.path().join("absent")).metrics.is_empty());
    }
}
