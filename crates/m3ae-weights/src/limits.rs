//! How much memory a file may ask for.

/// Tensors may take this many times their file's bytes: tied weights share theirs, and text entries are compressed.
const FACTOR: u64 = 8;
/// Bytes beyond that, which small files with overlapping views need.
const SLACK: u64 = 1 << 20;

/// Most bytes that the contents of a file of `file_len` bytes may unpack to. A file beyond this limit repeats or
/// compresses its bytes to fill memory.
pub(crate) fn expansion(file_len: u64) -> u64 {
    file_len.saturating_mul(FACTOR).saturating_add(SLACK)
}
