//! The text encoder: RoBERTa or BERT.

use burn::config::Config;

use super::check::{at_least_one, dropout, multiples};
use crate::error::ConfigError;

/// Which of the two text encoders: they differ in position ids, layer-norm epsilon and tokenizer (docs/spec.md, section
/// 1.3).
#[derive(Config, Debug, PartialEq, Copy)]
pub enum TextFamily {
    /// RoBERTa: positions start at `pad_id + 1` and count non-padding tokens.
    Roberta,
    /// BERT: positions count from 0.
    Bert,
}

/// A Hugging Face style text encoder (docs/spec.md, section 1.3). Defaults: RoBERTa-base.
#[derive(Config, Debug, PartialEq)]
pub struct TextConfig {
    /// RoBERTa or BERT.
    #[config(default = "TextFamily::Roberta")]
    pub family: TextFamily,
    /// Token vocabulary.
    #[config(default = 50265)]
    pub vocab_size: usize,
    /// Hidden width.
    #[config(default = 768)]
    pub width: usize,
    /// Layers.
    #[config(default = 12)]
    pub layers: usize,
    /// Attention heads.
    #[config(default = 12)]
    pub heads: usize,
    /// Width of the feed-forward layer.
    #[config(default = 3072)]
    pub intermediate: usize,
    /// Rows of the position table. RoBERTa never uses its first `pad_id + 1`.
    #[config(default = 514)]
    pub max_positions: usize,
    /// Rows of the token-type table; only row 0 is used.
    #[config(default = 1)]
    pub type_vocab: usize,
    /// Layer-norm epsilon: 1e-5 in RoBERTa, 1e-12 in BERT.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Id of the padding token; RoBERTa's positions start after it.
    #[config(default = 1)]
    pub pad_id: usize,
    /// Dropout on hidden states and attention probabilities.
    #[config(default = 0.1)]
    pub dropout: f64,
}

impl TextConfig {
    /// The longest text the position table allows, in tokens.
    #[must_use]
    pub fn max_length(&self) -> usize {
        match self.family {
            TextFamily::Roberta => self.max_positions.saturating_sub(self.pad_id + 1),
            TextFamily::Bert => self.max_positions,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one([
            ("text.vocab_size", self.vocab_size),
            ("text.width", self.width),
            ("text.layers", self.layers),
            ("text.heads", self.heads),
            ("text.intermediate", self.intermediate),
            ("text.type_vocab", self.type_vocab),
            ("text.max_positions (less the ids below the padding's)", self.max_length()),
        ])?;
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            let problem = format!("{:e} is not above 0 and at most 1", self.epsilon);
            return Err(ConfigError { field: "text.epsilon", problem });
        }
        multiples([("text.width", self.width, self.heads, "text.heads")])?;
        dropout("text.dropout", self.dropout)
    }
}
