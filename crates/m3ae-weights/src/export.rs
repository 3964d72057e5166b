//! Writing: safetensors under the reference's parameter names, in PyTorch's layout, one tensor in memory at a time.
//!
//! `safetensors::serialize_to_file` does not serve here. It opens the file itself, so the bytes could not be hashed on
//! their way to the disk, and reading a parameter back from a device can fail, which its `View::data` has no way to
//! say.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::DType;
use m3ae_model::M3ae;
use serde_json::{Map, Value, json};

use crate::error::WeightsError;
use crate::names::to_reference;

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

/// Writes the model's parameters to `path` as safetensors, whole or not at all: under a temporary name first, then
/// renamed. `metadata` goes into the file's header.
///
/// The file is complete for the reference's strict loading of the parts it computes with. What the reference carries
/// and never reads is not there: CLIP's text tower (`vision_encoder.token_embedding`, `.positional_embedding`,
/// `.ln_final`) and the text encoder's `language_encoder.pooler`.
///
/// # Errors
/// The folder cannot be written, or a parameter cannot be read back from its device.
pub fn save(model: &M3ae, path: &Path, metadata: HashMap<String, String>) -> Result<(), WeightsError> {
    save_tensors(state_dict(model), path, metadata)
}

/// Writes float32 tensors to `path` as safetensors, in this order, whole or not at all. Each is read when it is
/// written.
///
/// # Errors
/// As [`save`]; or a tensor of another type.
pub fn save_tensors(
    tensors: Vec<StoredTensor>,
    path: &Path,
    metadata: HashMap<String, String>,
) -> Result<(), WeightsError> {
    m3ae_files::write_file(path, |file| write_tensors(tensors, file, path, metadata)).map(drop)
}

/// Writes float32 tensors as [`save_tensors`] does, to a file that the caller makes. Errors name it by `path`.
///
/// # Errors
/// As [`save_tensors`].
pub fn write_tensors(
    tensors: Vec<StoredTensor>,
    file: &mut dyn Write,
    path: &Path,
    metadata: HashMap<String, String>,
) -> Result<(), WeightsError> {
    let failed =
        |name: &str, problem: String| WeightsError::Tensor { path: path.to_owned(), name: name.into(), problem };
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata.into_iter().collect::<BTreeMap<_, _>>()));
    }
    let mut offset = 0;
    for tensor in &tensors {
        if tensor.dtype != DType::F32 {
            return Err(failed(&tensor.name, format!("type {:?}; weights are kept in float32", tensor.dtype)));
        }
        let end = offset + tensor.byte_len();
        let entry = json!({ "dtype": "F32", "shape": tensor.shape.to_vec(), "data_offsets": [offset, end] });
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' '); // tensors start at a multiple of their element's size
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(WeightsError::io(path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for tensor in tensors {
        let name = tensor.name.clone();
        put(&tensor.into_bytes().map_err(|error| failed(&name, error.to_string()))?)?;
    }
    Ok(())
}
