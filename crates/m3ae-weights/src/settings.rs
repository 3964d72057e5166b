//! Settings that do not follow from tensors: the reference's hyper-parameters and Hugging Face's `config.json`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use m3ae_model::TextFamily;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::WeightsError;

/// Largest settings file read.
const MAX_SETTINGS: u64 = 64 << 20;

/// The reference's hyper-parameters that do not follow from shapes (`config.json` of a fixture, or `hyper_parameters`
/// of a Lightning checkpoint). Others are ignored. Those of masked image modelling have the reference's defaults,
/// because fine-tuned checkpoints may lack them.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct HyperParameters {
    /// Attention heads of the fusion.
    pub num_heads: usize,
    /// Dropout of the fusion.
    pub drop_rate: f64,
    /// Attention heads of the MIM decoder.
    #[serde(default = "default_mim_heads")]
    pub mim_decoder_num_heads: usize,
    /// Whether MIM predicts normalised patches.
    #[serde(default = "default_norm_pix_loss")]
    pub norm_pix_loss: bool,
    /// Fusion layer whose input MIM reads; -1 for the last state.
    #[serde(default = "default_mim_layer")]
    pub mim_layer: i64,
    /// Side of the images, in pixels.
    pub image_size: usize,
    /// Longest text in tokens.
    #[serde(default)]
    pub max_text_len: Option<usize>,
    /// Folder or hub name of the text encoder.
    pub tokenizer: String,
}

fn default_mim_heads() -> usize {
    6
}

fn default_norm_pix_loss() -> bool {
    true
}

fn default_mim_layer() -> i64 {
    -1
}

/// The fields of a Hugging Face text encoder's `config.json` that we need.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct HfTextConfig {
    /// `roberta` or `bert`.
    pub model_type: String,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Layer-norm epsilon.
    pub layer_norm_eps: f64,
    /// Padding token.
    pub pad_token_id: usize,
    /// Dropout on hidden states.
    pub hidden_dropout_prob: f64,
}

impl HfTextConfig {
    /// The settings of a text encoder known by name, the last part of a path or hub id: `roberta-base` or
    /// `bert-base-uncased`, which all published M3AE checkpoints use.
    #[must_use]
    pub fn well_known(name: &str) -> Option<Self> {
        let (model_type, layer_norm_eps, pad_token_id) = match name.trim_end_matches('/').rsplit(['/', '\\']).next()? {
            "roberta-base" => ("roberta", 1e-5, 1),
            "bert-base-uncased" => ("bert", 1e-12, 0),
            _ => return None,
        };
        Some(Self {
            model_type: model_type.into(),
            num_attention_heads: 12,
            layer_norm_eps,
            pad_token_id,
            hidden_dropout_prob: 0.1,
        })
    }

    /// RoBERTa or BERT, or `None` for any other `model_type`.
    #[must_use]
    pub fn family(&self) -> Option<TextFamily> {
        match self.model_type.as_str() {
            "roberta" => Some(TextFamily::Roberta),
            "bert" => Some(TextFamily::Bert),
            _ => None,
        }
    }
}

/// Reads a JSON settings file.
///
/// # Errors
/// The file is missing, is not JSON, or lacks a field.
pub fn read_settings<T: DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(WeightsError::io(path))?;
    file.take(MAX_SETTINGS + 1).read_to_end(&mut text).map_err(WeightsError::io(path))?;
    if text.len() as u64 > MAX_SETTINGS {
        return Err(WeightsError::settings(path, format!("is longer than {MAX_SETTINGS} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| WeightsError::settings(path, error.to_string()))
}
