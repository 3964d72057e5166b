//! A run's recipe: TOML, strict, with `--set key=value` on top. Every field is documented where it is declared, and checked
//! before anything starts.

mod parse;
mod sections;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use m3ae_masking::{TextMaskConfig, Unit};
use m3ae_model::M3aeConfig;
use m3ae_phantom::PhantomConfig;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::objectives::ObjectiveWeights;
use crate::optimizer::AdamWConfig;
use crate::schedule::Schedule;
use parse::{set, with_suggestion};
pub use sections::{
    DataSection, InitSection, LogSection, MaskingSection, ModelSection, ObjectivesSection, RunSection, TextSection,
    TrainSection,
};

/// What is wrong with a recipe.
#[derive(Debug, Error)]
pub enum RunConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The recipe.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key or a value of the wrong type.
    #[error("{origin}: {problem}")]
    Parse {
        /// The file, or the `--set` option.
        origin: String,
        /// What is wrong, with a suggestion where there is one.
        problem: String,
    },
    /// A value that makes no sense.
    #[error("{key}: {problem}")]
    Value {
        /// The key's path, as `--set` takes it.
        key: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// A whole recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name, place and seed of the run.
    pub run: RunSection,
    /// The model.
    pub model: ModelSection,
    /// Weights to start from.
    #[serde(default)]
    pub init: InitSection,
    /// Where images and captions come from.
    pub data: DataSection,
    /// Sizes of the synthetic set, where `data.phantom` is used.
    #[serde(default)]
    pub phantom: PhantomConfig,
    /// Tokens.
    #[serde(default)]
    pub text: TextSection,
    /// What is hidden from the model.
    #[serde(default)]
    pub masking: MaskingSection,
    /// How much each objective counts.
    #[serde(default)]
    pub objectives: ObjectivesSection,
    /// Steps, batches, learning rates.
    pub train: TrainSection,
    /// Validation and what is written on the way.
    #[serde(default)]
    pub log: LogSection,
}

