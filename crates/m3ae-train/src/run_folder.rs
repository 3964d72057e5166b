//! A run's folder: `<directory>/<name>/` with everything the run leaves behind.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use m3ae_data::Skipped;
use serde::Serialize;

use crate::config::RunConfig;
use crate::error::TrainError;

/// The folder of a run that has just been made.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Makes the folder of `config` and writes the resolved recipe into it.
    ///
    /// # Errors
    /// The folder holds something already (unless `overwrite`, which removes it), or cannot be written.
    pub fn create(config: &RunConfig, overwrite: bool) -> Result<Self, TrainError> {
        let path = config.folder();
        let occupied = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !overwrite {
            return Err(TrainError::RunExists { path });
        }
        if occupied {
            // Only what looks like a run is removed: a mistyped directory must not be lost.
            if !path.join("config.toml").is_file() {
                return Err(TrainError::RunExists { path });
            }
            fs::remove_dir_all(&path).map_err(TrainError::io(&path))?;
        }
        fs::create_dir_all(&path).map_err(TrainError::io(&path))?;
        let recipe = toml::to_string_pretty(config).map_err(|error| crate::RunConfigError::Parse {
            origin: "the resolved recipe".into(),
            problem: error.to_string(),
        })?;
        let recipe_path = path.join("config.toml");
        fs::write(&recipe_path, recipe).map_err(TrainError::io(&recipe_path))?;
        let metrics_path = path.join("metrics.jsonl");
        let metrics = OpenOptions::new().create(true).append(true).open(&metrics_path);
        Ok(Self { metrics: metrics.map_err(TrainError::io(&metrics_path))?, path })
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

    /// Appends one line to `metrics.jsonl`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record<T: Serialize>(&mut self, line: &T) -> Result<(), TrainError> {
        let path = self.path.join("metrics.jsonl");
        let text = serde_json::to_string(line).map_err(std::io::Error::from).map_err(TrainError::io(&path))?;
        writeln!(self.metrics, "{text}").map_err(TrainError::io(&path))
    }

    /// Appends samples that were left out to `skipped.txt`, a line each.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn list_skipped(&self, skipped: &[Skipped]) -> Result<(), TrainError> {
        if skipped.is_empty() {
            return Ok(());
        }
        let path = self.path.join("skipped.txt");
        let lines: String = skipped.iter().map(|skipped| format!("{skipped}\n")).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(TrainError::io(&path))
    }
}
