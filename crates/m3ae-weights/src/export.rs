//! Writing: safetensors under the reference's parameter names, in PyTorch's layout.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::{Bytes, DType};
use m3ae_model::M3ae;
use safetensors::{Dtype, View};

use crate::error::WeightsError;
use crate::names::to_reference;

/// One parameter, its bytes read from the device.
struct Parameter {
    shape: Vec<usize>,
    bytes: Bytes,
}

impl View for Parameter {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The model's parameters under the reference's names, in PyTorch's layout (linear weights as `[out, in]`).
#[must_use]
pub fn state_dict(model: &M3ae) -> Vec<StoredTensor> {
    let mut tensors = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    for tensor in &mut tensors {
        tensor.name = to_reference(&tensor.name);
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

/// Writes the model's parameters to `path` as safetensors, whole or not at all: under a temporary name first, then renamed.
/// `metadata` goes into the file's header.
///
/// # Errors
/// The folder cannot be written, or a parameter cannot be read back from its device.
pub fn save(model: &M3ae, path: &Path, metadata: HashMap<String, String>) -> Result<(), WeightsError> {
    let format = |problem: String| WeightsError::Format { path: path.to_owned(), problem };
    let mut parameters = Vec::new();
    for tensor in state_dict(model) {
        if tensor.dtype != DType::F32 {
            return Err(format(format!(
                "parameter {} is {:?}; weights are kept in float32",
                tensor.name, tensor.dtype
            )));
        }
        let (name, _, shape, _, bytes) = tensor.into_parts().map_err(|error| format(error.to_string()))?;
        parameters.push((name, Parameter { shape: shape.to_vec(), bytes }));
    }
    let part = path.with_extension("safetensors.part");
    safetensors::serialize_to_file(parameters, Some(metadata), &part).map_err(|error| format(error.to_string()))?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(WeightsError::io(&part))?;
    fs::rename(&part, path).map_err(WeightsError::io(path))
}
