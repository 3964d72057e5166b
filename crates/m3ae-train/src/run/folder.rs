//! A run's folder: `<directory>/<name>/` with everything the run leaves behind.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use m3ae_files::{FilesError, Lock, clear_leftovers, remove_folder};
use serde::Serialize;

use crate::checkpoint::{CheckpointError, Progress, RunCheckpoint, newest_checkpoint};
use crate::error::RunFolderError;
use crate::recipe::RunConfig;

/// The resolved recipe.
const RECIPE: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
/// Samples that were left out, a line each.
pub(crate) const SKIPPED: &str = "skipped.txt";
const LOCK: &str = ".lock";

/// The folder of a run. Only one process has it open at a time.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    /// Length of `metrics.jsonl`.
    metrics_bytes: u64,
    _lock: Lock,
}

impl RunFolder {
    /// Makes the folder of `config`.
    ///
    /// # Errors
    /// The folder holds a run already (unless `overwrite`, which removes it), holds something else, or cannot be
    /// written.
    pub fn create(config: &RunConfig, overwrite: bool) -> Result<Self, RunFolderError> {
        let path = config.folder();
        Self::check_free(config, overwrite)?;
        if is_occupied(&path) {
            // A run that another process is training is not removed.
            drop(lock(&path)?);
            remove_folder(&path)?;
        }
        Self::open(path)
    }

    /// Whether [`create`](Self::create) would find its place free: to be asked before long work.
    ///
    /// # Errors
    /// The folder holds something that would not be removed.
    pub fn check_free(config: &RunConfig, overwrite: bool) -> Result<(), RunFolderError> {
        let path = config.folder();
        match (is_occupied(&path), path.join(RECIPE).is_file()) {
            (false, _) => Ok(()),
            // Only a run is removed: a mistyped directory must not be lost.
            (true, true) if overwrite => Ok(()),
            (true, true) => Err(RunFolderError::Exists { path }),
            (true, false) => Err(RunFolderError::Foreign { path }),
        }
    }

    /// Opens the folder of `config` to resume the run in it; makes it if it is not there. What killed processes left
    /// half-written is removed. Nothing else changes until the run begins.
    ///
    /// # Errors
    /// The folder cannot be written, holds something that is not a run, or another process trains in it.
    pub fn reopen(config: &RunConfig) -> Result<Self, RunFolderError> {
        let path = config.folder();
        if is_occupied(&path) && !path.join(RECIPE).is_file() {
            return Err(RunFolderError::Foreign { path });
        }
        Self::open(path)
    }

    fn open(path: PathBuf) -> Result<Self, RunFolderError> {
        fs::create_dir_all(&path).map_err(FilesError::io("create", &path))?;
        let lock = lock(&path)?;
        // Of an export that was killed, and of a run that was being removed.
        clear_leftovers(&path)?;
        path.parent().map_or(Ok(Vec::new()), clear_leftovers)?;
        let metrics_path = path.join(METRICS);
        let metrics = OpenOptions::new().create(true).append(true).open(&metrics_path);
        let metrics = metrics.map_err(FilesError::io("write", &metrics_path))?;
        let metrics_bytes = metrics.metadata().map_err(FilesError::io("read", &metrics_path))?.len();
        Ok(Self { path, metrics, metrics_bytes, _lock: lock })
    }

    /// The run's newest checkpoint that is whole; `None` if it has no checkpoints. Newer ones that are
    /// damaged are reported to `notice` and renamed, so that they no longer count.
    ///
    /// # Errors
    /// All of the run's checkpoints are damaged (then none is renamed), or a leftover cannot be removed.
    pub fn newest_checkpoint(&self, notice: &mut dyn FnMut(&str)) -> Result<Option<RunCheckpoint>, CheckpointError> {
        newest_checkpoint(&self.path, notice)
    }

    /// Writes the resolved recipe, and takes back what was written after `progress`: lines of metrics, skipped samples.
    pub(crate) fn begin(&mut self, recipe: &str, progress: &Progress) -> Result<(), RunFolderError> {
        m3ae_files::write(&self.path.join(RECIPE), recipe.as_bytes())?;
        let metrics = self.path.join(METRICS);
        self.metrics_bytes = self.metrics_bytes.min(progress.metrics_bytes);
        let cut = self.metrics.set_len(self.metrics_bytes).and_then(|()| self.metrics.seek(SeekFrom::End(0)));
        cut.map_err(FilesError::io("write", &metrics))?;
        let skipped = self.path.join(SKIPPED);
        if skipped.exists() {
            fs::remove_file(&skipped).map_err(FilesError::io("remove", &skipped))?;
        }
        self.list_skipped(&progress.skipped)
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Length of `metrics.jsonl`.
    pub(crate) fn metrics_bytes(&self) -> u64 {
        self.metrics_bytes
    }

    /// Appends one line to `metrics.jsonl`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record<T: Serialize>(&mut self, line: &T) -> Result<(), RunFolderError> {
        let path = self.path.join(METRICS);
        let json = serde_json::to_string(line);
        let mut text = json.map_err(|source| RunFolderError::Json { path: path.clone(), source })?;
        text.push('\n');
        self.metrics.write_all(text.as_bytes()).map_err(FilesError::io("write", &path))?;
        self.metrics_bytes += text.len() as u64;
        Ok(())
    }

    /// Appends samples that were left out to `skipped.txt`, a line each.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn list_skipped(&self, skipped: &[String]) -> Result<(), RunFolderError> {
        if skipped.is_empty() {
            return Ok(());
        }
        let path = self.path.join(SKIPPED);
        let lines: String = skipped.iter().map(|skipped| format!("{skipped}\n")).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
        Ok(written.map_err(FilesError::io("write", &path))?)
    }
}

/// Whether the folder holds anything beside hidden files and what opening it makes.
fn is_occupied(path: &Path) -> bool {
    let counts = |entry: fs::DirEntry| match entry.file_name().to_string_lossy().as_ref() {
        METRICS => entry.metadata().map_or(true, |metadata| metadata.len() > 0),
        name => !name.starts_with('.'),
    };
    fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(counts))
}

fn lock(folder: &Path) -> Result<Lock, RunFolderError> {
    Lock::acquire(&folder.join(LOCK)).map_err(|error| match error {
        FilesError::Locked { .. } => RunFolderError::Locked { path: folder.to_owned() },
        error => error.into(),
    })
}
