//! Which configuration a checkpoint needs: sizes and depths from its tensors' shapes, the rest from the settings beside it
//! or inside it.

use std::path::{Path, PathBuf};

use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, TextConfig, VisionConfig};

use crate::checkpoint::{Checkpoint, Format};
use crate::error::WeightsError;
use crate::folder::{CONFIG_FILE, folder_settings};
use crate::settings::{HfTextConfig, HyperParameters, read_settings};
use crate::{pytorch, swin};

/// Most values in a position table: 64 million, where the published model has 0.4.
const MAX_POSITIONS: usize = 1 << 26;
/// Most layers of any stack.
const MAX_LAYERS: usize = 1024;

/// Looks shapes up, and says which tensor is missing.
pub(crate) struct Shapes<'a>(pub &'a Checkpoint);

impl Shapes<'_> {
    fn error(&self, problem: String) -> WeightsError {
        WeightsError::NotM3ae { path: self.0.path.clone(), problem }
    }

    pub(crate) fn of<const D: usize>(&self, name: &str) -> Result<[usize; D], WeightsError> {
        let problem = match self.0.shape(name) {
            None => format!("tensor {name} is missing: this is not an M3AE checkpoint"),
            Some(shape) => match <[usize; D]>::try_from(shape) {
                Ok(shape) if shape.contains(&0) => format!("tensor {name} is empty: its shape is {shape:?}"),
                Ok(shape) => return Ok(shape),
                Err(shape) => format!("tensor {name} has shape {shape:?}, which should have {D} axes"),
            },
        };
        Err(self.error(problem))
    }

    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.0.names().any(|name| name.starts_with(prefix))
    }

    /// Number of modules in a list, whose indices after `prefix` run from 0 without a gap.
    pub(crate) fn count(&self, prefix: &str) -> Result<usize, WeightsError> {
        let indices =
            self.0.names().filter_map(|name| name.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok());
        let indices: std::collections::BTreeSet<usize> = indices.collect();
        match indices.iter().enumerate().find(|&(expected, &index)| expected != index) {
            None => Ok(indices.len()),
            Some((expected, index)) => Err(self.error(format!("it has {prefix}{index} and no {prefix}{expected}"))),
        }
    }
}

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

