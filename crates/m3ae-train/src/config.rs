//! A run's recipe: TOML, strict, with `--set key=value` on top. Every field is documented where it is declared, and checked
//! before anything starts.

use std::fs;
use std::path::{Path, PathBuf};

use m3ae_masking::{TextMaskConfig, Unit};
use m3ae_model::M3aeConfig;
use m3ae_phantom::PhantomConfig;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::objectives::ObjectiveWeights;
use crate::optimizer::AdamWConfig;
use crate::schedule::{Decay, Schedule};

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

/// Name, place and seed of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// Folder name under `directory`.
    pub name: String,
    /// Where runs are kept.
    #[serde(default = "default_directory")]
    pub directory: PathBuf,
    /// Every random draw follows from it.
    #[serde(default)]
    pub seed: u64,
}

fn default_directory() -> PathBuf {
    "runs".into()
}

/// A preset, with sizes to change. The vocabulary comes from the tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// `base` or `small`.
    pub preset: String,
    /// Image side S in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Patch side P in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_size: Option<usize>,
    /// Vision width (heads are width / 64).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision_width: Option<usize>,
    /// Vision blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision_layers: Option<usize>,
    /// Text width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_width: Option<usize>,
    /// Text layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_layers: Option<usize>,
    /// Fusion width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Fusion layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion_layers: Option<usize>,
    /// Fusion layer whose input masked image modelling reads; -1 for the last state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mim_layer: Option<i64>,
    /// Whether masked image modelling predicts patches normalised by their own mean and variance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_pix_loss: Option<bool>,
    /// Dropout of text encoder and fusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

/// Weights to start from: files, folders, or `owner/name` in the Hugging Face cache. Empty or absent: random weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InitSection {
    /// CLIP (or Swin) for the vision encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<String>,
    /// RoBERTa or BERT for the text encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A whole M3AE model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// Where images and captions come from: exactly one of `roco` and `phantom`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// A folder in ROCO's layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roco: Option<PathBuf>,
    /// A folder for the synthetic set, made there if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phantom: Option<PathBuf>,
    /// Stop when more than this share of the samples cannot be used.
    #[serde(default = "default_skipped")]
    pub max_skipped_share: f64,
    /// Threads that decode images ahead; changes no batch.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// MiB of transformed images kept in memory; changes no batch.
    #[serde(default = "default_cache")]
    pub cache_mib: usize,
}

fn default_skipped() -> f64 {
    0.01
}
fn default_workers() -> usize {
    1
}
fn default_cache() -> usize {
    512
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextSection {
    /// Folder or file of the tokenizer; the synthetic set brings its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Longest text in tokens, start and end included.
    pub max_length: usize,
}

impl Default for TextSection {
    fn default() -> Self {
        Self { tokenizer: None, max_length: 64 }
    }
}

/// What is hidden from the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskingSection {
    /// Share of an image's patches that is removed.
    pub image_ratio: f64,
    /// Share of a caption's tokens that is chosen.
    pub text_probability: f64,
    /// Whether whole words are masked. The published RoBERTa runs mask single tokens (spec 2).
    pub whole_words: bool,
}

impl Default for MaskingSection {
    fn default() -> Self {
        Self { image_ratio: 0.75, text_probability: 0.15, whole_words: false }
    }
}

/// How much each objective counts in the sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectivesSection {
    /// Masked language modelling.
    pub mlm: f64,
    /// Masked image modelling.
    pub mim: f64,
    /// Image-text matching.
    pub itm: f64,
}

impl Default for ObjectivesSection {
    fn default() -> Self {
        Self { mlm: 1.0, mim: 1.0, itm: 1.0 }
    }
}

/// Steps, batches, learning rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSection {
    /// Samples per forward pass.
    pub batch_size: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Batches whose gradients are averaged per optimiser step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Multiplier of the heads' rate.
    #[serde(default = "five")]
    pub lr_multiplier_head: f64,
    /// Multiplier of the fusion's rate.
    #[serde(default = "five")]
    pub lr_multiplier_multi_modal: f64,
    /// Decoupled weight decay.
    #[serde(default = "default_decay")]
    pub weight_decay: f64,
    /// Warm-up: a share of the steps below 1, else a number of steps.
    #[serde(default = "default_warmup")]
    pub warmup: f64,
    /// Curve after warm-up, `polynomial` or `cosine`.
    #[serde(default)]
    pub decay: Decay,
    /// Power of the polynomial decay.
    #[serde(default = "default_power")]
    pub decay_power: f64,
    /// Learning rate at the end.
    #[serde(default)]
    pub end_learning_rate: f64,
}

