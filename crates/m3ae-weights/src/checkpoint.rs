//! Reading: a file on disk becomes named tensors whose bytes are read only when they are used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::pytorch_reader::{PytorchError, PytorchReader};
use burn::store::{ModuleStore, SafetensorsStore, bridge};

use crate::error::WeightsError;

/// Which container the tensors came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A PyTorch-Lightning checkpoint: weights under `state_dict`.
    Lightning,
    /// A PyTorch state dictionary.
    Pytorch,
    /// safetensors.
    Safetensors,
}

/// Named tensors of a file, lazily read.
#[derive(Debug)]
pub struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
}

impl Checkpoint {
    /// Opens a checkpoint, by content and not by extension. Only names, types and shapes are read now.
    ///
    /// # Errors
    /// The file is missing, damaged, or of no kind we read.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let (format, tensors) = if is_safetensors(path)? { open_safetensors(path)? } else { open_pytorch(path)? };
        if tensors.is_empty() {
            return Err(WeightsError::Format { path: path.to_owned(), problem: "it holds no tensors".into() });
        }
        Ok(Self { path: path.to_owned(), format, tensors })
    }

    /// Which container the tensors came in.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor, if it is there.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|tensor| tensor.shape.to_vec())
    }
}

/// A safetensors file starts with a header length and a JSON object; PyTorch files start with a zip or pickle signature.
fn is_safetensors(path: &Path) -> Result<bool, WeightsError> {
    let mut start = [0_u8; 9];
    let mut file = File::open(path).map_err(WeightsError::io(path))?;
    match file.read_exact(&mut start) {
        Ok(()) => Ok(start[8] == b'{'),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(WeightsError::Format { path: path.to_owned(), problem: "the file is shorter than any header".into() })
        }
        Err(error) => Err(WeightsError::io(path)(error)),
    }
}

type Opened = (Format, BTreeMap<String, StoredTensor>);

fn open_safetensors(path: &Path) -> Result<Opened, WeightsError> {
    let mut store = SafetensorsStore::from_file(path);
    let tensors = store
        .get_all_tensors()
        .map_err(|error| WeightsError::Format { path: path.to_owned(), problem: error.to_string() })?;
    Ok((Format::Safetensors, tensors.clone()))
}

fn open_pytorch(path: &Path) -> Result<Opened, WeightsError> {
    let failed = |error: PytorchError| WeightsError::Format { path: path.to_owned(), problem: error.to_string() };
    // Lightning keeps the weights under `state_dict`; a plain state dictionary has no such key.
    let (format, reader) = match PytorchReader::with_top_level_key(path, "state_dict") {
        Ok(reader) => (Format::Lightning, reader),
        Err(PytorchError::KeyNotFound(_)) => (Format::Pytorch, PytorchReader::new(path).map_err(failed)?),
        Err(error) => return Err(failed(error)),
    };
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| (name, bridge::from_pytorch(tensor)));
    Ok((format, tensors.collect()))
}
