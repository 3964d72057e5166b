//! Files as memory. The one place of this crate that needs `unsafe`.
#![allow(unsafe_code)]

use std::{fs::File, path::Path};

use memmap2::Mmap;

/// A file's bytes, read from disk when they are looked at.
pub(super) fn map(path: &Path) -> std::io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is read-only, private to this process, and handed out as `&[u8]` only; every value in it is
    // checked where it is read, so no memory safety rests on the file's content. Prepared files are replaced by
    // renaming and never written in place by this program; whoever cuts one off while it is mapped gets the system's
    // bus error, as with every memory-mapped file.
    unsafe { Mmap::map(&file) }
}
