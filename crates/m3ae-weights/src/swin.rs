//! Swin into M3AE's vision encoder, from timm's names or Microsoft's (docs/spec.md, section 1.2).

use m3ae_model::{SWIN_STAGES, SwinConfig, VisionEncoder};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::names::swin::{Merging, from_timm, ignorable};
use crate::plan::{Plan, Value};
use crate::positions;
use crate::report::LoadReport;
use crate::shapes::Shapes;

/// What Microsoft's files put before every name.
pub(crate) const MICROSOFT: &str = "model.";

/// Loads timm's or Microsoft's Swin into M3AE's vision encoder. Stored types are converted to float32; relative bias
/// tables are resized if the encoder's window differs.
///
/// # Errors
/// The model's vision encoder is CLIP's, or any tensor is missing, unexpected or of another shape: all of them, named,
/// and the encoder is unchanged. Or a tensor cannot be read.
pub fn load_swin(encoder: &mut VisionEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    let VisionEncoder::Swin(encoder) = encoder else {
        let problems = vec!["  the model's vision encoder is CLIP's, and the file would have to be Swin's".into()];
        return Err(WeightsError::Mismatch { path: checkpoint.path.clone(), problems });
    };
    let timm = |name: &'_ str| name.strip_prefix(MICROSOFT).unwrap_or(name).to_owned();
    let names: Vec<String> = checkpoint.names().map(timm).collect();
    let merging = Merging::of(names.iter().map(String::as_str));
    let mut plan = Plan::new(encoder, &checkpoint.path);
    for (timm, (name, tensor)) in names.iter().zip(&checkpoint.tensors) {
        match (from_timm(timm, merging), ignorable(timm)) {
            (Some(parameter), _) => plan.assign(&parameter, name, Value::Whole(tensor.clone())),
            (None, Some(reason)) => plan.ignore(name, reason),
            (None, None) => plan.problem(format!("unexpected: {name}")),
        }
    }
    plan.apply(encoder)
}

/// The Swin whose tensors' names start with `prefix`, at the image size whose windows its bias tables are made for;
/// `None` if there is none.
pub(crate) fn infer(shapes: &Shapes<'_>, prefix: &str) -> Result<Option<SwinConfig>, WeightsError> {
    let table = |stage: usize| format!("{prefix}layers.{stage}.blocks.0.attn.relative_position_bias_table");
    if !shapes.has(&table(0)) {
        return Ok(None);
    }
    let [width, _, patch_size, _] = shapes.of(&format!("{prefix}patch_embed.proj.weight"))?;
    let [inner, _] = shapes.of(&format!("{prefix}layers.0.blocks.0.mlp.fc1.weight"))?;
    let (mut depths, mut heads, mut window) = ([0; SWIN_STAGES], [0; SWIN_STAGES], 1);
    for (stage, (depth, heads)) in depths.iter_mut().zip(&mut heads).enumerate() {
        *depth = shapes.count(&format!("{prefix}layers.{stage}.blocks."))?;
        let [rows, count] = shapes.of(&table(stage))?;
        *heads = count;
        // A table has (2 · window - 1)² rows; a stage smaller than the window has a smaller table.
        window = window.max(positions::side(rows).map_or(0, |side| side.div_ceil(2)));
    }
    let config = SwinConfig::new().with_patch_size(patch_size).with_width(width).with_depths(depths);
    let config = config.with_heads(heads).with_mlp_ratio(inner / width.max(1));
    Ok(Some(config.with_window(window).with_image_size(native_image_size(patch_size, window))))
}

/// The image side at which a Swin's last stage is one window.
fn native_image_size(patch_size: usize, window: usize) -> usize {
    patch_size.saturating_mul(window).saturating_mul(1 << (SWIN_STAGES - 1))
}
