//! Weights to start from: published encoders, or a whole model.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use m3ae_model::{M3ae, M3aeConfig};
use m3ae_weights::{
    Checkpoint, LoadOptions, LoadReport, TOKENIZER_FILE, load_clip, load_swin, load_text, load_with, resolve,
};

use crate::error::TrainError;
use crate::recipe::{InitSection, RunConfig, RunConfigError};

/// The weights that `[init]` names. Names, types and shapes are read; tensors when they are loaded.
pub(crate) struct InitialWeights {
    pub vision: Option<Named>,
    pub text: Option<Named>,
    /// A whole M3AE model.
    pub model: Option<Named>,
}

/// Weights with the key and the name that the recipe has for them.
pub(crate) struct Named {
    pub key: &'static str,
    pub name: String,
    pub checkpoint: Checkpoint,
}

impl InitialWeights {
    /// Opens them.
    ///
    /// # Errors
    /// A name that leads nowhere, or a file that is no checkpoint; the message names the key.
    pub(crate) fn open(init: &InitSection) -> Result<Self, TrainError> {
        let open = |key: &'static str, name: &Option<String>| {
            let Some(name) = name.clone().filter(|name| !name.is_empty()) else { return Ok::<_, TrainError>(None) };
            let checkpoint =
                resolve(&name).and_then(|path| Checkpoint::open(&path)).map_err(TrainError::of_key(key))?;
            Ok(Some(Named { key, name, checkpoint }))
        };
        Ok(Self {
            vision: open("init.vision", &init.vision)?,
            text: open("init.text", &init.text)?,
            model: open("init.checkpoint", &init.checkpoint)?,
        })
    }

    /// None: a run that goes on has its own.
    pub(crate) fn none() -> Self {
        Self { vision: None, text: None, model: None }
    }

    /// The tokenizer beside the whole model, if it has one.
    pub(crate) fn tokenizer(&self) -> Option<PathBuf> {
        let folder = self.model.as_ref()?.checkpoint.path().parent().unwrap_or(Path::new(""));
        Some(folder.join(TOKENIZER_FILE)).filter(|path| path.is_file())
    }

    /// Loads them into a freshly initialised model of `config`. Encoders first, then a whole model on top; what neither
    /// brings keeps its initial weights. Gives the recipe's key and the report for each.
    ///
    /// # Errors
    /// A file that is damaged or of another architecture. Heads of a checkpoint that the model lacks are left out; a
    /// head that the model has and the checkpoint lacks is an error, unless fine-tuning starts it afresh.
    pub(crate) fn load(
        &self,
        model: &mut M3ae,
        config: &M3aeConfig,
        recipe: &RunConfig,
    ) -> Result<Vec<(&'static str, LoadReport)>, TrainError> {
        let mut reports = Vec::new();
        if let Some(Named { key, checkpoint, .. }) = &self.vision {
            let load = if config.vision.clip().is_some() { load_clip } else { load_swin };
            reports.push((*key, load(&mut model.vision_encoder, checkpoint).map_err(TrainError::of_key(key))?));
        }
        if let Some(Named { key, checkpoint, .. }) = &self.text {
            reports.push((*key, load_text(&mut model.language_encoder, checkpoint).map_err(TrainError::of_key(key))?));
        }
        if let Some(Named { key, checkpoint, .. }) = &self.model {
            let fresh_head = !recipe.task.is_pretraining() && !recipe.init.keep_head;
            let options = match fresh_head {
                true => LoadOptions::fine_tuning(),
                false => LoadOptions { drop_heads: true, ..LoadOptions::default() },
            };
            if recipe.init.keep_head {
                check_head(checkpoint, config)?;
            }
            reports.push((*key, load_with(model, checkpoint, &options).map_err(TrainError::of_key(key))?));
        }
        Ok(reports)
    }
}

/// Draws every weight now, in the module's order. Burn's parameters are lazy: they would be drawn when first used, from
/// the state of the backend's generator at that time, by whichever thread comes first.
pub(crate) fn draw_weights(model: &M3ae) {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let _ = param.val();
        }
    }
    model.visit(&mut Draw);
}

/// A head that is kept must have the data's classes.
fn check_head(checkpoint: &Checkpoint, config: &M3aeConfig) -> Result<(), RunConfigError> {
    for (prefix, wanted) in [("vqa_head", config.heads.vqa), ("cls_head", config.heads.cls)] {
        let shape = checkpoint.shape(&format!("{prefix}.3.weight"));
        if let (Some(wanted), Some(&[found, ..])) = (wanted, shape.as_deref())
            && wanted != found
        {
            let problem = format!(
                "the checkpoint's {prefix} has {found} classes, the data set has {wanted}; leave this key out to start a new \
                 head"
            );
            return Err(RunConfigError::value("init.keep_head", problem));
        }
    }
    Ok(())
}
