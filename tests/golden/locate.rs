// Where tests find outputs of the reference implementation. Each test binary that needs them includes this file:
//     #[path = "../../../../tests/golden/locate.rs"]
//     mod locate;

use std::path::{Path, PathBuf};

/// The variable that names a folder with the larger golden data, which is not part of the repository.
const LARGER: &str = "M3AE_GOLDEN";

/// A file or folder of `tests/golden`, which every clone has.
#[allow(dead_code, reason = "not every test binary needs both functions")]
pub fn golden(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path);
    assert!(path.exists(), "{} is missing: it is part of the repository", path.display());
    path
}

/// A file or folder of the larger golden data. `None`, with a notice, where `M3AE_GOLDEN` is not set.
///
/// # Panics
/// Where `M3AE_GOLDEN` is set but does not have it: data that was announced must be there.
#[allow(dead_code, reason = "not every test binary needs both functions")]
pub fn larger_golden(path: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os(LARGER).filter(|folder| !folder.is_empty()) else {
        println!("NOT RUN: {path} is not part of the repository, and {LARGER} names no folder that has it");
        return None;
    };
    let path = Path::new(&folder).join(path);
    assert!(path.is_absolute(), "{LARGER} must be an absolute path: tests run in their crates' folders");
    assert!(path.exists(), "{LARGER} is set, but {} is missing", path.display());
    Some(path)
}
