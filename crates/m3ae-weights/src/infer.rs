//! Which configuration a checkpoint needs: sizes and depths from its tensors' shapes, the rest from the settings beside it.

use std::fs;
use std::path::Path;

use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, TextConfig, TextFamily};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;

/// The reference's hyper-parameters that shapes cannot tell (`config.json` of a fixture, or `hyper_parameters` of a
/// Lightning checkpoint). Others are ignored.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct HyperParameters {
    /// Attention heads of the fusion.
    pub num_heads: usize,
    /// Dropout of the fusion.
    pub drop_rate: f64,
    /// Attention heads of the MIM decoder.
    pub mim_decoder_num_heads: usize,
    /// Whether MIM predicts normalised patches.
    pub norm_pix_loss: bool,
    /// Fusion layer whose input MIM reads; -1 for the last state.
    pub mim_layer: i64,
    /// Side of the images, in pixels.
    pub image_size: usize,
    /// Folder or hub name of the text encoder.
    pub tokenizer: String,
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

/// Reads a JSON settings file.
///
/// # Errors
/// The file is missing, is not JSON, or lacks a field.
pub fn read_settings<T: DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let text = fs::read_to_string(path).map_err(WeightsError::io(path))?;
    serde_json::from_str(&text)
        .map_err(|error| WeightsError::Settings { path: path.to_owned(), problem: error.to_string() })
}

/// Looks shapes up, and says which tensor is missing.
struct Shapes<'a>(&'a Checkpoint);

impl Shapes<'_> {
    fn of<const D: usize>(&self, name: &str) -> Result<[usize; D], WeightsError> {
        let problem = match self.0.shape(name) {
            None => format!("tensor {name} is missing: this is not an M3AE checkpoint"),
            Some(shape) => match <[usize; D]>::try_from(shape) {
                Ok(shape) => return Ok(shape),
                Err(shape) => format!("tensor {name} has shape {shape:?}, which should have {D} axes"),
            },
        };
        Err(WeightsError::NotM3ae { path: self.0.path.clone(), problem })
    }

    fn has(&self, prefix: &str) -> bool {
        self.0.names().any(|name| name.starts_with(prefix))
    }

    /// Number of modules in a list: one more than the highest index after `prefix`.
    fn count(&self, prefix: &str) -> usize {
        let indices =
            self.0.names().filter_map(|name| name.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok());
        indices.max().map_or(0, |last| last + 1)
    }
}

/// The configuration of the model that `checkpoint` holds.
///
/// # Errors
/// A tensor that every M3AE checkpoint has is missing, or the configuration is not one a model can be built from.
pub fn infer_config(
    checkpoint: &Checkpoint,
    settings: &HyperParameters,
    text: &HfTextConfig,
) -> Result<M3aeConfig, WeightsError> {
    let shapes = Shapes(checkpoint);
    let visual = "vision_encoder.visual";
    let [vision_width, _, patch, _] = shapes.of(&format!("{visual}.conv1.weight"))?;
    let vision = ClipVisionConfig::new()
        .with_image_size(settings.image_size)
        .with_patch_size(patch)
        .with_width(vision_width)
        .with_layers(shapes.count(&format!("{visual}.transformer.resblocks.")));

    let embeddings = "language_encoder.embeddings";
    let [vocab_size, text_width] = shapes.of(&format!("{embeddings}.word_embeddings.weight"))?;
    let [max_positions, _] = shapes.of(&format!("{embeddings}.position_embeddings.weight"))?;
    let [type_vocab, _] = shapes.of(&format!("{embeddings}.token_type_embeddings.weight"))?;
    let [intermediate, _] = shapes.of("language_encoder.encoder.layer.0.intermediate.dense.weight")?;
    let family = match text.model_type.as_str() {
        "roberta" => TextFamily::Roberta,
        "bert" => TextFamily::Bert,
        other => {
            let problem = format!("the text encoder is of type `{other}`; roberta and bert are supported");
            return Err(WeightsError::NotM3ae { path: checkpoint.path.clone(), problem });
        }
    };
    let text = TextConfig::new()
        .with_family(family)
        .with_vocab_size(vocab_size)
        .with_width(text_width)
        .with_layers(shapes.count("language_encoder.encoder.layer."))
        .with_heads(text.num_attention_heads)
        .with_intermediate(intermediate)
        .with_max_positions(max_positions)
        .with_type_vocab(type_vocab)
        .with_epsilon(text.layer_norm_eps)
        .with_pad_id(text.pad_token_id)
        .with_dropout(text.hidden_dropout_prob);

    let [width, _] = shapes.of("multi_modal_language_proj.weight")?;
    let [fusion_intermediate, _] = shapes.of("multi_modal_vision_layers.0.intermediate.dense.weight")?;
    let fusion = FusionConfig::new()
        .with_width(width)
        .with_heads(settings.num_heads)
        .with_layers(shapes.count("multi_modal_vision_layers."))
        .with_mlp_ratio(fusion_intermediate / width.max(1))
        .with_dropout(settings.drop_rate);

    let mut mim = MimConfig::new()
        .with_heads(settings.mim_decoder_num_heads)
        .with_norm_pix_loss(settings.norm_pix_loss)
        .with_layer(usize::try_from(settings.mim_layer).ok());
    let has_mim = shapes.has("mim_head.");
    if has_mim {
        let [mim_width, _] = shapes.of("mim_head.decoder_embed.weight")?;
        mim = mim.with_width(mim_width).with_layers(shapes.count("mim_head.decoder.resblocks."));
    }
    let classes = |head: &str| -> Result<Option<usize>, WeightsError> {
        if !shapes.has(head) {
            return Ok(None);
        }
        let [classes, _] = shapes.of(&format!("{head}3.weight"))?;
        Ok(Some(classes))
    };
    let heads = HeadsConfig::new()
        .with_mlm(shapes.has("mlm_head."))
        .with_mim(has_mim)
        .with_itm(shapes.has("itm_head."))
        .with_vqa(classes("vqa_head.")?)
        .with_cls(classes("cls_head.")?)
        .with_irtr(shapes.has("irtr_head."));
    let config = M3aeConfig::new(vision, text, fusion, mim, heads);
    config.validate()?;
    Ok(config)
}
