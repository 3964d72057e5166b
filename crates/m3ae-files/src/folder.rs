//! Folders that appear whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::FilesError;
use crate::file::{BUFFER, sync_folder};
use crate::hash::{FileHash, HashingWriter};
use crate::leftovers::{self, OLD, PART, Reserved};

/// Threads that sync files. A file system writes what several wait for at once: 2060 small images took 16 s one after
/// the other, and 0.4 s with eight threads (ext4).
const SYNC_THREADS: usize = 8;

/// Makes the folder at `path`, whole or not at all: `fill` writes into a temporary folder beside it, which then takes
/// the name. `path` must not exist, or be an empty folder. An error of `fill` is passed on, and nothing is left.
///
/// # Errors
/// [`FilesError::Exists`] if something is at `path`; [`FilesError::Io`] if a file cannot be written; or as `fill`.
pub fn write_folder<T, E: From<FilesError>>(
    path: &Path,
    fill: impl FnOnce(&mut NewFolder) -> Result<T, E>,
) -> Result<T, E> {
    if is_taken(path) {
        return Err(FilesError::Exists { path: path.to_owned() }.into());
    }
    let mut folder = NewFolder::create(path)?;
    let filled = fill(&mut folder)?;
    folder.commit(|temporary| {
        // Takes the place of an empty folder, and of nothing else.
        fs::rename(temporary, path).map_err(|error| match is_taken(path) {
            true => FilesError::Exists { path: path.to_owned() },
            false => FilesError::io("create", path)(error),
        })
    })?;
    Ok(filled)
}

/// Makes the folder at `path` as [`write_folder`] does, in the place of the one that may be there. The former one is
/// set aside when the new one is complete, and removed when the new one has its name: a process killed between the two
/// leaves neither.
///
/// # Errors
/// [`FilesError::Io`] if a file cannot be written or the former folder cannot be moved; or as `fill`. The former folder
/// stays.
pub fn replace_folder<T, E: From<FilesError>>(
    path: &Path,
    fill: impl FnOnce(&mut NewFolder) -> Result<T, E>,
) -> Result<T, E> {
    let mut folder = NewFolder::create(path)?;
    let filled = fill(&mut folder)?;
    folder.commit(|temporary| {
        let former = path.symlink_metadata().is_ok().then(|| set_aside(path)).transpose()?;
        if let Err(error) = fs::rename(temporary, path) {
            if let Some(former) = former {
                former.put_back(path)?;
            }
            return Err(FilesError::io("create", path)(error));
        }
        former.map_or(Ok(()), Reserved::remove)
    })?;
    Ok(filled)
}

/// Removes the folder at `path` so that nobody sees half of it: its name goes first.
///
/// # Errors
/// It is not there, or cannot be moved or removed.
pub fn remove_folder(path: &Path) -> Result<(), FilesError> {
    set_aside(path)?.remove()
}

/// Gives a folder a name that marks it as a leftover.
fn set_aside(path: &Path) -> Result<Reserved, FilesError> {
    let (parent, name) = leftovers::split(path)?;
    let aside = Reserved::new(parent, name, OLD)?;
    fs::rename(path, aside.path()).map_err(FilesError::io("remove", path))?;
    Ok(aside)
}

