//! Checkpoints on disk: a folder that appears whole or not at all.
//!
//! ```text
//! checkpoints/step-000400/
//!     config.json, model.safetensors, tokenizer.json, answers.json    a model folder, as `m3ae-weights` writes it
//!     optimizer.safetensors    AdamW's moments: `first.<parameter>`, `second.<parameter>`
//!     progress.json            where the run stands
//!     recipe.toml              the resolved recipe
//!     manifest.json            format, step, identity, length and BLAKE3 of each file, and the BLAKE3 of all that
//! ```
//!
//! A process that is killed while it writes one leaves a temporary folder, which the next start removes.

mod compare;
mod error;
mod manager;
mod progress;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::prelude::Device;
use m3ae_files::{FileHash, NewFolder, hash_file, replace_folder};
use m3ae_model::{M3ae, M3aeConfig};
use m3ae_weights::{Checkpoint, Extras, load, write_folder};
use serde::{Deserialize, Serialize};

use crate::optim::{AdamW, Moments, read_moments, write_moments};

pub use compare::Difference;
pub(crate) use compare::differences;
pub use error::CheckpointError;
pub(crate) use manager::{CheckpointManager, newest_checkpoint};
pub use progress::{Best, Progress, Window};

/// Version of the folder's layout.
const FORMAT: u32 = 2;
const MANIFEST: &str = "manifest.json";
const PROGRESS: &str = "progress.json";
const RECIPE: &str = "recipe.toml";
const OPTIMIZER: &str = "optimizer.safetensors";

/// The parts of a run that must be the same when it is resumed, beside its recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Hash of the tokenizer.
    pub tokenizer: String,
    /// The answers of the question-answering head.
    pub answers: Option<Vec<String>>,
    /// Hash of the data set's ids, texts and labels.
    pub data: String,
}

/// What a checkpoint says about itself: `manifest.json`.
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
    /// Hash of all the above: without it, a flipped bit in here would pass for other data, or another step. Formats
    /// before 2 had none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    blake3: String,
}

impl Manifest {
    /// The hash of everything but itself.
    fn hash(&self) -> serde_json::Result<String> {
        let rest = Self { blake3: String::new(), ..self.clone() };
        Ok(blake3::hash(&serde_json::to_vec(&rest)?).to_hex().to_string())
    }
}

/// Everything that a checkpoint is written from. Tensors are shared with the run, not copied; they are read when
/// written.
pub(crate) struct Snapshot {
    pub model: M3ae,
    pub config: M3aeConfig,
    /// None for the best weights, from which no run is resumed.
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
    pub(crate) fn write(&self, out: &Path) -> Result<(), CheckpointError> {
        replace_folder(out, |folder| self.fill(folder))
    }

    fn fill(&self, folder: &mut NewFolder) -> Result<(), CheckpointError> {
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
        let mut manifest = Manifest {
            format: FORMAT,
            step: self.progress.step,
            identity: self.identity.clone(),
            files: folder.hashes().clone(),
            blake3: String::new(),
        };
        manifest.blake3 = manifest.hash().map_err(CheckpointError::json(&folder.path().join(MANIFEST)))?;
        write_json(folder, MANIFEST, &manifest)
    }
}

fn write_json(folder: &mut NewFolder, name: &str, value: &impl Serialize) -> Result<(), CheckpointError> {
    let json = serde_json::to_vec_pretty(value).map_err(CheckpointError::json(&folder.path().join(name)))?;
    Ok(folder.write(name, &json)?)
}

/// A checkpoint of a run, whose files are all as they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCheckpoint {
    /// The folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Where the run stood.
    pub progress: Progress,
    /// The run's resolved recipe, TOML.
    pub recipe: String,
}

impl RunCheckpoint {
    /// Reads a checkpoint and compares every file with the manifest.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if it is not as it was written.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::verify(path).map_err(|problem| CheckpointError::Damaged { path: path.to_owned(), problem })
    }

    /// As [`open`](Self::open); the error is the problem alone.
    fn verify(path: &Path) -> Result<Self, String> {
        let manifest = read_text(path, MANIFEST)?;
        let no_manifest = |error| format!("{MANIFEST} is not a manifest: {error}");
        let manifest: Manifest = serde_json::from_str(&manifest).map_err(no_manifest)?;
        if manifest.format != FORMAT {
            return Err(format!("it was written in format {}; this program reads {FORMAT}", manifest.format));
        }
        if manifest.hash().map_err(no_manifest)? != manifest.blake3 {
            return Err(format!("{MANIFEST} is not as it was written"));
        }
        for (name, entry) in &manifest.files {
            let found = hash_file(&path.join(name)).map_err(|error| error.to_string())?;
            if found != *entry {
                return Err(format!("{name} is not as it was written (length {}, was {})", found.bytes, entry.bytes));
            }
        }
        let (progress, recipe) = (read_progress(path)?, read_text(path, RECIPE)?);
        Ok(Self { path: path.to_owned(), manifest, progress, recipe })
    }

    /// Puts the weights into a model of the same configuration, and the moments into an optimiser.
    pub(crate) fn restore(
        &self,
        model: &mut M3ae,
        optimizer: &mut AdamW,
        device: &Device,
    ) -> Result<(), CheckpointError> {
        load(model, &Checkpoint::open(&self.path)?)?;
        optimizer.restore(read_moments(&self.path.join(OPTIMIZER), device)?);
        Ok(())
    }
}

/// Where the run of the checkpoint at `path` stood. The error says what is wrong.
fn read_progress(path: &Path) -> Result<Progress, String> {
    serde_json::from_str(&read_text(path, PROGRESS)?).map_err(|error| format!("{PROGRESS}: {error}"))
}

fn read_text(path: &Path, name: &str) -> Result<String, String> {
    fs::read_to_string(path.join(name)).map_err(|error| format!("{name} cannot be read: {error}"))
}
