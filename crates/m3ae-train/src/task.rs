//! What is trained: the part of a run that differs between pre-training and each kind of fine-tuning.

use std::path::Path;

use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_model::{HeadsConfig, M3ae, VisionConfig};
use m3ae_text::Tokenizer;

use crate::error::TrainError;
use crate::metrics::{Measured, Metrics};
use crate::recipe::RunConfig;
use crate::source::Source;

/// A kind of task, as recipes name it: an entry of [`TASKS`](crate::TASKS).
pub struct TaskSpec {
    /// Its name, `task.kind` in a recipe.
    pub name: &'static str,
    /// Its metrics: each name, and what it measures, for people.
    pub metrics: &'static [(&'static str, &'static str)],
    /// Reads the samples that a recipe names, and their labels.
    pub(crate) open: fn(&RunConfig) -> Result<(Source, NewTask), TrainError>,
}

/// Makes the task of labels that were read, for texts of this tokenizer and images of this encoder.
pub(crate) type NewTask = Box<dyn FnOnce(&RunConfig, &Tokenizer, &VisionConfig) -> Result<Box<dyn Task>, TrainError>>;

/// A task turns loaded samples into a loss, and says what the loss was made of.
pub trait Task: Send + Sync {
    /// The heads its model has.
    fn heads(&self) -> HeadsConfig;

    /// Loss and metrics of a batch. `number` counts batches, for draws that belong to none of the samples.
    ///
    /// # Errors
    /// The model lacks a head that the task needs, or the batch lacks what the task reads.
    fn step(&self, model: &M3ae, samples: &CaptionBatch, number: u64, device: &Device) -> Result<Measured, TrainError>;

    /// The number by which checkpoints are compared on the validation split: the higher, the better (`docs/spec.md`,
    /// section 6).
    fn score(&self, metrics: &Metrics) -> f64;

    /// The answers of the question-answering head, in its order.
    fn answers(&self) -> Option<&[String]> {
        None
    }

    /// Writes files into the run's `folder` that show the model's predictions for the first validation batch, after
    /// `step` steps.
    ///
    /// # Errors
    /// The device cannot be read, or a file cannot be written.
    fn show(
        &self,
        _model: &M3ae,
        _samples: &CaptionBatch,
        _step: usize,
        _device: &Device,
        _folder: &Path,
    ) -> Result<(), TrainError> {
        Ok(())
    }
}
