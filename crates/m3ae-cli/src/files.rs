//! Reading what commands are given: the image files of a folder, the lines of a text file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Extensions of image files, in any case. The format is detected from the content when a file is read.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The image files in a folder and its subfolders, sorted by path; the path itself if it is not a folder.
pub fn images(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(path, &mut found)?;
    found.sort();
    ensure!(!found.is_empty(), "{}: the folder has no image ({})", path.display(), ENDINGS.join(", "));
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
        // Links to folders are not followed: they could form a cycle.
        if entry.file_type().with_context(|| path.display().to_string())?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// The lines of a text file that are not blank.
pub fn lines(path: &Path) -> Result<Vec<String>> {
    let text = text(path)?;
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    ensure!(!lines.is_empty(), "{}: the file has no text", path.display());
    Ok(lines)
}

/// The content of a text file; errors name the file.
pub fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
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

        assert!(images(&folder.path().join("absent.png")).is_ok(), "reading it reports that it does not exist");
        let empty = tempfile::tempdir().unwrap();
        assert!(images(empty.path()).unwrap_err().to_string().contains("no image"));
    }
}
