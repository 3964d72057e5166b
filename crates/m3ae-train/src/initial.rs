//! Weights to start from: published encoders, or a whole model.

use m3ae_model::M3ae;
use m3ae_weights::{Checkpoint, LoadOptions, LoadReport, load_clip, load_swin, load_text, load_with, resolve};

use crate::config::InitSection;
use crate::error::TrainError;

/// Loads what the recipe's `[init]` names into a freshly initialised model. Encoders first, then a whole model on top; what
/// neither brings keeps its initial weights.
///
/// Gives the recipe's key and the report for each.
///
/// # Errors
/// A file that is missing, damaged or of another architecture. Heads of a checkpoint that the model lacks are left out; a head
/// that the model has and the checkpoint lacks is an error.
pub fn load_initial(model: &mut M3ae, init: &InitSection) -> Result<Vec<(&'static str, LoadReport)>, TrainError> {
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
        let options = LoadOptions { drop_heads: true, ..LoadOptions::default() };
        reports.push(("init.checkpoint", load_with(model, &checkpoint, &options)?));
    }
    Ok(reports)
}