impl RunConfig {
    /// Reads a recipe, applies `key=value` overrides in order, and checks it.
    ///
    /// # Errors
    /// An unreadable file, a syntax error, an unknown key (with a suggestion), or a value that makes no sense.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RunConfigError> {
        let text = fs::read_to_string(path).map_err(|source| RunConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string(), overrides)
    }

    /// As [`load`](Self::load), from a text whose `origin` messages name.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RunConfigError> {
        let failed = |origin: &str, error: toml::de::Error| RunConfigError::Parse {
            origin: origin.to_owned(),
            problem: with_suggestion(&error.to_string()),
        };
        let mut table: toml::Table = toml::from_str(text).map_err(|error| failed(origin, error))?;
        for option in overrides {
            set(&mut table, option)?;
        }
        let config: Self = if overrides.is_empty() {
            toml::from_str(text).map_err(|error| failed(origin, error))? // This error shows the line.
        } else {
            table.try_into().map_err(|error| failed(&format!("{origin} with --set"), error))?
        };
        config.validate()?;
        Ok(config)
    }

    /// The model's configuration for a tokenizer with this vocabulary.
    ///
    /// # Errors
    /// An unknown preset or sizes that no model can have.
    pub fn model_config(&self, tokenizer: &m3ae_text::Tokenizer) -> Result<M3aeConfig, crate::TrainError> {
        let section = &self.model;
        let mut config = M3aeConfig::preset(&section.preset).ok_or_else(|| RunConfigError::Value {
            key: "model.preset",
            problem: format!("there is no preset `{}`; choose `base` or `small`", section.preset),
        })?;
        let replace = |field: &mut usize, value: Option<usize>| *field = value.unwrap_or(*field);
        replace(&mut config.vision.image_size, section.image_size);
        replace(&mut config.vision.patch_size, section.patch_size);
        replace(&mut config.vision.width, section.vision_width);
        replace(&mut config.vision.layers, section.vision_layers);
        replace(&mut config.text.width, section.text_width);
        replace(&mut config.text.layers, section.text_layers);
        replace(&mut config.fusion.width, section.width);
        replace(&mut config.fusion.layers, section.fusion_layers);
        config.text.intermediate = 4 * config.text.width;
        if let Some(layer) = section.mim_layer {
            config.mim.layer = usize::try_from(layer).ok();
        }
        config.mim.norm_pix_loss = section.norm_pix_loss.unwrap_or(config.mim.norm_pix_loss);
        if let Some(dropout) = section.dropout {
            (config.text.dropout, config.fusion.dropout) = (dropout, dropout);
        }
        config.text.vocab_size = tokenizer.vocab_size();
        config.text.pad_id = tokenizer.specials().pad as usize;
        match tokenizer.family() {
            m3ae_text::Family::Roberta => config.text.family = m3ae_model::TextFamily::Roberta,
            m3ae_text::Family::Bert => {
                config.text.family = m3ae_model::TextFamily::Bert;
                // BERT's own settings where they differ from RoBERTa's.
                (config.text.epsilon, config.text.type_vocab) = (1e-12, 2);
                config.text.max_positions = config.text.max_positions.min(512);
            }
        }
        if self.text.max_length > config.text.max_length() {
            let problem = format!(
                "{} is more than the position table allows, {}",
                self.text.max_length,
                config.text.max_length()
            );
            return Err(RunConfigError::Value { key: "text.max_length", problem }.into());
        }
        config.validate()?;
        Ok(config)
    }

    /// The optimiser's constants.
    #[must_use]
    pub fn optimizer(&self) -> AdamWConfig {
        AdamWConfig {
            lr_multiplier_head: self.train.lr_multiplier_head,
            lr_multiplier_multi_modal: self.train.lr_multiplier_multi_modal,
            weight_decay: self.train.weight_decay,
            ..AdamWConfig::published(self.train.learning_rate)
        }
    }

    /// The learning rate over optimiser steps.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let TrainSection { steps, warmup, .. } = self.train;
        // A share is truncated to whole steps, as the reference does.
        let warmup = if warmup < 1.0 { warmup * steps as f64 } else { warmup };
        Schedule {
            base: self.train.learning_rate,
            end: self.train.end_learning_rate,
            warmup: warmup as usize,
            total: steps,
            decay: self.train.decay,
            power: self.train.decay_power,
        }
    }

    /// The objectives' weights.
    #[must_use]
    pub fn weights(&self) -> ObjectiveWeights {
        ObjectiveWeights { mlm: self.objectives.mlm, mim: self.objectives.mim, itm: self.objectives.itm }
    }

    /// How captions are masked.
    #[must_use]
    pub fn text_mask(&self) -> TextMaskConfig {
        let unit = if self.masking.whole_words { Unit::WholeWord } else { Unit::Token };
        TextMaskConfig { probability: self.masking.text_probability, unit, ..TextMaskConfig::default() }
    }

    /// Where the run is kept.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.run.directory.join(&self.run.name)
    }

    fn validate(&self) -> Result<(), RunConfigError> {
        let wrong = |key, problem: String| Err(RunConfigError::Value { key, problem });
        let name = &self.run.name;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return wrong("run.name", format!("`{name}` cannot be a folder's name"));
        }
        match (&self.data.roco, &self.data.phantom) {
            (Some(_), Some(_)) => return wrong("data", "both `roco` and `phantom` are given; keep one".into()),
            (None, None) => {
                let problem =
                    "no data set is given: --set data.roco=<folder in ROCO's layout>, or --set data.phantom=<folder>";
                return wrong("data", problem.into());
            }
            (Some(_), None) if self.text.tokenizer.is_none() => {
                let problem = "is missing: a folder with vocab.json and merges.txt, tokenizer.json, or vocab.txt";
                return wrong("text.tokenizer", problem.into());
            }
            _ => {}
        }
        for (key, value, least) in [
            ("train.batch_size", self.train.batch_size, 2), // Image-text matching needs a matched and an unmatched pair.
            ("train.steps", self.train.steps, 1),
            ("train.accumulate", self.train.accumulate, 1),
            ("text.max_length", self.text.max_length, 3),
            ("log.every", self.log.every, 1),
            ("log.validate_every", self.log.validate_every, 1),
            ("log.validation_samples", self.log.validation_samples, 1),
        ] {
            if value < least {
                return wrong(key, format!("{value} is too small; it must be at least {least}"));
            }
        }
        let train = &self.train;
        for (key, value, low, high) in [
            ("train.learning_rate", train.learning_rate, f64::MIN_POSITIVE, 1.0),
            ("train.end_learning_rate", train.end_learning_rate, 0.0, train.learning_rate),
            ("train.lr_multiplier_head", train.lr_multiplier_head, 0.0, 1e6),
            ("train.lr_multiplier_multi_modal", train.lr_multiplier_multi_modal, 0.0, 1e6),
            ("train.weight_decay", train.weight_decay, 0.0, 1.0),
            ("train.warmup", train.warmup, 0.0, train.steps as f64),
            ("train.decay_power", train.decay_power, 0.0, 100.0),
            ("data.max_skipped_share", self.data.max_skipped_share, 0.0, 1.0),
            ("objectives.mlm", self.objectives.mlm, 0.0, 1e6),
            ("objectives.mim", self.objectives.mim, 0.0, 1e6),
            ("objectives.itm", self.objectives.itm, 0.0, 1e6),
        ] {
            if !(low..=high).contains(&value) {
                return wrong(key, format!("{value} is not between {low} and {high}"));
            }
        }
        Ok(())
    }
}
