//! What can be wrong with a checkpoint.

use std::path::{Path, PathBuf};

use m3ae_model::ConfigError;
use thiserror::Error;

/// Why weights could not be read, applied or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// The file is not a checkpoint of a kind we read, or is damaged.
    #[error(
        "{path}: not a readable checkpoint: {problem}. Expected a PyTorch file (.ckpt, .pt, .bin) or a safetensors file"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        problem: String,
    },
    /// One tensor's bytes cannot be read, or not written.
    #[error("{path}: tensor {name}: {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A configuration file beside the weights cannot be understood, or is missing.
    #[error("{path}: {problem}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The checkpoint's tensors do not make an M3AE model.
    #[error("{path}: {problem}")]
    NotM3ae {
        /// The file.
        path: PathBuf,
        /// What is missing or contradictory.
        problem: String,
    },
    /// Tensors and model do not fit together.
    #[error("{path}: the checkpoint does not fit this model:\n{}", problems.join("\n"))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// One line per tensor: missing, unexpected or of another shape or type.
        problems: Vec<String>,
    },
    /// The place to write to is taken: nothing is ever overwritten there.
    #[error("{path} exists already; choose another place or remove it")]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Neither a local path nor a hub repository that can be had.
    #[error("{id}: {problem}")]
    Hub {
        /// What was asked for.
        id: String,
        /// Why it cannot be had, and which files to put where.
        problem: String,
    },
    /// The folder of a training run that has no model yet.
    #[error(
        "{path} is the folder of a training run that has no model yet: it is still training, or it was stopped{}",
        checkpoint.as_ref().map_or(String::new(), |newest| format!("; its newest checkpoint is {}", newest.display()))
    )]
    Unfinished {
        /// The run's folder.
        path: PathBuf,
        /// Its newest complete checkpoint: a folder that can be opened instead.
        checkpoint: Option<PathBuf>,
    },
    /// The configuration that the checkpoint implies is not one a model can be built from.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl WeightsError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn settings(path: &Path, problem: impl Into<String>) -> Self {
        Self::Settings { path: path.to_owned(), problem: problem.into() }
    }
}
