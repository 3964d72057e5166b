//! The zip container of a PyTorch file, read within limits.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zip::ZipArchive;
use zip::result::ZipResult;

use crate::error::WeightsError;
use crate::limits;

/// Most entries of an archive: a checkpoint has one for each tensor and a few more.
const MAX_ENTRIES: usize = 100_000;
/// Longest text entry (`byteorder`, `version`).
const MAX_TEXT: u64 = 4096;

/// An open archive. Entries are named relative to the folder that holds `data.pkl`.
pub(crate) struct Archive {
    zip: Mutex<ZipArchive<BufReader<File>>>,
    root: String,
    torchscript: bool,
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

impl Archive {
    /// Reads the archive's directory.
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = File::open(path).map_err(WeightsError::io(path))?;
        let failed = |problem: String| WeightsError::format(path, problem);
        let damaged = |error: zip::result::ZipError| failed(format!("damaged zip archive: {error}"));
        let file_len = file.metadata().map_err(WeightsError::io(path))?.len();
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        if zip.len() > MAX_ENTRIES {
            return Err(failed(format!("its zip archive has {} entries; {MAX_ENTRIES} are accepted", zip.len())));
        }
        let mut unpacked = 0_u64;
        for index in 0..zip.len() {
            unpacked = unpacked.saturating_add(zip.by_index_raw(index).map_err(damaged)?.size());
        }
        let limit = limits::expansion(file_len);
        if unpacked > limit {
            let problem =
                format!("its zip archive of {file_len} bytes would unpack to {unpacked}; {limit} are accepted");
            return Err(failed(problem));
        }
        let names: Vec<String> = zip
            .file_names()
            .map(|name| name.map(|name| name.into_owned()))
            .collect::<ZipResult<_>>()
            .map_err(damaged)?;
        let root = names
            .iter()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .filter(|root| root.is_empty() || root.ends_with('/'))
            .min_by_key(|root| root.len())
            .ok_or_else(|| failed("its zip archive has no data.pkl, which every PyTorch file has".into()))?
            .to_owned();
        let (constants, code) = (format!("{root}constants.pkl"), format!("{root}code/"));
        let torchscript = names.iter().any(|name| *name == constants || name.starts_with(&code));
        Ok(Self { zip: Mutex::new(zip), root, torchscript })
    }

    /// Whether the archive holds a TorchScript module and not a plain pickle.
    pub(crate) fn is_torchscript(&self) -> bool {
        self.torchscript
    }

    /// Uncompressed size of an entry, as the archive declares it.
    pub(crate) fn size(&self, name: &str) -> io::Result<u64> {
        let (mut zip, index) = self.find(name)?;
        Ok(zip.by_index_raw(index).map_err(io::Error::from)?.size())
    }

    /// A whole entry of at most `limit` bytes.
    pub(crate) fn entry(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let size = self.size(name)?;
        if size > limit {
            return Err(invalid(format!("entry {name} declares {size} bytes; at most {limit} are accepted")));
        }
        self.read(name, size)
    }

    /// A short text entry, if there is one.
    pub(crate) fn text(&self, name: &str) -> io::Result<Option<String>> {
        if self.lock().index_for_name(&format!("{}{name}", self.root)).is_none() {
            return Ok(None);
        }
        let text = String::from_utf8(self.entry(name, MAX_TEXT)?).map_err(|error| invalid(error.to_string()))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Declared size of a storage, in bytes.
    pub(crate) fn storage_len(&self, key: &str) -> io::Result<u64> {
        self.size(&format!("data/{key}"))
    }

    /// The first `len` bytes of a storage.
    pub(crate) fn storage(&self, key: &str, len: usize) -> io::Result<Vec<u8>> {
        self.read(&format!("data/{key}"), len as u64)
    }

    fn lock(&self) -> MutexGuard<'_, ZipArchive<BufReader<File>>> {
        self.zip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> io::Result<(MutexGuard<'_, ZipArchive<BufReader<File>>>, usize)> {
        let zip = self.lock();
        let index = zip.index_for_name(&format!("{}{name}", self.root));
        index.map(|index| (zip, index)).ok_or_else(|| invalid(format!("the archive has no entry {name}")))
    }

    /// The first `len` bytes of an entry. Memory grows with what arrives, not with what is announced; reading to the
    /// end checks the entry's checksum.
    fn read(&self, name: &str, len: u64) -> io::Result<Vec<u8>> {
        let (mut zip, index) = self.find(name)?;
        let mut entry = zip.by_index(index).map_err(io::Error::from)?;
        let whole = entry.size() == len;
        let mut bytes = Vec::new();
        // One byte more than wanted reaches the end, where the checksum is compared.
        (&mut entry).take(len + u64::from(whole)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != len {
            return Err(invalid(format!("entry {name} has {} bytes where {len} are announced", bytes.len())));
        }
        Ok(bytes)
    }
}
