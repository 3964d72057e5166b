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
//! The files are written and synced in a folder whose name begins with a dot, which is then renamed, and its parent synced. A
//! process that is killed on the way leaves that folder, and the next start removes it.

mod progress;
mod resume;
mod saver;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use burn::prelude::Device;
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
    pub files: BTreeMap<String, FileEntry>,
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

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3 hash, in hexadecimal.
    pub blake3: String,
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
    /// Writes the checkpoint at `out`; nothing is there but for a complete one.
    pub(crate) fn write(&self, out: &Path) -> Result<(), TrainError> {
        let part = hidden(out, "part");
        remove(&part)?;
        fs::create_dir(&part).map_err(TrainError::io(&part))?;
        let written = self.fill(&part).and_then(|()| {
            if out.exists() {
                // Written before the run was interrupted, and now again.
                retire(out)?;
            }
            fs::rename(&part, out).map_err(TrainError::io(out))?;
            sync_parent(out)
        });
        if written.is_err() {
            // The error that counts is the first one.
            let _ = fs::remove_dir_all(&part);
        }
        written
    }

    fn fill(&self, folder: &Path) -> Result<(), TrainError> {
        let extras = Extras {
            tokenizer: Some(self.tokenizer.clone()),
            answers: self.identity.answers.clone(),
            max_length: Some(self.max_length),
        };
        write_folder(&self.model, &self.config, &extras, folder)?;
        if let Some(moments) = &self.moments {
            write_moments(moments, &folder.join(OPTIMIZER))?;
        }
        write_json(&folder.join(PROGRESS), &self.progress)?;
        write_synced(&folder.join(RECIPE), self.recipe.as_bytes())?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(TrainError::io(folder))? {
            let path = entry.map_err(TrainError::io(folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, hash(&path).map_err(TrainError::io(&path))?);
        }
        let manifest = Manifest { format: FORMAT, step: self.progress.step, identity: self.identity.clone(), files };
        let path = folder.join(MANIFEST);
        let blake3 = manifest.hash().map_err(io::Error::from).map_err(TrainError::io(&path))?;
        write_json(&path, &Sealed { manifest, blake3 })?;
        sync_parent(&path)
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
            let found = hash(&path.join(name)).map_err(|error| format!("{name} cannot be read: {error}"))?;
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

/// Removes a checkpoint so that no half of it is ever seen.
pub(crate) fn retire(path: &Path) -> Result<(), TrainError> {
    let old = hidden(path, "old");
    remove(&old)?;
    fs::rename(path, &old).map_err(TrainError::io(path))?;
    remove(&old)
}

/// Removes what killed processes left unfinished.
pub(crate) fn clean(folder: &Path) -> Result<(), TrainError> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && (name.ends_with(".part") || name.ends_with(".old")) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TrainError::io(folder)(error)),
        _ => Ok(()),
    }
}

/// `step-000400` -> `.step-000400.part`
fn hidden(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!(".{}.{ending}", path.file_name().unwrap_or_default().to_string_lossy()))
}

fn hash(path: &Path) -> io::Result<FileEntry> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    Ok(FileEntry { bytes, blake3: hasher.finalize().to_hex().to_string() })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let json = serde_json::to_vec_pretty(value).map_err(io::Error::from).map_err(TrainError::io(path))?;
    write_synced(path, &json)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut file = File::create(path).map_err(TrainError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(TrainError::io(path))
}

/// Waits until a file's entry in its folder is on disk, where the system can say so.
fn sync_parent(path: &Path) -> Result<(), TrainError> {
    match path.parent() {
        Some(parent) if cfg!(unix) => {
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(TrainError::io(parent))
        }
        _ => Ok(()),
    }
}
