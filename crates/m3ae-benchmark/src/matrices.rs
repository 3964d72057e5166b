//! Matrices of numbers as a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::error::BenchmarkError;

/// Writes matrices of rows of equal length as float32, `[rows, columns]` each; the file appears whole or not at all.
///
/// # Errors
/// The file cannot be written, or the rows of a matrix have different lengths.
pub fn write_matrices(
    path: &Path,
    matrices: &[(&str, &[Vec<f32>])],
    metadata: HashMap<String, String>,
) -> Result<(), BenchmarkError> {
    let ragged = |error: safetensors::SafeTensorError| BenchmarkError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    let bytes: Vec<Vec<u8>> = matrices
        .iter()
        .map(|(_, rows)| rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(matrices.len());
    for ((name, rows), bytes) in matrices.iter().zip(&bytes) {
        let shape = vec![rows.len(), rows.first().map_or(0, Vec::len)];
        views.push((*name, TensorView::new(Dtype::F32, shape, bytes).map_err(ragged)?));
    }
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(ragged)?;
    m3ae_files::write(path, &bytes)?;
    Ok(())
}
