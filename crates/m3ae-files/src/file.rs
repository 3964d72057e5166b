//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::FilesError;
use crate::hash::{FileHash, HashingWriter};
use crate::leftovers::{self, PART, RANDOM};

/// Files are written in pieces of this many bytes.
pub(crate) const BUFFER: usize = 1 << 20;

/// Writes `bytes` to the file at `path`, whole or not at all. A file that was there before is replaced; if anything
/// fails, it stays as it was.
///
/// # Errors
/// The folder is missing or cannot be written, or a folder has the name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<FileHash, FilesError> {
    write_file(path, |file| file.write_all(bytes).map_err(FilesError::io("write", path)))
}

/// Writes the file at `path` as [`write()`] does, with what `fill` writes. An error of `fill` is passed on, and the
/// former file stays.
///
/// # Errors
/// As [`write()`]; or as `fill`.
pub fn write_file<E: From<FilesError>>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<FileHash, E> {
    let mut file = NewFile::create(path)?;
    fill(&mut file)?;
    Ok(file.commit()?)
}

/// A file that is being written: for writers that cannot be a closure, see [`write_file`]. Nothing is at its path
/// before [`commit`](Self::commit). Dropped without it, the file is gone.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    writer: HashingWriter<BufWriter<NamedTempFile>>,
}

impl NewFile {
    /// Begins a file that will be at `path`, whose folder must exist.
    ///
    /// # Errors
    /// The folder is missing or cannot be written.
    pub fn create(path: &Path) -> Result<Self, FilesError> {
        let (folder, name) = leftovers::split(path)?;
        let mut builder = tempfile::Builder::new();
        let prefix = leftovers::prefix(name);
        builder.prefix(&prefix).suffix(PART).rand_bytes(RANDOM);
        // As any other new file, and not for its owner only: the process's mask is subtracted.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = loop {
            let file = builder.tempfile_in(folder).map_err(FilesError::io("write", path))?;
            // Where there are no locks, nothing is ever taken for a leftover.
            let _ = file.as_file().lock();
            // Between its creation and the lock, another process may have taken it for a leftover.
            if file.path().exists() {
                break file;
            }
        };
        Ok(Self { path: path.to_owned(), writer: HashingWriter::new(BufWriter::with_capacity(BUFFER, file)) })
    }

    /// Waits until everything is on disk, and gives the file its name.
    ///
    /// # Errors
    /// The disk is full, the folder cannot be written, or a folder has the name.
    pub fn commit(self) -> Result<FileHash, FilesError> {
        let Self { path, writer } = self;
        let (writer, hash) = writer.finish();
        let file = writer.into_inner().map_err(|error| FilesError::io("write", &path)(error.into_error()))?;
        file.as_file().sync_all().map_err(FilesError::io("write", &path))?;
        file.persist(&path).map_err(|error| FilesError::io("write", &path)(error.error))?;
        sync_folder(leftovers::split(&path)?.0)?;
        Ok(hash)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Waits until the names in a folder are on disk, where the system can say so.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), FilesError> {
    if !cfg!(unix) {
        return Ok(());
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FilesError::io("write", folder))
}
