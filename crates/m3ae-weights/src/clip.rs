//! CLIP's vision transformer into ours, from OpenAI's names or Hugging Face's (docs/spec.md, section 1.1). M3AE uses
//! all stored blocks but the last.

use std::collections::{BTreeMap, BTreeSet};

use m3ae_model::{ClipEncoder, ClipVisionConfig, ConfigError, VisionConfig, VisionEncoder};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::names::clip::{PATCHES, POSITIONS, Place, block, place};
use crate::plan::{Plan, Value};
use crate::positions;
use crate::report::LoadReport;

const NO_CLIP: &str = "it holds no CLIP vision transformer";

/// Number of different vision blocks stored, by OpenAI's or Hugging Face's names.
fn stored_blocks(checkpoint: &Checkpoint) -> usize {
    checkpoint.names().filter_map(block).collect::<BTreeSet<usize>>().len()
}

/// Whether a file holds a CLIP vision transformer.
pub(crate) fn is_clip(checkpoint: &Checkpoint) -> bool {
    stored_blocks(checkpoint) > 0
}

/// Loads CLIP's vision transformer into M3AE's vision encoder: all stored blocks but the last, with the position table
/// resized to the encoder's image size. Stored types are converted to float32. Reads every form in which CLIP is
/// published: OpenAI's TorchScript archives, pickled state dictionaries, and Hugging Face's safetensors.
///
/// # Errors
/// The model's vision encoder is Swin. The file holds no CLIP vision transformer, or another number of blocks, or any
/// tensor is missing, unexpected or of another shape: all of them, named, and the encoder is unchanged. Or a tensor
/// cannot be read.
pub fn load_clip(encoder: &mut VisionEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    match encoder {
        VisionEncoder::Clip(encoder) => load_blocks(encoder, checkpoint),
        VisionEncoder::Swin(_) => Err(mismatch(checkpoint, "the model's vision encoder is Swin, the file's is CLIP's")),
    }
}

fn mismatch(checkpoint: &Checkpoint, problem: &str) -> WeightsError {
    WeightsError::Mismatch { path: checkpoint.path.clone(), problems: vec![format!("  {problem}")] }
}

fn load_blocks(encoder: &mut ClipEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    let (stored, used) = (stored_blocks(checkpoint), encoder.visual.transformer.resblocks.len());
    if stored == 0 {
        return Err(mismatch(checkpoint, NO_CLIP));
    }
    if stored != used + 1 {
        let problem =
            format!("CLIP stores {stored} vision blocks, of which all but the last are used; the model has {used}");
        return Err(mismatch(checkpoint, &problem));
    }
    let mut plan = Plan::new(encoder, &checkpoint.path);
    let mut packed = BTreeMap::<String, [Option<&str>; 3]>::new();
    for (name, tensor) in &checkpoint.tensors {
        match place(name, stored) {
            Place::Whole(parameter) => plan.assign(&parameter, name, Value::Whole(tensor.clone())),
            Place::Part(parameter, part) => packed.entry(parameter).or_default()[part] = Some(name),
            Place::Unused(reason) => plan.ignore(name, reason),
            Place::Unknown => plan.problem(format!("unexpected: {name}")),
        }
    }
    for (parameter, parts) in packed {
        let tensors = parts.map(|name| Some((name?, checkpoint.tensors.get(name?)?.clone())));
        let [Some((query, q)), Some((_, k)), Some((_, v))] = tensors else {
            plan.problem(format!("{parameter} needs q_proj, k_proj and v_proj, of which one is missing"));
            continue;
        };
        plan.assign(&parameter, query, Value::Stacked(vec![q, k, v]));
    }
    plan.apply(encoder)
}

/// The vision encoder that a CLIP file's weights make at images of `image_size` pixels: sizes from its tensors' shapes,
/// all stored blocks but the last.
///
/// # Errors
/// The file holds no CLIP vision transformer, or no encoder can be built for that image size.
pub fn infer_clip_config(checkpoint: &Checkpoint, image_size: usize) -> Result<ClipVisionConfig, WeightsError> {
    let missing = || mismatch(checkpoint, NO_CLIP);
    let conv = PATCHES.iter().find_map(|name| checkpoint.shape(name)).ok_or_else(missing)?;
    let (&[width, _, patch, _], stored) = (conv.as_slice(), stored_blocks(checkpoint)) else { return Err(missing()) };
    if stored < 2 {
        return Err(missing());
    }
    let vision = ClipVisionConfig::new()
        .with_image_size(image_size)
        .with_patch_size(patch)
        .with_width(width)
        .with_layers(stored - 1);
    checked(&vision)?;
    Ok(vision)
}

/// The image size that a CLIP file's own position table is made for.
pub(crate) fn image_size(checkpoint: &Checkpoint) -> Option<usize> {
    let rows = *POSITIONS.iter().find_map(|name| checkpoint.shape(name))?.first()?;
    let patch = *PATCHES.iter().find_map(|name| checkpoint.shape(name))?.get(2)?;
    positions::grid(rows)?.checked_mul(patch)
}

fn checked(vision: &ClipVisionConfig) -> Result<(), ConfigError> {
    VisionConfig::from(vision.clone()).validate()
}
