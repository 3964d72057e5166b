//! Locks between processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::FilesError;

/// A lock that one process holds at a time, on a file made for it. It is released when it is dropped, and by the system
/// when the process ends, however it ends. The file stays: who removed it could remove another process's lock.
///
/// Some network file systems have no locks. There, a warning is logged and every process gets the lock.
///
/// ```
/// # let place = tempfile::tempdir()?;
/// let path = place.path().join(".lock");
/// let lock = m3ae_files::Lock::acquire(&path)?;
/// assert!(matches!(m3ae_files::Lock::acquire(&path), Err(m3ae_files::FilesError::Locked { .. })));
/// drop(lock);
/// assert!(m3ae_files::Lock::acquire(&path).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Lock {
    /// Locked as long as it is open.
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`; the file is made where it is missing.
    ///
    /// # Errors
    /// [`FilesError::Locked`] if another process holds it; [`FilesError::Io`] if the file cannot be opened.
    pub fn acquire(path: &Path) -> Result<Self, FilesError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FilesError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => no_locks(path, &error),
        }
        Ok(Self { _file: file })
    }

    /// Takes the lock at `path`, waiting for the process that holds it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn wait(path: &Path) -> Result<Self, FilesError> {
        let file = open(path)?;
        if let Err(error) = file.lock() {
            no_locks(path, &error);
        }
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File, FilesError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    file.map_err(FilesError::io("open", path))
}

fn no_locks(path: &Path, error: &std::io::Error) {
    tracing::warn!(%error, "cannot lock {}: other processes are not kept out", path.display());
}