fn one() -> usize {
    1
}
fn five() -> f64 {
    5.0
}
fn default_decay() -> f64 {
    0.01
}
fn default_warmup() -> f64 {
    0.1
}
fn default_power() -> f64 {
    1.0
}

/// Validation and what is written on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Steps between lines of metrics.
    pub every: usize,
    /// Steps between validations; the first and last step are always validated.
    pub validate_every: usize,
    /// Validation samples at most.
    pub validation_samples: usize,
    /// Validation images in the picture of reconstructions.
    pub pictures: usize,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { every: 10, validate_every: 1000, validation_samples: 1000, pictures: 8 }
    }
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

/// Applies one `a.b.c=value`. The value is TOML where it parses as such, else a string.
fn set(table: &mut toml::Table, option: &str) -> Result<(), RunConfigError> {
    let failed =
        |problem: &str| RunConfigError::Parse { origin: format!("--set {option}"), problem: problem.to_owned() };
    let (key, value) = option.split_once('=').ok_or_else(|| failed("expected key=value, like train.steps=100"))?;
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("value = {value}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| value.into());
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().filter(|last| !last.is_empty()).ok_or_else(|| failed("the key is empty"))?;
    let mut table = table;
    for piece in path {
        let entry = table.entry(piece).or_insert_with(|| toml::Table::new().into());
        table = entry.as_table_mut().ok_or_else(|| failed(&format!("`{piece}` is a value, not a section")))?;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let Some((_, tail)) = message.rsplit_once("unknown field") else { return message.to_owned() };
    let mut quoted = tail.split('`').skip(1).step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let alike = |name: &str| strsim::jaro_winkler(unknown, name);
    match quoted.filter(|name| alike(name) > 0.75).max_by(|a, b| alike(a).total_cmp(&alike(b))) {
        Some(name) => format!("{message}\ndid you mean `{name}`?"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "
[run]
name = 'a'
[model]
preset = 'small'
[data]
phantom = 'datasets/phantom'
[train]
batch_size = 4
steps = 10
learning_rate = 1e-3
";

    fn error(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|&s| s.to_owned()).collect();
        RunConfig::parse(text, "test.toml", &overrides).unwrap_err().to_string()
    }

    #[test]
    fn a_resolved_recipe_reads_back_to_itself() {
        let config = RunConfig::parse(MINIMAL, "test.toml", &["train.steps=20".into(), "run.name=b".into()]).unwrap();
        assert_eq!((config.train.steps, config.run.name.as_str()), (20, "b"));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(RunConfig::parse(&text, "again", &[]).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line_and_a_suggestion() {
        let message = error(&MINIMAL.replace("learning_rate", "learnig_rate"), &[]);
        assert!(message.contains("did you mean `learning_rate`?"), "{message}");
        assert!(message.contains("line 11"), "{message}");
        let message = error(MINIMAL, &["train.step=3"]);
        assert!(message.contains("did you mean `steps`?"), "{message}");
    }

    #[test]
    fn set_takes_paths_numbers_and_words() {
        let text = MINIMAL.replace("phantom = 'datasets/phantom'", "");
        let overrides =
            ["data.roco=../roco".to_owned(), "text.tokenizer=tok".into(), "masking.whole_words=true".into()];
        let config = RunConfig::parse(&text, "t", &overrides).unwrap();
        assert_eq!(config.data.roco, Some("../roco".into()));
        assert!(config.masking.whole_words);
        assert!(error(MINIMAL, &["train"]).contains("expected key=value"));
        assert!(error(MINIMAL, &["run.name.x=1"]).contains("is a value, not a section"));
    }

    #[test]
    fn impossible_values_name_their_key() {
        for (option, key) in [
            ("train.batch_size=1", "train.batch_size"),
            ("train.steps=0", "train.steps"),
            ("train.learning_rate=nan", "train.learning_rate"),
            ("train.warmup=11", "train.warmup"),
            ("data.max_skipped_share=2.0", "data.max_skipped_share"),
            ("run.name=a/b", "run.name"),
            ("data.roco=x", "data"),
        ] {
            let message = error(MINIMAL, &[option]);
            assert!(message.starts_with(&format!("{key}:")), "{option}: {message}");
        }
    }

    #[test]
    fn warm_up_is_a_share_below_one_and_steps_from_one_on() {
        let warmup =
            |value: &str| RunConfig::parse(MINIMAL, "t", &[format!("train.warmup={value}")]).unwrap().schedule().warmup;
        assert_eq!((warmup("0.25"), warmup("3.0"), warmup("0.0")), (2, 3, 0));
    }
}
