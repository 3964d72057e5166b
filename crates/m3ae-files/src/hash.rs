//! Hashes of files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::FilesError;

/// A file's length and the BLAKE3 hash of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3 hash, in hexadecimal.
    pub blake3: String,
}

/// Reads a file and hashes it.
///
/// # Errors
/// The file cannot be read.
pub fn hash_file(path: &Path) -> Result<FileHash, FilesError> {
    let read = || {
        let mut hashing = HashingWriter::new(io::sink());
        io::copy(&mut File::open(path)?, &mut hashing)?;
        Ok(hashing.finish().1)
    };
    read().map_err(FilesError::io("read", path))
}

/// Passes bytes on to a writer and hashes them on the way.
#[derive(Debug)]
pub struct HashingWriter<W> {
    writer: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Nothing is written yet.
    pub fn new(writer: W) -> Self {
        Self { writer, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    /// The writer, and the hash of everything that it accepted. Does not flush.
    pub fn finish(self) -> (W, FileHash) {
        (self.writer, FileHash { bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Bytes as hexadecimal digits, as hashes are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
