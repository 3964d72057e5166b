//! The recipe's model: a preset's or a checkpoint's sizes, with changes.

use m3ae_model::{HeadsConfig, M3aeConfig, TextFamily, VisionConfig};
use m3ae_text::{Family, Tokenizer};
use m3ae_weights::{Checkpoint, find_config, resolve};

use super::{RunConfig, RunConfigError};
use crate::error::TrainError;

impl RunConfig {
    /// The model's configuration for a tokenizer and a task's heads. Masked image modelling is left out where the vision encoder
    /// is Swin.
    ///
    /// # Errors
    /// An unknown preset, a checkpoint that cannot be read or has another vocabulary, or sizes that no model can have.
    pub fn model_config(&self, tokenizer: &Tokenizer, heads: HeadsConfig) -> Result<M3aeConfig, TrainError> {
        let section = &self.model;
        let mut config = self.base()?;
        let replace = |field: &mut usize, value: Option<usize>| *field = value.unwrap_or(*field);
        if let Some(side) = section.image_size {
            config.vision = config.vision.at(side);
        }
        if let VisionConfig::Clip(clip) = &mut config.vision {
            replace(&mut clip.patch_size, section.patch_size);
            replace(&mut clip.width, section.vision_width);
            replace(&mut clip.layers, section.vision_layers);
        }
        replace(&mut config.text.width, section.text_width);
        replace(&mut config.text.layers, section.text_layers);
        replace(&mut config.text.heads, section.text_heads);
        replace(&mut config.fusion.width, section.width);
        replace(&mut config.fusion.heads, section.heads);
        replace(&mut config.fusion.layers, section.fusion_layers);
        if section.text_width.is_some() {
            config.text.intermediate = 4 * config.text.width;
        }
        if let Some(layer) = section.mim_layer {
            config.mim.layer = usize::try_from(layer).ok();
        } else if !heads.mim {
            config.mim.layer = config.mim.layer.filter(|&layer| layer <= config.fusion.layers);
        }
        config.mim.norm_pix_loss = section.norm_pix_loss.unwrap_or(config.mim.norm_pix_loss);
        config.initializer_range = section.initializer_range.unwrap_or(config.initializer_range);
        if let Some(dropout) = section.dropout {
            (config.text.dropout, config.fusion.dropout) = (dropout, dropout);
        }
        config.heads = heads;
        config.heads.mim &= config.vision.clip().is_some();
        match self.sizes_from() {
            Some(name) if config.text.vocab_size != tokenizer.vocab_size() => {
                let problem = format!(
                    "the tokenizer has {} tokens, the model of {name} {}: name the model's own tokenizer",
                    tokenizer.vocab_size(),
                    config.text.vocab_size
                );
                return Err(RunConfigError::Value { key: "text.tokenizer", problem }.into());
            }
            Some(_) => {}
            None => fit(&mut config, tokenizer),
        }
        if self.text.max_length > config.text.max_length() {
            let (length, most) = (self.text.max_length, config.text.max_length());
            let problem = format!("{length} is more than the position table allows, {most}");
            return Err(RunConfigError::Value { key: "text.max_length", problem }.into());
        }
        config.validate()?;
        Ok(config)
    }

    /// The checkpoint whose sizes the model has, where no preset is named.
    fn sizes_from(&self) -> Option<&str> {
        let name = self.init.checkpoint.as_deref().filter(|name| !name.is_empty());
        name.filter(|_| self.model.preset.is_none())
    }

    fn base(&self) -> Result<M3aeConfig, TrainError> {
        if let Some(name) = self.sizes_from() {
            return Ok(find_config(&Checkpoint::open(&resolve(name)?)?)?);
        }
        let preset = self.model.preset.as_deref().unwrap_or("base");
        M3aeConfig::preset(preset).ok_or_else(|| {
            let problem = format!("there is no preset `{preset}`; choose `base` or `small`");
            RunConfigError::Value { key: "model.preset", problem }.into()
        })
    }
}

/// A new text encoder is made for its tokenizer.
fn fit(config: &mut M3aeConfig, tokenizer: &Tokenizer) {
    config.text.vocab_size = tokenizer.vocab_size();
    config.text.pad_id = tokenizer.specials().pad as usize;
    match tokenizer.family() {
        Family::Roberta => config.text.family = TextFamily::Roberta,
        Family::Bert => {
            config.text.family = TextFamily::Bert;
            // BERT's own settings where they differ from RoBERTa's.
            (config.text.epsilon, config.text.type_vocab) = (1e-12, 2);
            config.text.max_positions = config.text.max_positions.min(512);
        }
    }
}
