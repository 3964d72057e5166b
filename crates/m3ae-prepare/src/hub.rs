//! Question-answering sets as the Hugging Face hub keeps them: Parquet files with an image, a question and an answer
//! per row.
//!
//! ```text
//! <raw>/data/train-00000-of-00002-….parquet, validation-….parquet, test-….parquet   (also <raw>/train/0000.parquet)
//!   image: struct { bytes, path }, or binary   question, answer: string   (optional: qid, answer_type, q_lang)
//! ```
//!
//! They are unpacked, each image once, to VQA-RAD's layout in a folder of the output, which goes away when the set is
//! prepared.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{PrepareError, SetName};

/// How deep below the raw folder files are looked for.
const DEPTH: usize = 3;
/// Each split of ours, and what its files may be called.
const SPLITS: [(&str, &[&str]); 3] = [("train", &["train"]), ("val", &["val", "dev"]), ("test", &["test"])];

/// A set's Parquet files.
pub(crate) struct Files {
    /// By split.
    pub splits: [(&'static str, Vec<PathBuf>); 3],
}

/// The Parquet files of a set, where its raw folder has them and not the published layout.
pub(crate) fn files(set: SetName, raw: &Path) -> Result<Option<Files>, PrepareError> {
    if !matches!(set, SetName::VqaRad | SetName::Slake | SetName::VqaMed2019) {
        return Ok(None);
    }
    // A file stands for its folder.
    let folder = match raw.is_file() {
        true => raw.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        false => raw,
    };
    let mut found = Vec::new();
    list(folder, DEPTH, &mut found);
    let published = ["trainset.json", "train.json", "train"].iter().any(|name| folder.join(name).exists());
    if found.is_empty() || (published && !found.iter().any(|path| path.starts_with(folder.join("train")))) {
        return Ok(None);
    }
    found.sort();
    let mut splits = SPLITS.map(|(split, _)| (split, Vec::new()));
    for path in found {
        let inside = path.strip_prefix(folder).unwrap_or(&path);
        let names: Vec<String> =
            inside.components().map(|part| part.as_os_str().to_string_lossy().to_lowercase()).collect();
        // The file's own name says more than its folder's.
        let place = names.iter().rev().find_map(|name| {
            SPLITS.iter().position(|(_, prefixes)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        });
        let Some(place) = place else {
            let problem = "neither its name nor its folder's begins with train, validation or test";
            return Err(PrepareError::format(&path, problem));
        };
        splits[place].1.push(path);
    }
    for (split, files) in &splits {
        if files.is_empty() && *split != "val" {
            let path = folder.join(format!("{split}-*.parquet"));
            let expected = "the hub's files of every split, as datasets/README.md has them".to_owned();
            return Err(PrepareError::Missing { path, expected });
        }
    }
    Ok(Some(Files { splits }))
}

fn list(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // What `hf download` keeps for itself.
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() && depth > 0 && !is_hidden {
            list(&path, depth - 1, found);
        } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
            found.push(path);
        }
    }
}

/// A set in VQA-RAD's layout; removed when this is dropped.
pub(crate) struct Unpacked(pub PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        // Best effort: the next run overwrites what stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(not(feature = "parquet"))]
pub(crate) fn unpack(set: SetName, files: &Files, _: &Path) -> Result<Unpacked, PrepareError> {
    let first = files.splits.iter().flat_map(|(_, paths)| paths).next().map(|path| path.display().to_string());
    let problem = format!(
        "{} is a Parquet file, which this program was built without: build it with --features parquet",
        first.unwrap_or_default()
    );
    Err(PrepareError::Option { set, problem })
}

#[cfg(feature = "parquet")]
pub(crate) use crate::parquet::unpack;
