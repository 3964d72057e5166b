//! The sections of a recipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::optim::Decay;

/// Name, place and seed of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// Folder name under `directory`.
    pub name: String,
    /// Where runs are kept.
    #[serde(default = "default_directory")]
    pub directory: PathBuf,
    /// Every random draw follows from it.
    #[serde(default)]
    pub seed: u64,
}

fn default_directory() -> PathBuf {
    "runs".into()
}

/// `task.kind` of pre-training; all other tasks are for fine-tuning.
pub(crate) const PRETRAINING: &str = "pretraining";

/// What the model is trained for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSection {
    /// `pretraining`, `question-answering`, `classification` or `retrieval`: the name of one of the
    /// [`TASKS`](crate::TASKS).
    pub kind: String,
    /// Classification: the label column, `p_meth_label`, `i_meth_label`, `p_meth` or `i_meth`.
    pub label: String,
    /// Retrieval: false texts per image.
    pub false_texts: usize,
}

impl TaskSection {
    /// Whether the model is pre-trained, not fine-tuned.
    #[must_use]
    pub fn is_pretraining(&self) -> bool {
        self.kind == PRETRAINING
    }
}

impl Default for TaskSection {
    fn default() -> Self {
        Self { kind: PRETRAINING.into(), label: "p_meth_label".into(), false_texts: 15 }
    }
}

/// Weights to start from: files, folders, or `owner/name` in the Hugging Face cache. Empty or absent: random weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InitSection {
    /// CLIP (or Swin) for the vision encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<String>,
    /// RoBERTa or BERT for the text encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A whole M3AE model. Fine-tuning takes what it knows but for the heads, which start afresh (the retrieval head
    /// from the matching head).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Whether fine-tuning takes the checkpoint's own head too: to go on with a fine-tuned model.
    pub keep_head: bool,
}

/// Where images and texts come from: exactly one of `roco`, `phantom` and `sets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// A folder in ROCO's layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roco: Option<PathBuf>,
    /// A folder for the synthetic set, made there if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phantom: Option<PathBuf>,
    /// Names of prepared sets: one or several for pre-training, one for fine-tuning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<String>,
    /// How often each set's samples are seen in an epoch of pre-training; 1 each where absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Folder of the prepared sets' Arrow files.
    pub prepared: PathBuf,
    /// What is done to training images: `clip`, `clip_resizedcrop` or `clip_randaug`.
    pub transform: m3ae_image::Transform,
    /// Stop when more than this share of the samples cannot be used.
    pub max_skipped_share: f64,
    /// Threads that decode images ahead; changes no batch.
    pub workers: usize,
    /// MiB of images kept in memory, of training and validation together; changes no batch.
    pub cache_mib: usize,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            roco: None,
            phantom: None,
            sets: Vec::new(),
            weights: Vec::new(),
            prepared: "data/arrows".into(),
            transform: m3ae_image::Transform::Clip,
            max_skipped_share: 0.01,
            workers: 1,
            cache_mib: 512,
        }
    }
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextSection {
    /// Folder or file of the tokenizer; the synthetic set brings its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Longest text in tokens, start and end included.
    pub max_length: usize,
}

impl Default for TextSection {
    fn default() -> Self {
        Self { tokenizer: None, max_length: 64 }
    }
}

/// What is hidden from the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskingSection {
    /// Share of an image's patches that is removed.
    pub image_ratio: f64,
    /// Share of a caption's tokens that is chosen.
    pub text_probability: f64,
    /// Whether whole words are masked. The published RoBERTa runs mask single tokens (docs/spec.md, section 2).
    pub whole_words: bool,
}

impl Default for MaskingSection {
    fn default() -> Self {
        Self { image_ratio: 0.75, text_probability: 0.15, whole_words: false }
    }
}

/// How much each objective counts in the sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectivesSection {
    /// Masked language modelling.
    pub mlm: f64,
    /// Masked image modelling.
    pub mim: f64,
    /// Image-text matching.
    pub itm: f64,
    /// Where the images of pairs that do not match come from, `data-set` or `batch`.
    pub false_images: FalseImages,
}

