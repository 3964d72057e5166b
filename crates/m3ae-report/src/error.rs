//! Why a report could not be made.

use std::path::{Path, PathBuf};

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A page could not be written.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// Bytes that were given as a PNG are something else.
    #[error("a picture is not a PNG: it begins with {begins:02x?}")]
    NotPng {
        /// Its first bytes, at most eight.
        begins: Vec<u8>,
    },
}

impl ReportError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
