//! A run's folder: `<directory>/<name>/` with everything the run leaves behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::checkpoint::Progress;
use crate::error::TrainError;
use crate::recipe::RunConfig;

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
    metrics_bytes: u64,
    /// Locked as long as it is open.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder of `config` and writes the resolved recipe into it.
    ///
    /// # Errors
    /// The folder holds something already (unless `overwrite`, which removes it), or cannot be written.
    pub fn create(config: &RunConfig, overwrite: bool) -> Result<Self, TrainError> {
        let path = config.folder();
        Self::check_free(config, overwrite)?;
        if is_occupied(&path) {
            // A run that another process is at is not removed.
            drop(lock(&path)?);
            fs::remove_dir_all(&path).map_err(TrainError::io(&path))?;
        }
        fs::create_dir_all(&path).map_err(TrainError::io(&path))?;
        Self::open(config, path)
    }

    /// Whether [`create`](Self::create) would find its place free: to be asked before long work.
    ///
    /// # Errors
    /// The folder holds something that would not be removed.
    pub fn check_free(config: &RunConfig, overwrite: bool) -> Result<(), TrainError> {
        let path = config.folder();
        // Only what looks like a run is removed: a mistyped directory must not be lost.
        match is_occupied(&path) && !(overwrite && path.join(RECIPE).is_file()) {
            true => Err(TrainError::RunExists { path }),
            false => Ok(()),
        }
    }

    /// Opens the folder of `config` to go on with the run in it; makes it if it is not there.
    ///
    /// # Errors
    /// The folder cannot be written, or another process trains in it.
    pub fn reopen(config: &RunConfig) -> Result<Self, TrainError> {
        let path = config.folder();
        if is_occupied(&path) && !path.join(RECIPE).is_file() {
            return Err(TrainError::RunExists { path });
        }
        fs::create_dir_all(&path).map_err(TrainError::io(&path))?;
        Self::open(config, path)
    }

    fn open(config: &RunConfig, path: PathBuf) -> Result<Self, TrainError> {
        let lock = lock(&path)?;
        let recipe_path = path.join(RECIPE);
        fs::write(&recipe_path, config.to_toml()?).map_err(TrainError::io(&recipe_path))?;
        let metrics_path = path.join(METRICS);
        let metrics = OpenOptions::new().create(true).append(true).open(&metrics_path);
        let metrics = metrics.map_err(TrainError::io(&metrics_path))?;
        let metrics_bytes = metrics.metadata().map_err(TrainError::io(&metrics_path))?.len();
        Ok(Self { path, metrics, metrics_bytes, _lock: lock })
    }

    /// Takes back what was written after `progress`: lines of metrics, skipped samples.
    pub(crate) fn rewind(&mut self, progress: &Progress) -> Result<(), TrainError> {
        let metrics = self.path.join(METRICS);
        self.metrics_bytes = self.metrics_bytes.min(progress.metrics_bytes);
        let cut = self.metrics.set_len(self.metrics_bytes).and_then(|()| self.metrics.seek(SeekFrom::End(0)));
        cut.map_err(TrainError::io(&metrics))?;
        let skipped = self.path.join(SKIPPED);
        if skipped.exists() {
            fs::remove_file(&skipped).map_err(TrainError::io(&skipped))?;
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
    pub fn record<T: Serialize>(&mut self, line: &T) -> Result<(), TrainError> {
        let path = self.path.join(METRICS);
        let mut text = serde_json::to_string(line).map_err(std::io::Error::from).map_err(TrainError::io(&path))?;
        text.push('\n');
        self.metrics.write_all(text.as_bytes()).map_err(TrainError::io(&path))?;
        self.metrics_bytes += text.len() as u64;
        Ok(())
    }

    /// Appends samples that were left out to `skipped.txt`, a line each.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn list_skipped(&self, skipped: &[String]) -> Result<(), TrainError> {
        if skipped.is_empty() {
            return Ok(());
        }
        let path = self.path.join(SKIPPED);
        let lines: String = skipped.iter().map(|skipped| format!("{skipped}\n")).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(TrainError::io(&path))
    }
}

fn is_occupied(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

fn lock(folder: &Path) -> Result<File, TrainError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(TrainError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::Locked { path: folder.to_owned() }),
        // Some network file systems have no locks: then nothing can be said.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "cannot lock {}", path.display());
            Ok(file)
        }
    }
}
