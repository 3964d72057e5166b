//! The sections of a recipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::schedule::Decay;

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

/// A preset, with sizes to change. The vocabulary comes from the tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// `base` or `small`.
    pub preset: String,
    /// Image side S in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Patch side P in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_size: Option<usize>,
    /// Vision width (heads are width / 64).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision_width: Option<usize>,
    /// Vision blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision_layers: Option<usize>,
    /// Text width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_width: Option<usize>,
    /// Text layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_layers: Option<usize>,
    /// Fusion width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Fusion layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion_layers: Option<usize>,
    /// Fusion layer whose input masked image modelling reads; -1 for the last state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mim_layer: Option<i64>,
    /// Whether masked image modelling predicts patches normalised by their own mean and variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_pix_loss: Option<bool>,
    /// Dropout of text encoder and fusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
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
    /// A whole M3AE model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// Where images and captions come from: exactly one of `roco` and `phantom`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// A folder in ROCO's layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roco: Option<PathBuf>,
    /// A folder for the synthetic set, made there if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phantom: Option<PathBuf>,
    /// Stop when more than this share of the samples cannot be used.
    #[serde(default = "default_skipped")]
    pub max_skipped_share: f64,
    /// Threads that decode images ahead; changes no batch.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// MiB of transformed images kept in memory; changes no batch.
    #[serde(default = "default_cache")]
    pub cache_mib: usize,
}

fn default_skipped() -> f64 {
    0.01
}
fn default_workers() -> usize {
    1
}
fn default_cache() -> usize {
    512
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
    /// Whether whole words are masked. The published RoBERTa runs mask single tokens (spec 2).
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
}

impl Default for ObjectivesSection {
    fn default() -> Self {
        Self { mlm: 1.0, mim: 1.0, itm: 1.0 }
    }
}

/// Steps, batches, learning rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSection {
    /// Samples per forward pass.
    pub batch_size: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Batches whose gradients are averaged per optimiser step.
    #[serde(default = "one")]
    pub accumulate: usize,
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
    /// Steps between validations; the first and last step are always validated.
    pub validate_every: usize,
    /// Validation samples at most.
    pub validation_samples: usize,
    /// Validation images in the picture of reconstructions.
    pub pictures: usize,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { every: 10, validate_every: 1000, validation_samples: 1000, pictures: 8 }
    }
}
