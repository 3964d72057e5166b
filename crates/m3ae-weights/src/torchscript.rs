//! TorchScript archives, as OpenAI ships CLIP: a zip with `data.pkl` (the module tree), `data/N` (the storages) and
//! `code/` (never read). Only tensors are read; nothing is executed.
//!
//! Burn's PyTorch reader refuses these archives, and the published M3AE recipe starts from one: OpenAI's `ViT-B-16.pt`
//! is a TorchScript archive.
//!
//! ```text
//! ViT-B-16/data.pkl            an object of class __torch__.… whose attributes are tensors and further objects
//! ViT-B-16/data/0, data/1, …   one storage each, little-endian
//! ViT-B-16/code/…              program text: ignored
//! ```

mod archive;
mod machine;
mod pickle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::WeightsError;
use crate::stored::{Source, StoredTensor, elements};
pub(crate) use archive::Archive;
use pickle::{Id, Pickle, PickleError, Value, View};

/// Largest `data.pkl` of a TorchScript archive. CLIP's has about 100 kB.
pub(crate) const MAX_PICKLE: u64 = 2 << 20;
/// Deepest nesting of modules.
const MAX_DEPTH: usize = 64;
/// Most attributes visited: a module that is used twice is visited twice.
const MAX_VISITED: usize = 100_000;

/// Opens a TorchScript archive's tensors, named by their attribute paths.
pub(crate) fn open(path: &Path, archive: Archive) -> Result<BTreeMap<String, StoredTensor>, WeightsError> {
    let failed = |problem: String| WeightsError::format(path, problem);
    if let Some(order) = archive.text("byteorder").map_err(|error| failed(error.to_string()))?
        && order != "little"
    {
        return Err(failed(format!("its byte order is {order}; little-endian files are read")));
    }
    let bytes = archive.entry("data.pkl", MAX_PICKLE).map_err(|error| failed(error.to_string()))?;
    let pickle = Pickle::read(&bytes).map_err(|error| failed(error.to_string()))?;
    let mut walk = Walk { pickle: &pickle, visited: 0, found: BTreeMap::new() };
    walk.visit(pickle.root, &mut Vec::new()).map_err(|error| failed(error.to_string()))?;
    let found = walk.found;

    let archive = Arc::new(archive);
    let mut tensors = BTreeMap::new();
    for (name, view) in found {
        let problem = |problem: String| WeightsError::Tensor { path: path.to_owned(), name: name.clone(), problem };
        let held = archive.storage_len(view.key).map_err(|error| problem(error.to_string()))?;
        let needed = view.storage.checked_mul(view.dtype.size());
        if needed.is_none_or(|needed| needed as u64 > held) {
            let claimed = view.storage;
            return Err(problem(format!("storage {} is to hold {claimed} elements and has {held} bytes", view.key)));
        }
        let source = StorageView {
            archive: archive.clone(),
            key: view.key.to_owned(),
            element: view.dtype.size(),
            offset: view.offset,
            shape: view.shape.clone(),
            stride: view.stride.clone(),
            extent: view.extent().unwrap_or(0),
        };
        let tensor = StoredTensor::new(view.dtype, view.shape.clone(), Arc::new(source));
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Collects the tensors of an object tree under their dotted names.
struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    visited: usize,
    found: BTreeMap<String, View<'a>>,
}

impl<'a> Walk<'_, 'a> {
    fn visit(&mut self, id: Id, path: &mut Vec<&'a str>) -> Result<(), PickleError> {
        if path.len() > MAX_DEPTH {
            return Err(PickleError::Limit("modules are nested more than 64 deep"));
        }
        let attributes = match self.pickle.get(id) {
            Value::Object(Some(state)) => *state,
            Value::Dict(_) => id,
            Value::Tensor(view) => {
                if self.found.insert(path.join("."), (**view).clone()).is_some() {
                    return Err(PickleError::Malformed("two tensors have one name"));
                }
                return Ok(());
            }
            // Flags, constants, empty objects: not weights.
            _ => return Ok(()),
        };
        let Value::Dict(attributes) = self.pickle.get(attributes) else {
            return Err(PickleError::Malformed("an object's attributes are no dictionary"));
        };
        for &(key, value) in attributes {
            self.visited += 1;
            if self.visited > MAX_VISITED {
                return Err(PickleError::Limit("more than 100000 attributes: a memo bomb"));
            }
            let Value::Text(key) = *self.pickle.get(key) else {
                return Err(PickleError::Malformed("an attribute's name is no text"));
            };
            path.push(key);
            self.visit(value, path)?;
            path.pop();
        }
        Ok(())
    }
}

/// A strided view of a storage entry.
struct StorageView {
    archive: Arc<Archive>,
    key: String,
    /// Bytes of an element.
    element: usize,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
    /// One more than the last element read.
    extent: usize,
}

impl Source for StorageView {
    fn read(&self) -> io::Result<Vec<u8>> {
        let count = elements(&self.shape).unwrap_or(0);
        if count == 0 {
            return Ok(Vec::new());
        }
        // The extent lies within the entry, which lies within the limits checked at opening.
        let mut bytes = self.archive.storage(&self.key, self.extent * self.element)?;
        bytes.drain(..self.offset * self.element);
        if self.is_contiguous() {
            bytes.truncate(count * self.element);
            return Ok(bytes);
        }
        let mut gathered = Vec::with_capacity(count * self.element);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.stride).map(|(i, step)| i * step).sum();
            gathered.extend_from_slice(&bytes[at * self.element..(at + 1) * self.element]);
            for (i, &axis) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < axis {
                    break;
                }
                *i = 0;
            }
        }
        Ok(gathered)
    }
}

impl StorageView {
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(&axis, &step)| {
            let fits = axis <= 1 || step == expected;
            expected *= axis.max(1);
            fits
        })
    }
}