fn clip_config(shapes: &Shapes<'_>, image_size: usize) -> Result<ClipVisionConfig, WeightsError> {
    let visual = "vision_encoder.visual";
    let [width, _, patch, _] = shapes.of(&format!("{visual}.conv1.weight"))?;
    Ok(ClipVisionConfig::new()
        .with_image_size(image_size)
        .with_patch_size(patch)
        .with_width(width)
        .with_layers(shapes.count(&format!("{visual}.transformer.resblocks."))?))
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
    let vision = match swin::infer(&shapes, "vision_encoder.")? {
        Some(swin) => VisionConfig::Swin(swin.with_image_size(settings.image_size)),
        None => clip_config(&shapes, settings.image_size)?.into(),
    };
    let text = text_config(&shapes, "language_encoder.", text)?;

    let [width, _] = shapes.of("multi_modal_language_proj.weight")?;
    let [fusion_intermediate, _] = shapes.of("multi_modal_vision_layers.0.intermediate.dense.weight")?;
    let fusion = FusionConfig::new()
        .with_width(width)
        .with_heads(settings.num_heads)
        .with_layers(shapes.count("multi_modal_vision_layers.")?)
        .with_mlp_ratio(fusion_intermediate / width.max(1))
        .with_dropout(settings.drop_rate);

    let mut mim = MimConfig::new()
        .with_heads(settings.mim_decoder_num_heads)
        .with_norm_pix_loss(settings.norm_pix_loss)
        .with_layer(usize::try_from(settings.mim_layer).ok());
    let has_mim = shapes.has("mim_head.");
    if has_mim {
        let [mim_width, _] = shapes.of("mim_head.decoder_embed.weight")?;
        mim = mim.with_width(mim_width).with_layers(shapes.count("mim_head.decoder.resblocks.")?);
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
    check_size(&checkpoint.path, &config)?;
    Ok(config)
}

/// Refuses configurations that would take memory without any weights behind them: a position table beyond
/// [`MAX_POSITIONS`], or absurdly many layers.
pub(crate) fn check_size(path: &Path, config: &M3aeConfig) -> Result<(), WeightsError> {
    let (size, vision_layers, vision_width) = match &config.vision {
        VisionConfig::Clip(clip) => (clip.image_size, clip.layers, clip.width),
        VisionConfig::Swin(swin) => (swin.image_size, swin.depths.into_iter().max().unwrap_or(0), swin.width),
    };
    let width = vision_width.max(config.mim.width);
    let grid = config.vision.grid();
    let positions = grid.checked_mul(grid).and_then(|patches| patches.checked_add(1)?.checked_mul(width));
    if positions.is_none_or(|positions| positions > MAX_POSITIONS) {
        let problem = format!("images of {size} pixels with tokens {width} wide make too large a position table");
        return Err(WeightsError::NotM3ae { path: path.to_owned(), problem });
    }
    let layers = config.fusion.layers.max(config.mim.layers).max(vision_layers).max(config.text.layers);
    if layers > MAX_LAYERS {
        let problem = format!("{layers} layers are too many; {MAX_LAYERS} are accepted");
        return Err(WeightsError::NotM3ae { path: path.to_owned(), problem });
    }
    Ok(())
}

/// The configuration of the model that `checkpoint` holds, with settings found by themselves: the `config.json` of an
/// exported folder, or the checkpoint's own `hyper_parameters`, or the reference's `config.json` beside it. The text
/// encoder's settings are those in the folder that `tokenizer` names, beside the checkpoint or from the current folder, or
/// else those known by that name (`roberta-base`, `bert-base-uncased`).
///
/// # Errors
/// As [`infer_config`], or no settings are found: the message says which files to put where.
pub fn find_config(checkpoint: &Checkpoint) -> Result<M3aeConfig, WeightsError> {
    let folder = checkpoint.path.parent().unwrap_or(Path::new(""));
    let beside = folder.join(CONFIG_FILE);
    if checkpoint.format == Format::Safetensors
        && let Some(settings) = folder_settings(&beside)?
    {
        return Ok(settings.config);
    }
    let settings = match hyper_parameters(checkpoint)? {
        Some(settings) => settings,
        None if beside.is_file() => read_settings(&beside)?,
        None => {
            let problem = "the settings that the weights cannot tell are missing: put the reference's hyper-parameters \
                or the config.json of an exported folder here";
            return Err(WeightsError::settings(&beside, problem));
        }
    };
    infer_config(checkpoint, &settings, &find_text_settings(folder, &settings.tokenizer)?)
}

/// The reference's hyper-parameters inside a Lightning checkpoint, if it has any.
///
/// # Errors
/// The file cannot be read, or has hyper-parameters that lack a field we need.
pub fn hyper_parameters(checkpoint: &Checkpoint) -> Result<Option<HyperParameters>, WeightsError> {
    if checkpoint.format != Format::Lightning {
        return Ok(None);
    }
    let Some(json) = pytorch::hyper_parameters(&checkpoint.path)? else { return Ok(None) };
    let parsed = serde_json::from_value(json);
    let failed = |error| WeightsError::settings(&checkpoint.path, format!("hyper_parameters: {error}"));
    parsed.map(Some).map_err(failed)
}

fn find_text_settings(folder: &Path, tokenizer: &str) -> Result<HfTextConfig, WeightsError> {
    let named = Path::new(tokenizer);
    let mut places: Vec<PathBuf> = vec![folder.join(named), named.to_owned()];
    places.extend(named.file_name().map(|name| folder.join(name)));
    for place in &places {
        let settings = place.join(CONFIG_FILE);
        if settings.is_file() {
            return read_settings(&settings);
        }
    }
    HfTextConfig::well_known(tokenizer).ok_or_else(|| {
        let problem = format!("the text encoder `{tokenizer}` is not known by name: put its config.json here");
        WeightsError::settings(&folder.join(named).join(CONFIG_FILE), problem)
    })
}
