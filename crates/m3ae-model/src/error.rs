//! What can be wrong with a configuration, or with what a model is asked to do.

use thiserror::Error;

/// A configuration that no model can be built from.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("model.{field}: {problem}")]
pub struct ConfigError {
    /// Path of the field, as in the TOML recipe's `[model]` section.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Patches were to be left out of an image, and the model's vision encoder cannot do that.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("Swin encodes whole images only: it cannot leave patches out, and masked image modelling needs a CLIP encoder")]
pub struct MaskingUnsupported;
