//! Losses and hit rates, summed over batches in double precision.

use burn::prelude::*;
use serde::Serialize;

use crate::error::TrainError;
use crate::objectives::{PretrainBatch, PretrainOutput};

/// Sums of a pre-training step's results over batches.
#[derive(Debug, Clone, Default)]
pub struct PretrainSums {
    mlm: f64,
    mim: f64,
    itm: f64,
    mlm_hits: f64,
    itm_hits: f64,
    tokens: f64,
    samples: f64,
}

/// Means over samples (masked image modelling, matching) and over masked tokens (language modelling).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PretrainMetrics {
    /// Cross-entropy per masked token, in nats.
    pub mlm_loss: f64,
    /// Share of masked tokens whose best guess was right.
    pub mlm_accuracy: f64,
    /// Mean squared error over removed patches.
    pub mim_loss: f64,
    /// Cross-entropy per pair, in nats.
    pub itm_loss: f64,
    /// Share of pairs judged rightly.
    pub itm_accuracy: f64,
}

/// One batch's losses, on the host.
#[derive(Debug, Clone, Copy)]
pub struct StepLosses {
    /// Masked language modelling.
    pub mlm: f64,
    /// Masked image modelling.
    pub mim: f64,
    /// Image-text matching.
    pub itm: f64,
}

impl PretrainSums {
    /// Adds a batch; returns its losses. Reads from the device once.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn add(&mut self, batch: &PretrainBatch, output: &PretrainOutput) -> Result<StepLosses, TrainError> {
        let values = [&output.mlm, &output.mim, &output.itm].map(|loss| loss.clone().detach());
        let hits = [&output.mlm_hits, &output.itm_hits].map(|hits| hits.clone().float());
        let values: Vec<f64> = Tensor::cat(values.into_iter().chain(hits).collect(), 0).try_into_vec_as()?;
        let [mlm, mim, itm, mlm_hits, itm_hits] = values[..] else { return Ok(StepLosses::MISSING) };
        let ([tokens], [samples, _]) = (batch.mlm.targets.dims(), batch.text_ids.dims());
        let (tokens, samples) = (tokens as f64, samples as f64);
        self.mlm += mlm * tokens;
        self.mim += mim * samples;
        self.itm += itm * samples;
        self.mlm_hits += mlm_hits;
        self.itm_hits += itm_hits;
        self.tokens += tokens;
        self.samples += samples;
        Ok(StepLosses { mlm, mim, itm })
    }

    /// Samples so far.
    #[must_use]
    pub fn samples(&self) -> f64 {
        self.samples
    }

    /// The means so far; 0 where nothing was counted.
    #[must_use]
    pub fn means(&self) -> PretrainMetrics {
        let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
        PretrainMetrics {
            mlm_loss: mean(self.mlm, self.tokens),
            mlm_accuracy: mean(self.mlm_hits, self.tokens),
            mim_loss: mean(self.mim, self.samples),
            itm_loss: mean(self.itm, self.samples),
            itm_accuracy: mean(self.itm_hits, self.samples),
        }
    }
}

impl StepLosses {
    /// Stands for numbers that did not come back; fails the guard against non-finite losses.
    const MISSING: Self = Self { mlm: f64::NAN, mim: f64::NAN, itm: f64::NAN };
}
