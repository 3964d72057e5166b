//! Image files of a folder, texts of a file, and what identifies them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Endings of image files, whatever their case. What a file is, its content tells when it is read.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The image files in a folder and its folders, in the order of their names; a file is itself.
pub fn images(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(path, &mut found)?;
    found.sort();
    ensure!(!found.is_empty(), "{}: no image ({}) is in this folder", path.display(), ENDINGS.join(", "));
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let entry = entry.with_context(|| path.display().to_string())?;
        let path = entry.path();
        // A link to a folder could lead in a circle.
        if entry.file_type().with_context(|| path.display().to_string())?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// The lines of a text file that say something.
pub fn lines(path: &Path) -> Result<Vec<String>> {
    let text = text(path)?;
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    ensure!(!lines.is_empty(), "{}: the file has no text", path.display());
    Ok(lines)
}

/// A text file, with its name in the error.
pub fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
}

/// BLAKE3 of a file's content.
pub fn hash(path: &Path) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    io::copy(&mut file, &mut hasher).with_context(|| path.display().to_string())?;
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_in_folders_of_folders_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.PNG", "b/a.jpeg", "notes.txt", "a.jpg"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let names: Vec<String> = images(folder.path())
            .unwrap()
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.jpg", "b/a.jpeg", "c.PNG"]);
        let single = folder.path().join("notes.txt");
        assert_eq!(images(&single).unwrap(), std::slice::from_ref(&single));
        assert_eq!(hash(&single).unwrap(), blake3::hash(b"notes.txt"));
        assert!(images(&folder.path().join("nowhere.png")).is_ok(), "reading it says that it is not there");
        let empty = tempfile::tempdir().unwrap();
        assert!(images(empty.path()).unwrap_err().to_string().contains("no image"));
    }
}
