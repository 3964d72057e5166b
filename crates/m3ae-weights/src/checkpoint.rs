//! Reading: a file on disk becomes named tensors whose bytes are read only when they are used.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::DType;

use crate::error::WeightsError;
use crate::format::Format;
use crate::locate::weights_file;
use crate::stored::StoredTensor;
use crate::{limits, pytorch, safetensors};

/// Named tensors of a file, lazily read.
#[derive(Debug)]
pub struct Checkpoint {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
    pub(crate) metadata: HashMap<String, String>,
}

impl Checkpoint {
    /// Opens a checkpoint. Its content decides how it is read, not its extension. Only names, types and shapes are read
    /// now.
    ///
    /// In a folder, `model.safetensors` is opened, or else `pytorch_model.bin`. The folder of a training run has its
    /// model in the subfolder `model`.
    ///
    /// # Errors
    /// The file is missing, damaged, hostile or of an unknown format, or the folder is that of a run without a model.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = weights_file(path)?;
        let (format, tensors, metadata) = if is_safetensors(&file)? {
            let opened = safetensors::open(&file)?;
            (Format::Safetensors, opened.tensors, opened.metadata)
        } else {
            let (format, tensors) = pytorch::open(&file)?;
            (format, tensors, HashMap::new())
        };
        if tensors.is_empty() {
            return Err(WeightsError::format(&file, "it holds no tensors"));
        }
        check_expansion(&file, &tensors)?;
        Ok(Self { path: file, format, tensors, metadata })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
        self.tensors.get(name).map(|tensor| tensor.shape.clone())
    }

    /// Stored type of a tensor, if it is there.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<DType> {
        self.tensors.get(name).map(|tensor| tensor.dtype)
    }

    /// What a safetensors file says about itself; empty for other formats.
    #[must_use]
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// A tensor's values as float32, row by row in the file's order.
    ///
    /// # Errors
    /// There is no such tensor, it is not of a floating-point type, or it cannot be read.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let problem =
            |problem: String| WeightsError::Tensor { path: self.path.clone(), name: name.to_owned(), problem };
        let tensor = self.tensors.get(name).ok_or_else(|| problem("is not in the file".into()))?;
        if !tensor.is_float() {
            return Err(problem(format!("type {:?} is no floating-point type", tensor.dtype)));
        }
        tensor.read_f32().map_err(|error| problem(error.to_string()))
    }
}

/// A safetensors file starts with a header length and a JSON object; PyTorch files start with a zip or pickle
/// signature.
fn is_safetensors(path: &Path) -> Result<bool, WeightsError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(WeightsError::io(path))?;
    file.take(9).read_to_end(&mut start).map_err(WeightsError::io(path))?;
    if start.len() < 9 {
        return Err(WeightsError::format(path, "the file is shorter than any header"));
    }
    Ok(safetensors::starts_like(&start))
}

fn check_expansion(path: &Path, tensors: &BTreeMap<String, StoredTensor>) -> Result<(), WeightsError> {
    let file_len = fs::metadata(path).map_err(WeightsError::io(path))?.len();
    let limit = limits::expansion(file_len);
    let total = tensors.values().try_fold(0_usize, |total, tensor| total.checked_add(tensor.byte_len()?));
    match total {
        Some(total) if total as u64 <= limit => Ok(()),
        _ => {
            let total = total.map_or("too many".to_owned(), |total| total.to_string());
            let problem = format!("its tensors would take {total} bytes, out of a file of {file_len}");
            Err(WeightsError::format(path, problem))
        }
    }
}
