//! Weights to start from: published encoders, or a whole model.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use m3ae_model::M3ae;
use m3ae_weights::{Checkpoint, LoadOptions, LoadReport, load_clip, load_swin, load_text, load_with, resolve};

use crate::error::TrainError;
use crate::recipe::Setup;
use crate::recipe::{RunConfig, RunConfigError, TaskKind};

/// Draws every weight now, in the module's order. Burn's parameters are lazy: they would be drawn when first used, from whatever
/// the backend's generator stands at then, by whichever thread comes first.
pub(crate) fn draw_weights(model: &M3ae) {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let _ = param.val();
        }
    }
    model.visit(&mut Draw);
}

/// Loads what the recipe's `[init]` names into a freshly initialised model. Encoders first, then a whole model on top; what
/// neither brings keeps its initial weights.
///
/// Gives the recipe's key and the report for each.
///
/// # Errors
/// A file that is missing, damaged or of another architecture. Heads of a checkpoint that the model lacks are left out; a head
/// that the model has and the checkpoint lacks is an error, unless fine-tuning starts it afresh.
pub(crate) fn load_initial(
    model: &mut M3ae,
    config: &RunConfig,
    setup: &Setup,
) -> Result<Vec<(&'static str, LoadReport)>, TrainError> {
    let init = &config.init;
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let mut reports = Vec::new();
    if let Some(name) = named(&init.vision) {
        let checkpoint = Checkpoint::open(&resolve(&name)?)?;
        let load = if model.vision_encoder.clip().is_some() { load_clip } else { load_swin };
        reports.push(("init.vision", load(&mut model.vision_encoder, &checkpoint)?));
    }
    if let Some(name) = named(&init.text) {
        let checkpoint = Checkpoint::open(&resolve(&name)?)?;
        reports.push(("init.text", load_text(&mut model.language_encoder, &checkpoint)?));
    }
    if let Some(name) = named(&init.checkpoint) {
        let checkpoint = Checkpoint::open(&resolve(&name)?)?;
        let fresh_head = config.task.kind != TaskKind::Pretraining && !init.keep_head;
        let options = match fresh_head {
            true => LoadOptions::fine_tuning(),
            false => LoadOptions { drop_heads: true, ..LoadOptions::default() },
        };
        if init.keep_head {
            check_head(&checkpoint, setup)?;
        }
        reports.push(("init.checkpoint", load_with(model, &checkpoint, &options)?));
    }
    Ok(reports)
}

/// A head that is kept must have the data's classes.
fn check_head(checkpoint: &Checkpoint, setup: &Setup) -> Result<(), TrainError> {
    let heads = &setup.model.heads;
    for (prefix, wanted) in [("vqa_head", heads.vqa), ("cls_head", heads.cls)] {
        let shape = checkpoint.shape(&format!("{prefix}.3.weight"));
        if let (Some(wanted), Some(&[found, ..])) = (wanted, shape.as_deref())
            && wanted != found
        {
            let problem = format!(
                "the checkpoint's {prefix} has {found} classes, the data set has {wanted}; leave this key out to start a new head"
            );
            return Err(RunConfigError::Value { key: "init.keep_head", problem }.into());
        }
    }
    Ok(())
}
