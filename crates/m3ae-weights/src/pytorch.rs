//! PyTorch files: zip and legacy pickles through `pytorch-reader`, TorchScript archives through [`crate::torchscript`].

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use burn::store::pytorch_reader::{DType as TorchType, PickleValue, PytorchError, PytorchReader, Tensor};
use burn::tensor::{BoolStore, DType};
use serde_json::Value;

use crate::error::WeightsError;
use crate::format::Format;
use crate::stored::{Source, StoredTensor};
use crate::torchscript::{self, Archive};

/// Largest `data.pkl` accepted. That of a Lightning checkpoint with its optimiser's state has well under 1 MB.
const MAX_PICKLE: u64 = 8 << 20;

/// Where `ustar` stands in a tar file.
const TAR_MAGIC: usize = 257;

struct Pickled(Tensor);

impl Source for Pickled {
    fn read(&self) -> io::Result<Vec<u8>> {
        self.0.read()
    }
}

/// Opens a PyTorch file of any kind.
pub(crate) fn open(path: &Path) -> Result<(Format, BTreeMap<String, StoredTensor>), WeightsError> {
    if starts_with_zip(path)? {
        let archive = Archive::open(path)?;
        if archive.is_torchscript() {
            return Ok((Format::TorchScript, torchscript::open(path, archive)?));
        }
        let size = archive.size("data.pkl").map_err(|error| WeightsError::format(path, error.to_string()))?;
        if size > MAX_PICKLE {
            let problem = format!("its pickle declares {size} bytes; at most {MAX_PICKLE} are accepted");
            return Err(WeightsError::format(path, problem));
        }
    }
    let failed = |error: PytorchError| WeightsError::format(path, error.to_string());
    // Lightning keeps the weights under `state_dict`; a plain state dictionary has no such key.
    let (format, reader) = match PytorchReader::with_top_level_key(path, "state_dict") {
        Ok(reader) => (Format::Lightning, reader),
        Err(PytorchError::KeyNotFound(_)) => (Format::Pytorch, PytorchReader::new(path).map_err(failed)?),
        Err(error) => return Err(failed(error)),
    };
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let stored = StoredTensor::new(dtype(tensor.dtype()), tensor.shape().to_vec(), Arc::new(Pickled(tensor)));
        (name, stored)
    });
    Ok((format, tensors.collect()))
}

/// Whether the file is a zip archive. A bare pickle is refused: it has no place for tensors, and no bound on what it
/// builds.
fn starts_with_zip(path: &Path) -> Result<bool, WeightsError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(WeightsError::io(path))?;
    file.take(TAR_MAGIC as u64 + 5).read_to_end(&mut start).map_err(WeightsError::io(path))?;
    if start.starts_with(b"PK") {
        return Ok(true);
    }
    // The number that opens pickles of PyTorch before 1.6, in the two ways in which it is written.
    let (binary, text) =
        (b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19".as_slice(), b"119547037146038801333356".as_slice());
    let head = &start[..start.len().min(64)];
    let legacy = [binary, text].into_iter().any(|magic| head.windows(magic.len()).any(|window| window == magic));
    if legacy || start.get(TAR_MAGIC..) == Some(b"ustar") {
        return Ok(false);
    }
    Err(WeightsError::format(path, "it starts like none of a zip archive, a legacy PyTorch file or safetensors"))
}

fn dtype(dtype: TorchType) -> DType {
    match dtype {
        TorchType::F64 => DType::F64,
        TorchType::F32 => DType::F32,
        TorchType::F16 => DType::F16,
        TorchType::BF16 => DType::BF16,
        TorchType::I64 => DType::I64,
        TorchType::I32 => DType::I32,
        TorchType::I16 => DType::I16,
        TorchType::I8 => DType::I8,
        TorchType::U64 => DType::U64,
        TorchType::U32 => DType::U32,
        TorchType::U16 => DType::U16,
        TorchType::U8 => DType::U8,
        TorchType::Bool => DType::Bool(BoolStore::Native),
    }
}

/// The `hyper_parameters` of a Lightning checkpoint as JSON, if it has any; what JSON cannot say becomes null.
pub(crate) fn hyper_parameters(path: &Path) -> Result<Option<Value>, WeightsError> {
    let value = match PytorchReader::read_pickle_data(path, Some("hyper_parameters")) {
        Ok(value) => value,
        Err(PytorchError::KeyNotFound(_)) => return Ok(None),
        Err(error) => return Err(WeightsError::format(path, error.to_string())),
    };
    let PickleValue::Dict(mut outer) = value else { return Ok(None) };
    // The reference saves them as the one argument `config` of its module; others save them flat.
    let settings = match outer.remove("config") {
        Some(PickleValue::Dict(config)) => config,
        _ => outer,
    };
    Ok(Some(object(settings)))
}

fn object(entries: HashMap<String, PickleValue>) -> Value {
    Value::Object(entries.into_iter().map(|(key, value)| (key, json(value))).collect())
}

fn json(value: PickleValue) -> Value {
    match value {
        PickleValue::Bool(value) => value.into(),
        PickleValue::Int(value) => value.into(),
        PickleValue::Float(value) => value.into(),
        PickleValue::String(value) => value.into(),
        PickleValue::List(items) => items.into_iter().map(json).collect(),
        PickleValue::Dict(entries) => object(entries),
        PickleValue::None | PickleValue::Bytes(_) | PickleValue::Unsupported(_) => Value::Null,
    }
}
