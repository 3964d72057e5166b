//! Where a run stands: what a checkpoint holds beside weights and moments.

use serde::{Deserialize, Serialize};

use crate::metrics::{Metrics, Sums, exact};

/// Where a run stands. Everything else follows from the recipe: every random draw is keyed by seed, epoch, step and
/// sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps done.
    pub step: usize,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Batches of the epoch that were used.
    pub batch: usize,
    /// Samples trained on.
    pub samples: u64,
    /// Seconds of training, validation and saving left out.
    #[serde(with = "exact")]
    pub seconds: f64,
    /// What accumulates between two lines of metrics.
    pub window: Window,
    /// The best checkpoint so far.
    pub best: Option<Best>,
    /// Metrics of the validation split before the first step.
    pub untrained: Option<Metrics>,
    /// And when it was last evaluated.
    pub trained: Option<Metrics>,
    /// Length of `metrics.jsonl`: what stands behind it was written later.
    pub metrics_bytes: u64,
    /// Samples that could not be used, with the reason.
    pub skipped: Vec<String>,
}

/// What accumulates between two lines of metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Sums of what was measured.
    pub sums: Sums,
    /// Seconds of training.
    #[serde(with = "exact")]
    pub seconds: f64,
}

/// The checkpoint with the highest score on the validation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After how many steps.
    pub step: usize,
    /// Its score.
    #[serde(with = "exact")]
    pub score: f64,
    /// Its metrics.
    pub metrics: Metrics,
}
