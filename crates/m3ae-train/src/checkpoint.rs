//! Checkpoints on disk: a folder that appears whole or not at all.
//!
//! ```text
//! checkpoints/step-000400/
//!     config.json, model.safetensors, tokenizer.json, answers.json    a model folder, as `m3ae-weights` writes and opens it
//!     optimizer.safetensors                                          AdamW's moments: `first.<parameter>`, `second.<parameter>`
//!     progress.json                                                  where the run stands
//!     recipe.toml                                                    the resolved recipe
//!     manifest.json                                                  format, step, identity, length and BLAKE3 of each file, and of all that
//! ```
//!
//! A process that is killed while it writes one leaves a temporary folder, which the next start removes.

mod progress;
mod resume;
mod saver;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::prelude::Device;
use m3ae_files::{FileHash, NewFolder, hash_file, replace_folder};
use m3ae_model::{M3ae, M3aeConfig};
use m3ae_weights::{Checkpoint, Extras, load, write_folder};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::optim::{AdamW, Moments, read_moments, write_moments};
pub use progress::{Best, Progress, Window};
pub(crate) use resume::differences;
pub use resume::{Difference, Found, find_checkpoint};
use saver::CHECKPOINTS;
pub(crate) use saver::Saver;

/// Version of the folder's layout.
const FORMAT: u32 = 2;
const MANIFEST: &str = "manifest.json";
const PROGRESS: &str = "progress.json";
const RECIPE: &str = "recipe.toml";
const OPTIMIZER: &str = "optimizer.safetensors";

/// What must be the same when a run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Hash of the tokenizer.
    pub tokenizer: String,
    /// The answers of the question-answering head.
    pub answers: Option<Vec<String>>,
    /// Hash of the data set's ids, texts and labels.
    pub data: String,
}

/// What a checkpoint says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the folder's layout.
    pub format: u32,
    /// Optimiser steps done.
    pub step: usize,
    /// Data, tokenizer and answers that it belongs to.
    pub identity: Identity,
    /// Each file's length and hash.
    pub files: BTreeMap<String, FileHash>,
}

impl Manifest {
    /// Hash of all it says. Without it a flipped bit in here would pass for other data, or another step.
    fn hash(&self) -> serde_json::Result<String> {
        Ok(blake3::hash(&serde_json::to_vec(self)?).to_hex().to_string())
    }
}

/// The manifest's file.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    manifest: Manifest,
    /// [`Manifest::hash`]; formats before 2 had none.
    #[serde(default)]
    blake3: String,
}

/// Everything a checkpoint is written from. Tensors are shared with the run, not copied; they are read when written.
pub(crate) struct Snapshot {
    pub model: M3ae,
    pub config: M3aeConfig,
    /// None for the best weights, which nothing goes on from.
    pub moments: Option<BTreeMap<String, Moments>>,
    pub progress: Progress,
    pub recipe: String,
    pub identity: Identity,
    /// The tokenizer's file.
    pub tokenizer: PathBuf,
    /// Longest text in tokens.
    pub max_length: usize,
}

impl Snapshot {
    /// Writes the checkpoint at `out`, in the place of one that was written before the run was interrupted.
    pub(crate) fn write(&self, out: &Path) -> Result<(), TrainError> {
        replace_folder(out, |folder| self.fill(folder))
    }

    fn fill(&self, folder: &mut NewFolder) -> Result<(), TrainError> {
        let extras = Extras {
            tokenizer: Some(self.tokenizer.clone()),
            answers: self.identity.answers.clone(),
            max_length: Some(self.max_length),
        };
        write_folder(&self.model, &self.config, &extras, folder)?;
        if let Some(moments) = &self.moments {
            let path = folder.path().join(OPTIMIZER);
            folder.write_file(OPTIMIZER, |file| write_moments(moments, file, &path))?;
        }
        write_json(folder, PROGRESS, &self.progress)?;
        folder.write(RECIPE, self.recipe.as_bytes())?;
        let files = folder.hashes().clone();
        let manifest = Manifest { format: FORMAT, step: self.progress.step, identity: self.identity.clone(), files };
        let path = folder.path().join(MANIFEST);
        let blake3 = manifest.hash().map_err(io::Error::from).map_err(TrainError::io(&path))?;
        write_json(folder, MANIFEST, &Sealed { manifest, blake3 })
    }
}

/// A checkpoint whose files are all as they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Where the run stood.
    pub progress: Progress,
    /// The recipe it was run by.
    pub recipe: String,
}

impl Verified {
    /// Reads a checkpoint and compares every file with the manifest.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence's words.
    pub fn open(path: &Path) -> Result<Self, String> {
        let text =
            |name: &str| fs::read_to_string(path.join(name)).map_err(|error| format!("{name} cannot be read: {error}"));
        let no_manifest = |error| format!("{MANIFEST} is not one: {error}");
        let Sealed { manifest, blake3 } = serde_json::from_str(&text(MANIFEST)?).map_err(no_manifest)?;
        if manifest.format != FORMAT {
            return Err(format!("it was written in format {}; this program reads {FORMAT}", manifest.format));
        }
        if manifest.hash().map_err(no_manifest)? != blake3 {
            return Err(format!("{MANIFEST} is not what was written"));
        }
        for (name, entry) in &manifest.files {
            let found = hash_file(&path.join(name)).map_err(|error| error.to_string())?;
            if found != *entry {
                return Err(format!("{name} is not what was written (length {}, was {})", found.bytes, entry.bytes));
            }
        }
        let progress = serde_json::from_str(&text(PROGRESS)?).map_err(|error| format!("{PROGRESS}: {error}"))?;
        Ok(Self { path: path.to_owned(), manifest, progress, recipe: text(RECIPE)? })
    }

    /// Puts the weights into a model of the same configuration, and the moments into an optimiser.
    pub(crate) fn restore(&self, model: &mut M3ae, optimizer: &mut AdamW, device: &Device) -> Result<(), TrainError> {
        load(model, &Checkpoint::open(&self.path)?)?;
        optimizer.restore(read_moments(&self.path.join(OPTIMIZER), device)?);
        Ok(())
    }
}

/// The checkpoints of a kind (`step` or `best`) in a folder, newest first.
pub(crate) fn list(folder: &Path, kind: &str) -> Vec<(usize, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let step = name.strip_prefix(kind)?.strip_prefix('-')?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// A checkpoint's path.
pub(crate) fn path_of(folder: &Path, kind: &str, step: usize) -> PathBuf {
    folder.join(format!("{kind}-{step:06}"))
}

fn write_json(folder: &mut NewFolder, name: &str, value: &impl Serialize) -> Result<(), TrainError> {
    let json = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    Ok(folder.write(name, &json.map_err(TrainError::io(&folder.path().join(name)))?)?)
}
