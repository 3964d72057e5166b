//! Prepared files of a benchmark: where they are, and how a protocol prepares them.

use std::path::{Path, PathBuf};

use m3ae_prepare::{PrepareOptions, SetName, ValChoice, VocabularyScope, prepare};

use crate::error::BenchmarkError;
use crate::event::{Event, Observer};
use crate::names::{ProtocolName, Split};

/// How a protocol prepares a set; without one, as fine-tuning prepares it.
#[must_use]
pub fn prepare_options(set: SetName, protocol: Option<ProtocolName>) -> PrepareOptions {
    let is_rad = set == SetName::VqaRad;
    let (vocabulary, val) = match protocol {
        // Of the published sets, VQA-RAD alone has no validation split: what its users put in its place is a copy of
        // test.
        Some(ProtocolName::Clean) => (VocabularyScope::Train, is_rad.then_some(ValChoice::Split)),
        Some(ProtocolName::Published) => (VocabularyScope::All, is_rad.then_some(ValChoice::CopyTest)),
        None => (VocabularyScope::All, None),
    };
    PrepareOptions { vocabulary, val, ..PrepareOptions::default() }
}

/// Prepares a set where the prepared file of `split` is missing and its raw folder is there. Says whether it did.
///
/// # Errors
/// The raw set cannot be prepared.
pub fn prepare_absent(
    set: SetName,
    raw: &Path,
    prepared: &Path,
    split: Split,
    protocol: Option<ProtocolName>,
    observer: Observer<'_>,
) -> Result<bool, BenchmarkError> {
    if prepared_path(prepared, set, split).is_file() || !raw.is_dir() {
        return Ok(false);
    }
    observer(Event::Preparing { set, raw });
    let options = prepare_options(set, protocol);
    let done = prepare(set, raw, prepared, &options, &mut |_| {});
    done.map_err(|source| BenchmarkError::Prepare { set, raw: raw.to_owned(), source })?;
    Ok(true)
}

/// The prepared file of a set's split.
#[must_use]
pub fn prepared_path(folder: &Path, set: SetName, split: Split) -> PathBuf {
    folder.join(set.file_name(split.name()))
}

/// Where a set's prepared files are by default.
#[must_use]
pub fn default_prepared(set: SetName, raw: &Path, protocol: Option<ProtocolName>) -> PathBuf {
    match (set, protocol) {
        // Where fine-tuning has it.
        (SetName::Phantom, None | Some(ProtocolName::Published)) => raw.join("arrows"),
        (SetName::Phantom, Some(ProtocolName::Clean)) => raw.join("arrows-clean"),
        (_, Some(ProtocolName::Clean)) => "data/arrows-clean".into(),
        (_, _) => "data/arrows".into(),
    }
}
