//! Preparing a published set on the way, where only its raw folder is there.

use std::path::Path;

use anyhow::{Context, Result};
use m3ae_prepare::{PrepareOptions, SetName, prepare};

use crate::output::say;

/// Prepares a set that is not prepared yet (judged by the file of `split`), where its raw folder is there. Says whether it did.
pub fn prepare_absent(set: SetName, raw: &Path, out: &Path, split: &str, options: &PrepareOptions) -> Result<bool> {
    let is_there = out.join(format!("{}_{split}.arrow", set.file_stem())).is_file();
    if is_there || !raw.is_dir() {
        return Ok(false);
    }
    say!("preparing {set} from {} (once)", raw.display());
    prepare(set, raw, out, options, &mut |_| {}).with_context(|| format!("preparing {set} from {}", raw.display()))?;
    Ok(true)
}
