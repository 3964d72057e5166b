//! RoBERTa and BERT from a Hugging Face folder into M3AE's text encoder (spec 1.3).
//!
//! Published files differ in spelling: with or without a `roberta.` or `bert.` prefix (saved from a model with or without a
//! language-modelling head), and layer norms as `weight`/`bias` or, in old files, `gamma`/`beta`.

use m3ae_model::{M3aeConfig, TextConfig, TextEncoder};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::infer::{Shapes, text_config};
use crate::load::LoadReport;
use crate::plan::{Plan, Value};
use crate::settings::HfTextConfig;

/// What M3AE does not use of a text encoder, and why: `(prefix, reason)`.
const UNUSED: [(&str, &str); 5] = [
    ("pooler.", "the text encoder's pooler, which M3AE does not use"),
    ("lm_head.", "the language-modelling head it was pre-trained with; M3AE trains its own"),
    ("cls.", "the heads it was pre-trained with; M3AE trains its own"),
    ("embeddings.position_ids", "a constant buffer 0, 1, 2, … of older transformers releases"),
    ("embeddings.token_type_ids", "a constant buffer of zeros of older transformers releases"),
];

/// The prefix of a file's names, the dot included: `roberta.`, `bert.` or none.
pub(crate) fn prefix(checkpoint: &Checkpoint) -> Option<&'static str> {
    ["", "roberta.", "bert."]
        .into_iter()
        .find(|prefix| checkpoint.shape(&format!("{prefix}embeddings.word_embeddings.weight")).is_some())
}

/// Our encoder's parameter (by the reference's names) or the reason it is not used.
fn place(name: &str, prefix: &str) -> Result<String, &'static str> {
    let name = name.strip_prefix(prefix).unwrap_or(name);
    match UNUSED.iter().find(|(unused, _)| name.starts_with(unused)) {
        Some(&(_, reason)) => Err(reason),
        None => Ok(name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")),
    }
}

/// Loads a Hugging Face text encoder into M3AE's. Stored types are converted to float32.
///
/// # Errors
/// The file holds no text encoder, or any tensor is missing, unexpected or of another shape (another vocabulary, for one):
/// all of them, named, and the encoder is unchanged. Or a tensor cannot be read.
pub fn load_text(encoder: &mut TextEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    let prefix = prefix(checkpoint).ok_or_else(|| not_text(checkpoint))?;
    let mut plan = Plan::new(encoder, &checkpoint.path);
    for (name, tensor) in &checkpoint.tensors {
        match place(name, prefix) {
            Ok(parameter) => plan.assign(&parameter, name, Value::Whole(tensor.clone())),
            Err(reason) => plan.ignore(name, reason),
        }
    }
    plan.apply(encoder)
}

/// The text encoder that a file's weights make: sizes and depth from its tensors' shapes, the rest from the `config.json`
/// beside it.
///
/// # Errors
/// The file holds no text encoder, or none that can be built.
pub fn infer_text_config(checkpoint: &Checkpoint, settings: &HfTextConfig) -> Result<TextConfig, WeightsError> {
    let prefix = prefix(checkpoint).ok_or_else(|| not_text(checkpoint))?;
    let text = text_config(&Shapes(checkpoint), prefix, settings)?;
    M3aeConfig { text: text.clone(), ..M3aeConfig::base() }.validate()?;
    Ok(text)
}

pub(crate) fn not_text(checkpoint: &Checkpoint) -> WeightsError {
    let problem = "  it holds no RoBERTa or BERT: embeddings.word_embeddings.weight is missing, with prefix or without";
    WeightsError::Mismatch { path: checkpoint.path.clone(), problems: vec![problem.into()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_old_layer_norms_read_alike() {
        let ours = "encoder.layer.0.output.LayerNorm.weight";
        for (name, prefix) in [
            (ours, ""),
            ("roberta.encoder.layer.0.output.LayerNorm.weight", "roberta."),
            ("bert.encoder.layer.0.output.LayerNorm.gamma", "bert."),
        ] {
            assert_eq!(place(name, prefix).unwrap(), ours);
        }
        assert!(place("cls.predictions.bias", "bert.").is_err());
        assert!(place("roberta.pooler.dense.weight", "roberta.").is_err());
        assert!(place("lm_head.bias", "roberta.").is_err());
    }
}
