//! Swin into M3AE's vision encoder, from timm's names or Microsoft's (spec 1.2).

use m3ae_model::{SWIN_STAGES, SwinConfig, TimmMerging, VisionEncoder, swin_from_timm, swin_ignorable};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::infer::Shapes;
use crate::load::LoadReport;
use crate::plan::{Plan, Value};
use crate::positions;

/// What Microsoft's files put before every name.
const MICROSOFT: &str = "model.";

/// Loads timm's or Microsoft's Swin into M3AE's vision encoder. Stored types are converted to float32; relative bias tables
/// are resized if the encoder's window differs.
///
/// # Errors
/// The model's vision encoder is CLIP's, or any tensor is missing, unexpected or of another shape: all of them, named, and
/// the encoder is unchanged. Or a tensor cannot be read.
pub fn load_swin(encoder: &mut VisionEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    let VisionEncoder::Swin(encoder) = encoder else {
        let problems = vec!["  the model's vision encoder is CLIP's, the file is to be Swin's".into()];
        return Err(WeightsError::Mismatch { path: checkpoint.path.clone(), problems });
    };
    let timm = |name: &'_ str| name.strip_prefix(MICROSOFT).unwrap_or(name).to_owned();
    let names: Vec<String> = checkpoint.names().map(timm).collect();
    let merging = TimmMerging::of(names.iter().map(String::as_str));
    let mut plan = Plan::new(encoder, &checkpoint.path);
    for (timm, (name, tensor)) in names.iter().zip(&checkpoint.tensors) {
        match (swin_from_timm(timm, merging), swin_ignorable(timm)) {
            (Some(parameter), _) => plan.assign(&parameter, name, Value::Whole(tensor.clone())),
            (None, Some(reason)) => plan.ignore(name, reason),
            (None, None) => plan.problem(format!("unexpected: {name}")),
        }
    }
    plan.apply(encoder)
}

/// The Swin of an M3AE checkpoint, at images of `image_size` pixels; `None` if its vision encoder is not Swin.
pub(crate) fn infer(shapes: &Shapes<'_>, image_size: usize) -> Result<Option<SwinConfig>, WeightsError> {
    let start = "vision_encoder.layers.";
    if !shapes.has(start) {
        return Ok(None);
    }
    let [width, _, patch_size, _] = shapes.of("vision_encoder.patch_embed.proj.weight")?;
    let [inner, _] = shapes.of(&format!("{start}0.blocks.0.mlp.fc1.weight"))?;
    let (mut depths, mut heads, mut window) = ([0; SWIN_STAGES], [0; SWIN_STAGES], 1);
    for (stage, (depth, heads)) in depths.iter_mut().zip(&mut heads).enumerate() {
        *depth = shapes.count(&format!("{start}{stage}.blocks."))?;
        let [rows, count] = shapes.of(&format!("{start}{stage}.blocks.0.attn.relative_position_bias_table"))?;
        *heads = count;
        // A table has (2 · window - 1)² rows; a stage smaller than the window has a smaller table.
        window = window.max(positions::side(rows).map_or(0, |side| side.div_ceil(2)));
    }
    let config = SwinConfig::new().with_image_size(image_size).with_patch_size(patch_size).with_width(width);
    let config = config.with_depths(depths).with_heads(heads).with_window(window);
    Ok(Some(config.with_mlp_ratio(inner / width.max(1))))
}
