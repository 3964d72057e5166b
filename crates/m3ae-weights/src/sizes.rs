//! Sizes of a published encoder, from its weights: a recipe that names the weights needs no size keys.

use std::path::Path;

use m3ae_model::{ClipVisionConfig, SwinConfig};

use crate::checkpoint::Checkpoint;
use crate::clip::{self, infer_clip_config};
use crate::error::WeightsError;
use crate::folder::CONFIG_FILE;
use crate::names::text::prefix;
use crate::settings::{HfTextConfig, read_settings};
use crate::shapes::Shapes;
use crate::swin;
use crate::text::{TextShapes, not_text, text_shapes};

/// Sizes of a published vision encoder. The image size is the one that its position or bias tables are made for; both
/// are resized for another.
#[derive(Clone, Debug, PartialEq)]
pub enum VisionSizes {
    /// CLIP's vision transformer: all stored blocks but the last.
    Clip(ClipVisionConfig),
    /// Swin.
    Swin(SwinConfig),
}

/// Sizes of a published text encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct TextSizes {
    /// Sizes from the shapes of the tensors.
    pub shapes: TextShapes,
    /// Settings that do not follow from shapes: from the `config.json` beside the weights, or known by the folder's
    /// name. `None` where there is neither.
    pub settings: Option<HfTextConfig>,
}

/// The sizes of the vision encoder in `checkpoint`: CLIP (OpenAI's or Hugging Face's names) or Swin (timm's or
/// Microsoft's).
///
/// # Errors
/// The file holds neither, or an encoder that cannot be built.
pub fn vision_sizes(checkpoint: &Checkpoint) -> Result<VisionSizes, WeightsError> {
    let shapes = Shapes(checkpoint);
    for prefix in ["", swin::MICROSOFT] {
        if let Some(config) = swin::infer(&shapes, prefix)? {
            config.validate()?;
            return Ok(VisionSizes::Swin(config));
        }
    }
    // A file without a position table is no CLIP, which the next line says.
    let image_size = clip::image_size(checkpoint).unwrap_or_default();
    Ok(VisionSizes::Clip(infer_clip_config(checkpoint, image_size)?))
}

/// The sizes of the RoBERTa or BERT in `checkpoint`.
///
/// # Errors
/// The file holds none, or the settings beside it cannot be read.
pub fn text_sizes(checkpoint: &Checkpoint) -> Result<TextSizes, WeightsError> {
    let prefix = prefix(checkpoint).ok_or_else(|| not_text(checkpoint))?;
    let shapes = text_shapes(&Shapes(checkpoint), prefix)?;
    let folder = checkpoint.path.parent().unwrap_or(Path::new(""));
    let beside = folder.join(CONFIG_FILE);
    let settings = match beside.is_file() {
        true => Some(read_settings(&beside)?),
        false => folder.file_name().and_then(|name| HfTextConfig::well_known(&name.to_string_lossy())),
    };
    Ok(TextSizes { shapes, settings })
}