/// Whether something is there that an empty folder is not.
fn is_taken(path: &Path) -> bool {
    let Ok(metadata) = path.symlink_metadata() else { return false };
    !metadata.is_dir() || !fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// A folder that is being filled; see [`write_folder`].
#[derive(Debug)]
pub struct NewFolder {
    temporary: Reserved,
    hashes: BTreeMap<String, FileHash>,
}

impl NewFolder {
    fn create(target: &Path) -> Result<Self, FilesError> {
        let (parent, name) = leftovers::split(target)?;
        leftovers::clear_of(parent, name);
        let temporary = Reserved::new(parent, name, PART)?;
        fs::create_dir(temporary.path()).map_err(FilesError::io("create", target))?;
        Ok(Self { temporary, hashes: BTreeMap::new() })
    }

    /// The temporary folder, for writers that need a path. Files written by path are synced at the end, and have no
    /// hash in [`hashes`](Self::hashes).
    #[must_use]
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// The hash of each file that was written by [`write`](Self::write), [`write_file`](Self::write_file) and
    /// [`copy`](Self::copy), by name: what a manifest says.
    #[must_use]
    pub fn hashes(&self) -> &BTreeMap<String, FileHash> {
        &self.hashes
    }

    /// Writes a file of the folder.
    ///
    /// # Errors
    /// It cannot be written, or `name` is not a plain file name.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), FilesError> {
        let path = self.path().join(name);
        self.write_file(name, |file| file.write_all(bytes).map_err(FilesError::io("write", &path)))
    }

    /// Writes a file of the folder with what `fill` writes, hashed on the way, and syncs it.
    ///
    /// # Errors
    /// It cannot be written, or `name` is not a plain file name; or as `fill`.
    pub fn write_file<E: From<FilesError>>(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.path().join(name);
        let mut components = Path::new(name).components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return Err(FilesError::NoName { path }.into());
        }
        let file = File::create(&path).map_err(FilesError::io("write", &path))?;
        let mut writer = HashingWriter::new(BufWriter::with_capacity(BUFFER, file));
        fill(&mut writer)?;
        let (writer, hash) = writer.finish();
        let file = writer.into_inner().map_err(|error| FilesError::io("write", &path)(error.into_error()))?;
        file.sync_all().map_err(FilesError::io("write", &path))?;
        self.hashes.insert(name.to_owned(), hash);
        Ok(())
    }

    /// Copies a file into the folder.
    ///
    /// # Errors
    /// It cannot be read or written, or `name` is not a plain file name.
    pub fn copy(&mut self, name: &str, source: &Path) -> Result<(), FilesError> {
        let mut from = File::open(source).map_err(FilesError::io("read", source))?;
        self.write_file(name, |file| io::copy(&mut from, file).map(drop).map_err(FilesError::io("copy", source)))
    }

    /// Syncs everything, and lets `rename` give the folder its name.
    fn commit(self, rename: impl FnOnce(&Path) -> Result<(), FilesError>) -> Result<(), FilesError> {
        let Self { temporary, hashes } = self;
        sync_all(temporary.path(), &hashes)?;
        let parent = temporary.path().parent().map(Path::to_owned);
        rename(temporary.path())?;
        drop(temporary);
        parent.map_or(Ok(()), |parent| sync_folder(&parent))
    }
}

/// Syncs a folder's files, other than those that are `synced`, its folders and itself.
fn sync_all(folder: &Path, synced: &BTreeMap<String, FileHash>) -> Result<(), FilesError> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    list(folder, &mut files, &mut folders)?;
    files.retain(|path| {
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
        !name.is_some_and(|name| synced.contains_key(name))
    });
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), FilesError> {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Windows syncs files that are open for writing only.
            let file = OpenOptions::new().read(true).write(cfg!(windows)).open(path);
            file.and_then(|file| file.sync_all()).map_err(FilesError::io("write", path))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..files.len().min(SYNC_THREADS)).map(|_| scope.spawn(work)).collect();
        let own = work();
        // A thread that panicked has synced less than it should.
        let failed = |_| Err(FilesError::io("write", folder)(io::Error::other("a thread failed")));
        others.into_iter().map(|other| other.join().unwrap_or_else(failed)).fold(own, Result::and)
    })?;
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

/// A folder's files; and its folders, each after those in it.
fn list(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    for entry in fs::read_dir(folder).map_err(FilesError::io("read", folder))? {
        let entry = entry.map_err(FilesError::io("read", folder))?;
        let kind = entry.file_type().map_err(FilesError::io("read", folder))?;
        if kind.is_dir() {
            list(&entry.path(), files, folders)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    folders.push(folder.to_owned());
    Ok(())
}
