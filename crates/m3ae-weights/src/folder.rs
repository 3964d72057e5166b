//! A model folder: everything needed to use a model, in one place.
//!
//! ```text
//! config.json         {"format": "m3ae", "version": 1, "model": {…}, "max_length": 32}: the model's configuration and,
//!                     if known, the longest text that it was trained with
//! model.safetensors   the weights, under the reference's names
//! tokenizer.json      Hugging Face tokenizer (if given)
//! answers.json        ["yes", "no", …]: the answers of the question-answering head, in its order (if it has one)
//! ```

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use m3ae_files::NewFolder;
use m3ae_model::{M3ae, M3aeConfig};
use serde::Serialize;
use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::export::{state_dict, write_tensors};
use crate::load::load;
use crate::locate::locate;
use crate::report::LoadReport;
use crate::settings::read_settings;

/// The configuration.
pub const CONFIG_FILE: &str = "config.json";
/// The weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The answers of the question-answering head.
pub const ANSWERS_FILE: &str = "answers.json";

/// What marks a `config.json` as ours.
const FORMAT: &str = "m3ae";
/// The version of the folder's layout.
const VERSION: u64 = 1;

/// What goes into a folder beside configuration and weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// A `tokenizer.json`, or a folder that holds one.
    pub tokenizer: Option<PathBuf>,
    /// The answers of the question-answering head, in the order of its classes.
    pub answers: Option<Vec<String>>,
    /// The longest text that the model was trained with, in tokens, start and end included.
    pub max_length: Option<usize>,
}

/// Writes a self-sufficient model folder at `out`, which must not exist yet. It appears whole or not at all.
///
/// The weights are as [`save`](crate::save) writes them: complete for the reference's strict loading of the parts it
/// computes with.
///
/// # Errors
/// `out` exists, the number of answers is not that of the question-answering head, there is no tokenizer where one is
/// said to be, or something cannot be read or written.
pub fn export_folder(model: &M3ae, config: &M3aeConfig, extras: &Extras, out: &Path) -> Result<(), WeightsError> {
    if out.symlink_metadata().is_ok() {
        return Err(WeightsError::Exists { path: out.to_owned() });
    }
    m3ae_files::write_folder(out, |folder| write_folder(model, config, extras, folder))
}

/// Writes a model folder's files into a folder that the caller makes, for callers that add files of their own.
///
/// # Errors
/// As [`export_folder`].
pub fn write_folder(
    model: &M3ae,
    config: &M3aeConfig,
    extras: &Extras,
    folder: &mut NewFolder,
) -> Result<(), WeightsError> {
    check_answers(folder.path(), config, extras.answers.as_deref())?;
    if let Some(tokenizer) = &extras.tokenizer {
        let source = if tokenizer.is_dir() { tokenizer.join(TOKENIZER_FILE) } else { tokenizer.clone() };
        folder.copy(TOKENIZER_FILE, &source)?;
    }
    if let Some(answers) = &extras.answers {
        write_json(folder, ANSWERS_FILE, answers)?;
    }
    let mut settings = json!({ "format": FORMAT, "version": VERSION, "model": config });
    if let Some(length) = extras.max_length {
        settings["max_length"] = length.into();
    }
    write_json(folder, CONFIG_FILE, &settings)?;
    let metadata = [("format", "pt"), ("writer", concat!("m3ae ", env!("CARGO_PKG_VERSION")))];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let path = folder.path().join(WEIGHTS_FILE);
    folder.write_file(WEIGHTS_FILE, |file| write_tensors(state_dict(model), file, &path, metadata))
}

fn write_json(folder: &mut NewFolder, name: &str, value: &impl Serialize) -> Result<(), WeightsError> {
    let text = serde_json::to_vec_pretty(value);
    let text = text.map_err(|error| WeightsError::settings(&folder.path().join(name), error.to_string()))?;
    Ok(folder.write(name, &text)?)
}

fn check_answers(path: &Path, config: &M3aeConfig, answers: Option<&[String]>) -> Result<(), WeightsError> {
    match (config.heads.vqa, answers) {
        (Some(classes), Some(answers)) if classes != answers.len() => {
            let problem = format!("{} answers for a question-answering head of {classes}", answers.len());
            Err(WeightsError::settings(path, problem))
        }
        (None, Some(_)) => Err(WeightsError::settings(path, "answers, but the model has no question-answering head")),
        _ => Ok(()),
    }
}

/// An open model folder.
#[derive(Debug)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The model's configuration.
    pub config: M3aeConfig,
    /// The longest text that the model was trained with, if it is known.
    pub max_length: Option<usize>,
    /// The weights, not read yet.
    pub checkpoint: Checkpoint,
    /// The tokenizer's file, if there is one.
    pub tokenizer: Option<PathBuf>,
    /// The answers of the question-answering head, in the order of its classes, if they are there.
    pub answers: Option<Vec<String>>,
}

impl ModelFolder {
    /// Builds the model with the folder's weights, bit for bit.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, device: &Device) -> Result<(M3ae, LoadReport), WeightsError> {
        let mut model = self.config.init(device)?;
        let report = load(&mut model, &self.checkpoint)?;
        Ok((model, report))
    }
}

/// Opens a folder that [`export_folder`] wrote, or the folder of a training run, whose model is in its subfolder
/// `model`. The weights are read by [`ModelFolder::load`].
///
/// # Errors
/// A file is missing or damaged, the folder is of a later version, or its files contradict each other.
pub fn open_folder(path: &Path) -> Result<ModelFolder, WeightsError> {
    let path = locate(path)?;
    let config_path = path.join(CONFIG_FILE);
    let FolderSettings { config, max_length } = folder_settings(&config_path)?.ok_or_else(|| {
        let problem = format!("is not there or not of an exported model: `\"format\": \"{FORMAT}\"` marks those");
        WeightsError::settings(&config_path, problem)
    })?;
    let answers_path = path.join(ANSWERS_FILE);
    let answers: Option<Vec<String>> = answers_path.is_file().then(|| read_settings(&answers_path)).transpose()?;
    check_answers(&answers_path, &config, answers.as_deref())?;
    let tokenizer = Some(path.join(TOKENIZER_FILE)).filter(|path| path.is_file());
    let checkpoint = Checkpoint::open(&path.join(WEIGHTS_FILE))?;
    Ok(ModelFolder { path, config, max_length, checkpoint, tokenizer, answers })
}

/// What an exported folder's `config.json` says.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderSettings {
    /// The model's configuration.
    pub config: M3aeConfig,
    /// The longest text that the model was trained with, in tokens, if it is known.
    pub max_length: Option<usize>,
}

/// Reads an exported folder's `config.json`; `None` if the file is not there or is of another kind.
///
/// # Errors
/// The file cannot be read, is of a later version, or describes no model that can be built.
pub fn folder_settings(path: &Path) -> Result<Option<FolderSettings>, WeightsError> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut json: Value = read_settings(path)?;
    if json.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Ok(None);
    }
    let failed = |problem: String| WeightsError::settings(path, problem);
    match json.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(version) => {
            return Err(failed(format!("was written in version {version}; this program reads {VERSION}")));
        }
        None => return Err(failed("has no version".into())),
    }
    let model = json.get_mut("model").map(Value::take).unwrap_or_default();
    let config: M3aeConfig = serde_json::from_value(model).map_err(|error| failed(format!("model: {error}")))?;
    config.validate().map_err(|error| failed(error.to_string()))?;
    let max_length = json.get("max_length").and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
    Ok(Some(FolderSettings { config, max_length }))
}
