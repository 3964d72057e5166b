//! The configuration that a checkpoint needs: sizes and depths from the shapes of its tensors, the rest from settings
//! inside or beside it.

use std::path::{Path, PathBuf};

use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, VisionConfig};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::folder::{CONFIG_FILE, folder_settings};
use crate::format::Format;
use crate::settings::{HfTextConfig, HyperParameters, read_settings};
use crate::shapes::Shapes;
use crate::text::text_config;
use crate::{pytorch, swin};

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
    Ok(config)
}

/// The configuration of the model that `checkpoint` holds, from settings that this function finds: the `config.json` of
/// an exported folder, or the checkpoint's own `hyper_parameters`, or the reference's `config.json` beside it. The text
/// encoder's settings are those in the folder that `tokenizer` names, beside the checkpoint or from the current folder,
/// or else those known by that name (`roberta-base`, `bert-base-uncased`).
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
            let problem = "the weights do not determine all settings: put the reference's hyper-parameters \
                or the config.json of an exported folder here";
            return Err(WeightsError::settings(&beside, problem));
        }
    };
    infer_config(checkpoint, &settings, &find_text_settings(folder, &settings.tokenizer)?)
}

/// The reference's hyper-parameters inside a Lightning checkpoint, if it has any.
///
/// # Errors
/// The file cannot be read, or has hyper-parameters without a field that is needed.
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