/// Where the images of pairs that do not match come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FalseImages {
    /// From the whole data set, uniformly: as published. Each is read and encoded for this alone.
    #[default]
    DataSet,
    /// From the other samples of the batch, which are read and encoded anyway. In a shuffled epoch any other image is
    /// as likely as in the data set, but pairs of one batch share their images.
    Batch,
}

impl Default for ObjectivesSection {
    fn default() -> Self {
        Self { mlm: 1.0, mim: 1.0, itm: 1.0, false_images: FalseImages::DataSet }
    }
}

/// Steps, batches, learning rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSection {
    /// Samples per forward pass.
    pub batch_size: usize,
    /// Optimiser steps; or `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Passes over the training data; or `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Batches whose gradients are averaged per optimiser step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Devices that share the batches of an optimiser step between them; `accumulate` is a multiple of it.
    #[serde(default = "one")]
    pub devices: usize,
    /// How gradients of several devices come together: `auto`, `collective` or `copy`.
    #[serde(default, skip_serializing_if = "AllReduce::is_auto")] // Earlier runs' recipes do not have it.
    pub all_reduce: AllReduce,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Multiplier of the heads' rate.
    #[serde(default = "five")]
    pub lr_multiplier_head: f64,
    /// Multiplier of the fusion's rate.
    #[serde(default = "five")]
    pub lr_multiplier_multi_modal: f64,
    /// Decoupled weight decay.
    #[serde(default = "default_decay")]
    pub weight_decay: f64,
    /// Warm-up: a share of the steps below 1, else a number of steps.
    #[serde(default = "default_warmup")]
    pub warmup: f64,
    /// Curve after warm-up, `polynomial` or `cosine`.
    #[serde(default)]
    pub decay: Decay,
    /// Power of the polynomial decay.
    #[serde(default = "default_power")]
    pub decay_power: f64,
    /// Learning rate at the end.
    #[serde(default)]
    pub end_learning_rate: f64,
    /// Type of matrix products: `f32`, or `bf16` where the device has matrix units for it.
    #[serde(default)]
    pub precision: m3ae_model::Precision,
    /// Whether cheap intermediate results are computed again in the backward pass instead of being kept: less memory,
    /// more time, the same result.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Largest norm of the gradient: a longer one is shortened to it. Absent, as published: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

/// How the gradients of several devices come together. The same sum in another order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllReduce {
    /// By the backend's collectives where it has them (CUDA with NCCL), else by copies.
    #[default]
    Auto,
    /// By the backend's collectives; where it has none, the run is refused.
    Collective,
    /// Copied to the first device and added there: works on every backend that has several devices.
    Copy,
}

impl AllReduce {
    // Serde passes a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

fn one() -> usize {
    1
}
fn five() -> f64 {
    5.0
}
fn default_decay() -> f64 {
    0.01
}
fn default_warmup() -> f64 {
    0.1
}
fn default_power() -> f64 {
    1.0
}

/// Validation and what is written on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Steps between lines of metrics.
    pub every: usize,
    /// Steps between validations; absent: at the end of each epoch, and with `train.steps` every 1000. The untrained
    /// model and the last step are always validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<usize>,
    /// Validation samples at most; absent: 1000 in pre-training, all in fine-tuning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_samples: Option<usize>,
    /// Validation images in the picture of reconstructions.
    pub pictures: usize,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { every: 10, validate_every: None, validation_samples: None, pictures: 8 }
    }
}

/// When the run's state is saved, and what is kept. None of it changes the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointSection {
    /// Steps between checkpoints; 0: none by steps.
    pub every: usize,
    /// Minutes between checkpoints; 0: none by time.
    pub minutes: f64,
    /// How many of the newest are kept.
    pub keep: usize,
    /// Whether they are written while training goes on.
    pub background: bool,
    /// What happens when one cannot be written (a full disk, say).
    pub on_failure: OnFailure,
}

/// What happens when a checkpoint cannot be written. The earlier ones stay whole in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The run says so and goes on; the next one may succeed.
    Continue,
    /// The run ends.
    Stop,
}

impl Default for CheckpointSection {
    fn default() -> Self {
        Self { every: 0, minutes: 10.0, keep: 2, background: true, on_failure: OnFailure::Continue }
    }
}
