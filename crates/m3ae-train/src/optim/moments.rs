//! AdamW's moments in a file.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use burn::prelude::*;
use m3ae_weights::{Checkpoint, LazyTensor, LazyTensorError, WeightsError, write_tensors};

use super::adamw::Moments;

/// Metadata key of each parameter's number of updates.
const STEPS: &str = "steps";

/// Writes `first.<parameter>` and `second.<parameter>`, flat; one tensor in memory at a time. Errors name
/// the file by `path`.
pub(crate) fn write_moments(
    moments: &BTreeMap<String, Moments>,
    file: &mut dyn Write,
    path: &Path,
) -> Result<(), WeightsError> {
    let mut tensors = Vec::with_capacity(2 * moments.len());
    let mut steps = BTreeMap::new();
    for (name, Moments { first, second, steps: count }) in moments {
        for (kind, tensor) in [("first", first), ("second", second)] {
            tensors.push(stored(format!("{kind}.{name}"), tensor.clone()));
        }
        steps.insert(name, count);
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let steps = serde_json::to_string(&steps).map_err(|error| malformed(path, &error.to_string()))?;
    write_tensors(tensors, file, path, HashMap::from([(STEPS.to_owned(), steps)]))
}

fn malformed(path: &Path, problem: &str) -> WeightsError {
    WeightsError::Format { path: path.to_owned(), problem: problem.to_owned() }
}

fn stored(name: String, tensor: Tensor<1>) -> LazyTensor {
    let shape = tensor.shape();
    let bytes = 4 * shape.num_elements();
    let read = move || {
        let data = tensor.clone().try_into_data();
        let data = data.map_err(|error| LazyTensorError::IoError(format!("{error:?}")))?;
        Ok(data.convert::<f32>().into_bytes())
    };
    LazyTensor::deferred(name, burn::tensor::DType::F32, shape, None, bytes, read)
}

/// Reads what [`write_moments`] wrote.
pub(crate) fn read_moments(path: &Path, device: &Device) -> Result<BTreeMap<String, Moments>, WeightsError> {
    let device = device.clone().inner();
    let missing = |problem: &str| malformed(path, problem);
    let file = Checkpoint::open(path)?;
    let steps = file.metadata().get(STEPS).ok_or_else(|| missing("it lacks each parameter's number of updates"))?;
    let steps: BTreeMap<String, i32> = serde_json::from_str(steps).map_err(|error| missing(&error.to_string()))?;
    let tensor = |name: String| -> Result<Tensor<1>, WeightsError> {
        Ok(Tensor::from_data(file.values(&name)?.as_slice(), &device))
    };
    steps
        .into_iter()
        .map(|(name, steps)| {
            let (first, second) = (tensor(format!("first.{name}"))?, tensor(format!("second.{name}"))?);
            Ok((name, Moments { first, second, steps }))
        })
        .collect()
}
