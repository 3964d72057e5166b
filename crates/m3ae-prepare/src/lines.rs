//! Text files of annotations.

use std::{fs, path::Path};

use crate::PrepareError;

/// Annotation files larger than this are something else.
const MAX_BYTES: u64 = 4 << 30;

/// A whole file of annotations, without a byte order mark.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, PrepareError> {
    let length = fs::metadata(path).map_err(PrepareError::read(path))?.len();
    if length > MAX_BYTES {
        return Err(PrepareError::format(path, format!("{length} bytes, more than any file of annotations has")));
    }
    let mut bytes = fs::read(path).map_err(PrepareError::read(path))?;
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

/// A file's lines with their numbers from 1, blank ones left out; ended by `\n` or `\r\n`, the last need not be. A line
/// that is not UTF-8 is `None`.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Option<&str>)> {
    let lines = (1..).zip(bytes.split(|&byte| byte == b'\n'));
    let lines = lines.map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)));
    lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(number, line)| (number, std::str::from_utf8(line).ok()))
}

/// A place within a file, for reports.
pub(crate) fn place(path: &Path, what: &str, number: usize) -> String {
    format!("{}, {what} {number}", path.display())
}

/// That a name stays inside its folder.
pub(crate) fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\\', '\0'])
        && Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}
