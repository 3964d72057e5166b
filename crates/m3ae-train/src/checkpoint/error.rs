//! Why a checkpoint was not written, or cannot be resumed from.

use std::path::PathBuf;

use m3ae_files::FilesError;
use m3ae_weights::WeightsError;
use thiserror::Error;

use super::Difference;

/// Why a checkpoint was not written, or cannot be resumed from.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file or folder cannot be read, written or removed.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Weights or moments cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A value that JSON cannot hold: a defect of this program.
    #[error("{path}: {source} (this is a defect of this program: please report it)")]
    Json {
        /// The file that was to be written.
        path: PathBuf,
        /// What the serialiser said.
        source: serde_json::Error,
    },
    /// The thread that writes checkpoints did not start.
    #[error("cannot start the thread that writes checkpoints: {0}")]
    Thread(std::io::Error),
    /// The thread that writes checkpoints ended with a panic.
    #[error("writing a checkpoint failed because of a defect of this program: please report it")]
    ThreadPanicked,
    /// The checkpoint is not as it was written.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There are checkpoints, and all of them are damaged. To start anew silently would hide that something destroys
    /// them.
    #[error("every checkpoint in {folder} is damaged: restore one, or remove the run and start over")]
    NoneWhole {
        /// The run's folder.
        folder: PathBuf,
    },
    /// The checkpoint's recipe is not TOML.
    #[error("{path}: its recipe cannot be read: {problem}")]
    Recipe {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The checkpoint belongs to another recipe or data set.
    #[error(
        "{path} was made with another recipe or other data:\n{}\nresume with the former values, or allow each of these keys to change",
        differences.iter().map(|difference| format!("  {difference}")).collect::<Vec<_>>().join("\n")
    )]
    Changed {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        differences: Vec<Difference>,
    },
}

impl CheckpointError {
    pub(super) fn json(path: &std::path::Path) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Json { path, source }
    }
}
