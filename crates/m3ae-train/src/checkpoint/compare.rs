//! Whether a checkpoint belongs to a recipe and its data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{CheckpointError, Identity, RunCheckpoint};
use crate::recipe::rename_former;

/// Keys that change no result: how fast data comes, where things are kept, when they are saved.
const HARMLESS: [&str; 4] = ["data.workers", "data.cache_mib", "run.directory", "checkpoint"];

/// A value that has changed.
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

/// The differences between a checkpoint and the run that is to be resumed with this `recipe` (TOML). Keys that change
/// no result are left out, and so are those that `allowed` names, by key or by section.
///
/// # Errors
/// One of the recipes is not TOML.
pub(crate) fn differences(
    checkpoint: &RunCheckpoint,
    recipe: &str,
    identity: &Identity,
    allowed: &[String],
) -> Result<Vec<Difference>, CheckpointError> {
    let parsed = |text: &str| {
        let table = text.parse::<toml::Table>();
        table.map_err(|error| CheckpointError::Recipe { path: checkpoint.path.clone(), problem: error.to_string() })
    };
    let (mut was, mut is) = (BTreeMap::new(), BTreeMap::new());
    flatten("", parsed(&checkpoint.recipe)?, &mut was);
    rename_former(&mut was);
    flatten("", parsed(recipe)?, &mut is);
    let then = &checkpoint.manifest.identity;
    for (key, before, now) in [
        ("tokenizer", &then.tokenizer, &identity.tokenizer),
        ("data", &then.data, &identity.data),
        ("answers", &answers_hash(then), &answers_hash(identity)),
    ] {
        was.insert(key.to_owned(), before.clone());
        is.insert(key.to_owned(), now.clone());
    }
    let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
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

/// The number of answers and the beginning of their hash.
fn answers_hash(identity: &Identity) -> String {
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
