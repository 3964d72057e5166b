//! RoBERTa and BERT from a Hugging Face folder into M3AE's text encoder (docs/spec.md, section 1.3).

use m3ae_model::{M3aeConfig, TextConfig, TextEncoder};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::names::text::{place, prefix};
use crate::plan::{Plan, Value};
use crate::report::LoadReport;
use crate::settings::HfTextConfig;
use crate::shapes::Shapes;

/// Sizes of a text encoder that its tensors' shapes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextShapes {
    /// Token vocabulary.
    pub vocab_size: usize,
    /// Hidden width.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Rows of the position table.
    pub max_positions: usize,
    /// Rows of the token-type table.
    pub type_vocab: usize,
}

/// The sizes of the text encoder whose tensors' names start with `prefix`.
pub(crate) fn text_shapes(shapes: &Shapes<'_>, prefix: &str) -> Result<TextShapes, WeightsError> {
    let [vocab_size, width] = shapes.of(&format!("{prefix}embeddings.word_embeddings.weight"))?;
    let [max_positions, _] = shapes.of(&format!("{prefix}embeddings.position_embeddings.weight"))?;
    let [type_vocab, _] = shapes.of(&format!("{prefix}embeddings.token_type_embeddings.weight"))?;
    let [intermediate, _] = shapes.of(&format!("{prefix}encoder.layer.0.intermediate.dense.weight"))?;
    let layers = shapes.count(&format!("{prefix}encoder.layer."))?;
    Ok(TextShapes { vocab_size, width, layers, intermediate, max_positions, type_vocab })
}

/// The text encoder whose tensors' names start with `prefix`.
pub(crate) fn text_config(
    shapes: &Shapes<'_>,
    prefix: &str,
    settings: &HfTextConfig,
) -> Result<TextConfig, WeightsError> {
    let sizes = text_shapes(shapes, prefix)?;
    let family = settings.family().ok_or_else(|| {
        let other = &settings.model_type;
        shapes.error(format!("the text encoder is of type `{other}`; roberta and bert are supported"))
    })?;
    Ok(TextConfig::new()
        .with_family(family)
        .with_vocab_size(sizes.vocab_size)
        .with_width(sizes.width)
        .with_layers(sizes.layers)
        .with_heads(settings.num_attention_heads)
        .with_intermediate(sizes.intermediate)
        .with_max_positions(sizes.max_positions)
        .with_type_vocab(sizes.type_vocab)
        .with_epsilon(settings.layer_norm_eps)
        .with_pad_id(settings.pad_token_id)
        .with_dropout(settings.hidden_dropout_prob))
}

/// Loads a Hugging Face text encoder into M3AE's. Stored types are converted to float32.
///
/// # Errors
/// The file holds no text encoder, or any tensor is missing, unexpected or of another shape (another vocabulary, for
/// one): all of them, named, and the encoder is unchanged. Or a tensor cannot be read.
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

/// The text encoder that a file's weights make: sizes and depth from its tensors' shapes, the rest from the
/// `config.json` beside it.
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
