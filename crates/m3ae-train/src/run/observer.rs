//! What a run reports while it trains.

use serde::Serialize;

use crate::metrics::Metrics;
use crate::run::RunFolder;

/// Gets a run's events as they happen. Each method does nothing unless it is implemented; `()` observes nothing.
pub trait Observer {
    /// Data and model are ready.
    fn start(&mut self, _start: &Start, _folder: &RunFolder) {}
    /// An optimiser step is done.
    fn step(&mut self, _step: &StepReport) {}
    /// The validation split was evaluated after `step` steps; whether the weights are the best so far.
    fn validated(&mut self, _step: usize, _metrics: &Metrics, _best: bool) {}
    /// Something went wrong that does not stop the run.
    fn notice(&mut self, _text: &str) {}
}

impl Observer for () {}

/// What a run begins with.
#[derive(Debug, Clone, Serialize)]
pub struct Start {
    /// The task, `task.kind` of the recipe.
    pub task: String,
    /// Model parameters.
    pub parameters: usize,
    /// Training samples.
    pub train_samples: usize,
    /// Different training images.
    pub train_images: usize,
    /// Validation samples.
    pub val_samples: usize,
    /// Test samples, where there is a test at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_samples: Option<usize>,
    /// Answers to choose from, in question answering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<usize>,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Texts that `text.max_length` cuts.
    pub truncated: usize,
    /// Optimiser steps of the whole run.
    pub steps: usize,
    /// The step of the checkpoint that the run goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<usize>,
    /// Where initial weights came from, if not from chance: a report each.
    pub initial: Vec<String>,
}

/// One optimiser step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Steps done.
    pub step: usize,
    /// Epoch of its last batch.
    pub epoch: u64,
    /// Means since the last line of metrics.
    pub metrics: Metrics,
    /// Base learning rate of the step.
    pub learning_rate: f64,
    /// Norm of the averaged gradient, before it was clipped.
    pub gradient_norm: f64,
    /// Samples per second since the last line of metrics.
    pub samples_per_second: f64,
    /// Since the first step began, validation and saving left out.
    pub seconds: f64,
}

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    Start(&'a Start),
    Train(&'a StepReport),
    Validation { step: usize, metrics: &'a Metrics },
    Test { step: usize, metrics: &'a Metrics },
}
