//! Where weights are: in a file, in a model folder, or in the folder of a training run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::WeightsError;

/// Weights in a folder, in this order of preference.
pub(crate) const WEIGHT_FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// A finished training run keeps its model in this subfolder.
const MODEL: &str = "model";
/// A training run keeps its checkpoints in this subfolder, as `step-000400` and `best-000400`.
const CHECKPOINTS: &str = "checkpoints";

/// The file or folder that holds the weights: `path` itself, or for the folder of a run its subfolder `model`.
///
/// # Errors
/// The run has no model yet: it is still training, or it was stopped.
pub(crate) fn locate(path: &Path) -> Result<PathBuf, WeightsError> {
    if !path.is_dir() || weights_in(path).is_some() {
        return Ok(path.to_owned());
    }
    let model = path.join(MODEL);
    if weights_in(&model).is_some() {
        return Ok(model);
    }
    if path.join(CHECKPOINTS).is_dir() {
        return Err(WeightsError::Unfinished { path: path.to_owned(), checkpoint: newest_checkpoint(path) });
    }
    Ok(path.to_owned())
}

/// The file of weights that [`locate`] leads to.
///
/// # Errors
/// As [`locate`], or the folder has no weights.
pub(crate) fn weights_file(path: &Path) -> Result<PathBuf, WeightsError> {
    let place = locate(path)?;
    if !place.is_dir() {
        return Ok(place);
    }
    weights_in(&place).ok_or_else(|| {
        let problem = format!("the folder has none of {}", WEIGHT_FILES.join(", "));
        WeightsError::format(&place, problem)
    })
}

/// The file of weights directly in a folder.
fn weights_in(folder: &Path) -> Option<PathBuf> {
    WEIGHT_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The checkpoint with the highest step. Folders whose names begin with a dot are not complete.
fn newest_checkpoint(run: &Path) -> Option<PathBuf> {
    let step = |path: &Path| {
        let (kind, step) = path.file_name()?.to_str()?.rsplit_once('-')?;
        (!kind.starts_with('.')).then(|| step.parse::<u64>().ok()).flatten()
    };
    let folders = fs::read_dir(run.join(CHECKPOINTS)).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let complete = folders.filter(|path| weights_in(path).is_some());
    complete.filter_map(|path| Some((step(&path)?, path))).max().map(|(_, path)| path)
}
