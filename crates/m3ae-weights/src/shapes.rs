//! Shapes of a checkpoint's tensors, from which configurations follow.

use std::collections::BTreeSet;

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;

/// Looks up the shape of a tensor that every such checkpoint has; an error names the tensor.
pub(crate) struct Shapes<'a>(pub &'a Checkpoint);

impl Shapes<'_> {
    pub(crate) fn error(&self, problem: String) -> WeightsError {
        WeightsError::NotM3ae { path: self.0.path.clone(), problem }
    }

    pub(crate) fn of<const D: usize>(&self, name: &str) -> Result<[usize; D], WeightsError> {
        let problem = match self.0.shape(name) {
            None => format!("tensor {name} is missing: this is not an M3AE checkpoint"),
            Some(shape) => match <[usize; D]>::try_from(shape) {
                Ok(shape) if shape.contains(&0) => format!("tensor {name} is empty: its shape is {shape:?}"),
                Ok(shape) => return Ok(shape),
                Err(shape) => format!("tensor {name} has shape {shape:?}, which should have {D} axes"),
            },
        };
        Err(self.error(problem))
    }

    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.0.names().any(|name| name.starts_with(prefix))
    }

    /// Number of modules in a list, whose indices after `prefix` run from 0 without a gap.
    pub(crate) fn count(&self, prefix: &str) -> Result<usize, WeightsError> {
        let indices =
            self.0.names().filter_map(|name| name.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok());
        let indices: BTreeSet<usize> = indices.collect();
        match indices.iter().enumerate().find(|&(expected, &index)| expected != index) {
            None => Ok(indices.len()),
            Some((expected, index)) => Err(self.error(format!("it has {prefix}{index} and no {prefix}{expected}"))),
        }
    }
}
