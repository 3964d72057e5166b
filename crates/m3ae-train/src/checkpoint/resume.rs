//! Going on with a run: the newest whole checkpoint, and whether it belongs to this recipe and data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::CHECKPOINTS;
use crate::checkpoint::{Identity, Verified, list};
use crate::error::TrainError;
use crate::recipe::RunConfig;
use m3ae_files::clear_leftovers;

/// Keys that change no result: how fast data comes, where things are kept, when they are saved.
const HARMLESS: [&str; 4] = ["data.workers", "data.cache_mib", "run.directory", "checkpoint"];

/// What was found in a run's folder.
#[derive(Debug)]
pub struct Found {
    /// The newest checkpoint that is whole, if there is one.
    pub checkpoint: Option<Verified>,
    /// Newer ones that are damaged, each with what is wrong.
    pub damaged: Vec<(PathBuf, String)>,
}

/// Looks for the newest checkpoint that is whole; removes what a killed process left half-written.
///
/// # Errors
/// Such a leftover cannot be removed.
pub fn find_checkpoint(run: &Path) -> Result<Found, TrainError> {
    let folder = run.join(CHECKPOINTS);
    clear_leftovers(&folder)?;
    let mut damaged = Vec::new();
    for (_, path) in list(&folder, "step") {
        match Verified::open(&path) {
            Ok(checkpoint) => return Ok(Found { checkpoint: Some(checkpoint), damaged }),
            Err(problem) => damaged.push((path, problem)),
        }
    }
    Ok(Found { checkpoint: None, damaged })
}

/// A value that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The recipe's key; or `tokenizer`, `answers` or `data`.
    pub key: String,
    /// In the checkpoint.
    pub was: String,
    /// Now.
    pub is: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: was {}, is {}", self.key, self.was, self.is)
    }
}

/// What differs between a checkpoint and now, but for what changes no result and for what `allowed` names (keys, or sections).
///
/// # Errors
/// The checkpoint's recipe is not TOML.
pub(crate) fn differences(
    checkpoint: &Verified,
    config: &RunConfig,
    identity: &Identity,
    allowed: &[String],
) -> Result<Vec<Difference>, TrainError> {
    let parsed = |text: &str| {
        text.parse::<toml::Table>()
            .map_err(|error| TrainError::Recipe { path: checkpoint.path.clone(), problem: error.to_string() })
    };
    let (mut was, mut is) = (BTreeMap::new(), BTreeMap::new());
    flatten("", parsed(&checkpoint.recipe)?, &mut was);
    flatten("", parsed(&config.to_toml()?)?, &mut is);
    let then = &checkpoint.manifest.identity;
    for (key, before, now) in [
        ("tokenizer", &then.tokenizer, &identity.tokenizer),
        ("data", &then.data, &identity.data),
        ("answers", &of_answers(then), &of_answers(identity)),
    ] {
        was.insert(key.to_owned(), before.clone());
        is.insert(key.to_owned(), now.clone());
    }
    let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let covered = |key: &str, by: &str| key == by || key.strip_prefix(by).is_some_and(|rest| rest.starts_with('.'));
    let absent = || "absent".to_owned();
    Ok(keys
        .into_iter()
        .filter(|key| was.get(*key) != is.get(*key))
        .filter(|key| !HARMLESS.iter().any(|by| covered(key, by)) && !allowed.iter().any(|by| covered(key, by)))
        .map(|key| Difference {
            key: key.clone(),
            was: was.get(key).cloned().unwrap_or_else(absent),
            is: is.get(key).cloned().unwrap_or_else(absent),
        })
        .collect())
}

fn of_answers(identity: &Identity) -> String {
    match &identity.answers {
        None => "none".to_owned(),
        Some(answers) => {
            let hash = blake3::hash(answers.join("\n").as_bytes()).to_hex();
            format!("{} ({})", answers.len(), &hash[..16])
        }
    }
}

fn flatten(prefix: &str, table: toml::Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&path, table, into),
            value => {
                into.insert(path, value.to_string());
            }
        }
    }
}
