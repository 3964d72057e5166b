//! Temporary names, and what killed processes leave under them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::FilesError;

/// The ending of what is being written.
pub(crate) const PART: &str = ".part";
/// The ending of what is being removed.
pub(crate) const OLD: &str = ".old";
/// Added to a folder's name: the file that its process locks. Not every file system can lock a folder itself.
const LOCK: &str = ".lock";
/// How many random letters and digits a temporary name has.
pub(crate) const RANDOM: usize = 6;

/// Removes from `folder` the temporary files and folders that killed processes left there, and returns their paths.
/// What a living process is writing or removing stays: such a process holds a lock on it.
///
/// Names that earlier versions gave, with a process's number instead of random letters or with neither, are cleared
/// too.
///
/// Where the file system has no locks, nothing is removed and a warning is logged for each leftover.
///
/// # Errors
/// A leftover cannot be removed. A missing folder has none.
pub fn clear_leftovers(folder: &Path) -> Result<Vec<PathBuf>, FilesError> {
    clear(folder, is_temporary)
}

/// As [`clear_leftovers`], for those of one target. A leftover that cannot be removed is no reason not to write.
pub(crate) fn clear_of(folder: &Path, target: &OsStr) {
    let prefix = prefix(target);
    let is_of_target = |name: &str| prefix.to_str().is_some_and(|prefix| name.starts_with(prefix));
    if let Err(error) = clear(folder, |name| is_of_target(name) && is_temporary(name)) {
        tracing::warn!(%error, "a killed process's leftover stays");
    }
}

fn clear(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, FilesError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FilesError::io("read", folder))?,
    };
    let mut removed = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FilesError::io("read", folder))?;
        if entry.file_name().to_str().is_some_and(&is_wanted) {
            let path = entry.path();
            if remove_if_dead(&path).map_err(FilesError::io("remove", &path))? {
                removed.push(path);
            }
        }
    }
    removed.sort();
    Ok(removed)
}

/// Removes a temporary file or folder unless a living process holds its lock; says whether it did.
fn remove_if_dead(path: &Path) -> io::Result<bool> {
    // Others may clear at the same time: what has gone meanwhile is no error.
    let Some(metadata) = found(path.symlink_metadata())? else { return Ok(false) };
    if metadata.is_dir() {
        let lock = lock_path(path);
        let _held = match found(OpenOptions::new().write(true).open(&lock))? {
            Some(file) if !take(&file, path) => return Ok(false),
            file => file,
        };
        found(fs::remove_dir_all(path))?;
        found(fs::remove_file(&lock))?;
        return Ok(true);
    }
    if !metadata.is_file() {
        return Ok(false);
    }
    let Some(file) = found(OpenOptions::new().write(true).open(path))? else { return Ok(false) };
    if !take(&file, path) {
        return Ok(false);
    }
    let is_lock_of_folder =
        path.to_str().and_then(|path| path.strip_suffix(LOCK)).is_some_and(|path| Path::new(path).is_dir());
    // It goes with its folder.
    Ok(!is_lock_of_folder && found(fs::remove_file(path))?.is_some())
}

/// Whether the lock could be taken, so that no living process has it.
fn take(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "{} may be a leftover; there are no locks here to tell", path.display());
            false
        }
    }
}

/// `None` for what is not there.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a name is one that this crate, or what came before it, gives to temporary files and folders.
fn is_temporary(name: &str) -> bool {
    let Some(name) = name.strip_prefix('.') else { return false };
    let name = name.strip_suffix(LOCK).unwrap_or(name);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(stem) = name.strip_suffix(PART).or_else(|| name.strip_suffix(OLD)) {
        // `model.a1B2c3` here; formerly `model.<process>` and `step-000400`.
        let is_random = |text: &str| text.len() == RANDOM && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_checkpoint =
            |text: &str| text.strip_prefix("step-").or(text.strip_prefix("best-")).is_some_and(is_number);
        return stem.rsplit_once('.').is_some_and(|(_, last)| is_random(last) || is_number(last))
            || is_checkpoint(stem);
    }
    // Formerly `vqa_train.arrow.partial`, `tokenizer.json.<process>.partial` and `phantom.partial-<process>-<n>`. Other
    // names with that ending are not ours to remove: an evaluation keeps its scores so far in one.
    let is_former = |stem: &str| {
        stem.rsplit_once('.').is_some_and(|(_, last)| matches!(last, "arrow" | "json" | "parquet") || is_number(last))
    };
    name.strip_suffix(".partial").is_some_and(is_former)
        || name.rsplit_once(".partial-").is_some_and(|(_, numbers)| numbers.split('-').all(is_number))
}

/// A path's folder and name.
pub(crate) fn split(path: &Path) -> Result<(&Path, &OsStr), FilesError> {
    let name = path.file_name().ok_or_else(|| FilesError::NoName { path: path.to_owned() })?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name))
}

/// What the temporary names of a target begin with: `.report.html.`
pub(crate) fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(LOCK);
    name.into()
}

/// A name for a temporary folder, reserved by a locked file beside it. Dropped, both are removed.
#[derive(Debug)]
pub(crate) struct Reserved {
    path: PathBuf,
    /// Locked as long as it is open, and removed when it is dropped.
    _lock: NamedTempFile,
}

impl Reserved {
    pub fn new(folder: &Path, target: &OsStr, ending: &str) -> Result<Self, FilesError> {
        let (prefix, suffix) = (prefix(target), format!("{ending}{LOCK}"));
        loop {
            let mut builder = tempfile::Builder::new();
            let lock = builder.prefix(&prefix).suffix(&suffix).rand_bytes(RANDOM).tempfile_in(folder);
            let lock = lock.map_err(FilesError::io("write", &folder.join(target)))?;
            // Where there are no locks, nothing is ever taken for a leftover.
            let _ = lock.as_file().lock();
            // Between its creation and the lock, another process may have taken it for a leftover.
            if lock.path().exists() {
                let path = lock.path().with_extension("");
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what is there, and says if that fails.
    pub fn remove(self) -> Result<(), FilesError> {
        fs::remove_dir_all(&self.path).map_err(FilesError::io("remove", &self.path))
    }

    /// Renames what is there.
    pub fn put_back(self, path: &Path) -> Result<(), FilesError> {
        fs::rename(&self.path, path).map_err(FilesError::io("restore", path))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // Nothing is there any more if it was renamed; what cannot be removed is a leftover for the next process.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::is_temporary;

    #[test]
    fn temporary_names_are_recognised_and_no_others() {
        for name in [
            ".model.a1B2c3.part",
            ".model.a1B2c3.part.lock",
            ".step-000400.Zz9zZ9.old",
            ".report.html.123456.part",
            ".model.4711.part",
            ".step-000400.part",
            ".best-000400.old",
            ".tokenizer.json.4711.partial",
            ".vqa_rad_train.arrow.partial",
            ".phantom.partial-4711-0",
        ] {
            assert!(is_temporary(name), "{name}");
        }
        for name in [
            "model.a1B2c3.part",
            ".part",
            ".lock",
            ".notes.old",
            ".config.toml.old",
            ".thesis.part",
            ".step-a.part",
            "step-000400",
            ".prepare.lock",
            ".scores-0123456789abcdef.partial",
            ".phantom.partial-x",
            ".a.b1.part",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }
}
