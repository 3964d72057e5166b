//! Applying a checkpoint to a model: strictly, tensor by tensor, with a reason for each one left out.

use burn::store::{ApplyError, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter};
use burn::tensor::DType;
use m3ae_model::M3ae;

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::names::{from_reference, ignorable, to_reference};

/// What happened while loading.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// The reference's names of the tensors that now are in the model.
    pub loaded: Vec<String>,
    /// Tensors of the file that were left out, each with the reason.
    pub ignored: Vec<(String, &'static str)>,
}

/// Loads every tensor of `checkpoint` into `model`. Stored types are converted to float32.
///
/// # Errors
/// Any tensor that the model lacks, that the file lacks, or whose shape or type differs: all of them, named. The model is then
/// partly loaded and must not be used.
pub fn load(model: &mut M3ae, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    let mut report = LoadReport::default();
    let mut tensors = Vec::with_capacity(checkpoint.tensors.len());
    for (name, tensor) in &checkpoint.tensors {
        match ignorable(name) {
            Some(reason) => report.ignored.push((name.clone(), reason)),
            None => {
                let mut tensor = tensor.clone();
                tensor.name = from_reference(name);
                tensors.push(tensor);
            }
        }
    }
    let adapter = FloatCastAdapter::to(DType::F32).chain(PyTorchToBurnAdapter);
    let result = model.apply(tensors, None, Some(Box::new(adapter)), true);

    let missing = result.missing.iter().map(|(path, _)| format!("  missing: {}", to_reference(path)));
    let unexpected = result.unused.iter().map(|path| format!("  unexpected: {}", to_reference(path)));
    let problems: Vec<String> = result.errors.iter().map(describe).chain(missing).chain(unexpected).collect();
    if !problems.is_empty() {
        return Err(WeightsError::Mismatch { path: checkpoint.path.clone(), problems });
    }
    report.loaded = result.applied.iter().map(|path| to_reference(path)).collect();
    Ok(report)
}

fn describe(error: &ApplyError) -> String {
    match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            let (expected, found) = (expected.to_vec(), found.to_vec());
            // Linear weights are transposed on the way in: the file's own order is the reverse.
            format!("  {}: the file has shape {found:?}, the model needs {expected:?}", to_reference(path))
        }
        ApplyError::DTypeMismatch { path, expected, found } => {
            format!("  {}: the file has type {found:?}, the model needs {expected:?}", to_reference(path))
        }
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            format!("  {}: {message}", to_reference(path))
        }
    }
}
