//! A run's recipe: TOML, strict, with `--set key=value` on top. Every field is documented where it is declared, and
//! checked before anything starts.

mod check;
mod initial;
mod model;
mod parse;
mod sections;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use m3ae_masking::{TextMaskConfig, Unit};
use m3ae_phantom::PhantomConfig;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::optim::{AdamWConfig, Schedule};
use parse::{line_of, set, shorten, with_suggestion};

pub(crate) use initial::{InitialWeights, draw_weights};
pub use model::ModelSection;
pub(crate) use model::{Sizes, model_config, rename_former};
pub(crate) use sections::PRETRAINING;
pub use sections::{
    AllReduce, CheckpointSection, DataSection, FalseImages, InitSection, LogSection, MaskingSection, ObjectivesSection,
    OnFailure, RunSection, TaskSection, TextSection, TrainSection,
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
        key: Cow<'static, str>,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl RunConfigError {
    /// A value that makes no sense, at a key as `--set` takes it.
    pub fn value(key: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self::Value { key: key.into(), problem: problem.into() }
    }
}

/// A whole recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name, place and seed of the run.
    pub run: RunSection,
    /// What the model is trained for.
    #[serde(default)]
    pub task: TaskSection,
    /// The model.
    #[serde(default)]
    pub model: ModelSection,
    /// Weights to start from.
    #[serde(default)]
    pub init: InitSection,
    /// Where images and texts come from.
    #[serde(default)]
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
    /// Saving and resuming.
    #[serde(default)]
    pub checkpoint: CheckpointSection,
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
            problem: shorten(with_suggestion(&error.to_string())),
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
        match config.validate() {
            Ok(()) => Ok(config),
            Err(RunConfigError::Value { key, problem }) => {
                let is_set = overrides.iter().any(|option| option.trim_start().starts_with(&*key));
                let line = if is_set { None } else { line_of(text, &key) };
                let place = line.map(|line| format!(" ({origin}, line {line})")).unwrap_or_default();
                Err(RunConfigError::Value { key, problem: problem + &place })
            }
            Err(error) => Err(error),
        }
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

    /// The learning rate over `steps` optimiser steps.
    #[must_use]
    pub fn schedule(&self, steps: usize) -> Schedule {
        let TrainSection { warmup, .. } = self.train;
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

    /// How captions are masked.
    #[must_use]
    pub fn text_mask(&self) -> TextMaskConfig {
        let unit = if self.masking.whole_words { Unit::WholeWord } else { Unit::Token };
        TextMaskConfig { probability: self.masking.text_probability, unit, ..TextMaskConfig::default() }
    }

    /// The resolved recipe as TOML.
    ///
    /// # Errors
    /// Never for a recipe that was parsed.
    pub fn to_toml(&self) -> Result<String, RunConfigError> {
        toml::to_string_pretty(self)
            .map_err(|error| RunConfigError::Parse { origin: "the resolved recipe".into(), problem: error.to_string() })
    }

    /// Where the run is kept.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.run.directory.join(&self.run.name)
    }
}
