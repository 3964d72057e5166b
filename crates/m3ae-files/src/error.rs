//! What can go wrong with files, folders and locks.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file or folder was not written, read, locked or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried: `write`, `read`, `remove` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A new folder's place is taken. Nothing was changed there.
    #[error("{} exists already: choose another place, or remove it first", .path.display())]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// The path ends in no name, such as `/` or `..`.
    #[error("{} has no name that a file or folder could have", .path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// Another process holds the lock.
    #[error("{} is locked by another process: wait until it ends", .path.display())]
    Locked {
        /// The lock's file.
        path: PathBuf,
    },
}

impl FilesError {
    /// For `map_err` on file operations: `action` as in [`Io`](Self::Io).
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
