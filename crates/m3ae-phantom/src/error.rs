//! What can go wrong: [`PhantomError`].

use std::path::{Path, PathBuf};

/// Why a phantom set was not generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// A field of the configuration is out of its range.
    #[error("phantom.{field} is {value}: choose a number from {low} to {high}")]
    Config {
        /// The field's name in [`PhantomConfig`](crate::PhantomConfig).
        field: &'static str,
        /// What it was.
        value: usize,
        /// The smallest allowed value.
        low: usize,
        /// The largest allowed value.
        high: usize,
    },
    /// The output folder already holds something, which is never overwritten.
    #[error("{} is not empty: name a new folder, or remove this one first", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The output path names no folder that could be created or replaced, such as the root of the file system.
    #[error("{} cannot be an output folder: name a new or empty folder inside another one", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder could not be made.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// An image could not be encoded as JPEG.
    #[error("cannot encode {}: {source}", .path.display())]
    Encode {
        /// The image's path.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// A record could not be written as JSON.
    #[error("cannot write {} as JSON: {source}", .path.display())]
    Json {
        /// The file's path.
        path: PathBuf,
        /// What the serialiser said.
        source: serde_json::Error,
    },
}

impl PhantomError {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }
}
