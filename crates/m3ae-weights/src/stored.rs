//! One tensor of a file: type and shape are known, the bytes are read when they are used.

use std::fmt;
use std::io;
use std::sync::Arc;

use burn::tensor::{DType, bf16, f16};

/// Values decoded at a time: small enough to stay in a core's cache.
const CHUNK: usize = 1 << 16;

/// Side of the square in which matrices are transposed.
const TILE: usize = 16;

/// Where a tensor's bytes come from: little-endian, contiguous, row by row.
pub(crate) trait Source: Send + Sync {
    /// All bytes.
    fn read(&self) -> io::Result<Vec<u8>>;

    /// The same bytes in pieces of at most `size`; every piece but the last has exactly that size.
    fn read_chunks(&self, size: usize, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        self.read()?.chunks(size).for_each(sink);
        Ok(())
    }
}

/// A tensor in a file.
#[derive(Clone)]
pub(crate) struct StoredTensor {
    pub dtype: DType,
    pub shape: Vec<usize>,
    source: Arc<dyn Source>,
}

impl fmt::Debug for StoredTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTensor").field("dtype", &self.dtype).field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// Number of elements of a shape, unless it overflows.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &axis| product.checked_mul(axis))
}

impl StoredTensor {
    pub(crate) fn new(dtype: DType, shape: Vec<usize>, source: Arc<dyn Source>) -> Self {
        Self { dtype, shape, source }
    }

    /// Bytes it takes, unless that overflows.
    pub(crate) fn byte_len(&self) -> Option<usize> {
        elements(&self.shape)?.checked_mul(self.dtype.size())
    }

    /// Whether the stored type converts to float32.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self.dtype, DType::F32 | DType::F64 | DType::F16 | DType::BF16)
    }

    /// The values as float32, in the file's order.
    pub(crate) fn read_f32(&self) -> io::Result<Vec<f32>> {
        let mut values = Vec::with_capacity(elements(&self.shape).unwrap_or(0));
        self.for_bytes(CHUNK, &mut |bytes| decode(bytes, self.dtype, &mut values))?;
        Ok(values)
    }

    /// The values of a `[rows, columns]` tensor as float32, transposed to `[columns, rows]`.
    pub(crate) fn read_transposed(&self) -> io::Result<Vec<f32>> {
        let &[rows, columns] = self.shape.as_slice() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "only a matrix can be transposed"));
        };
        let mut transposed = vec![0.0_f32; rows * columns];
        if !transposed.is_empty() {
            let stripe = (CHUNK / columns).clamp(1, rows).next_multiple_of(TILE).min(rows);
            let mut row = 0;
            self.for_f32_chunks(stripe * columns, &mut |chunk| {
                transpose_stripe(chunk, columns, &mut transposed, rows, row);
                row += chunk.len() / columns;
            })?;
        }
        Ok(transposed)
    }

    /// Decodes the values in pieces of `count` (the last may be shorter).
    fn for_f32_chunks(&self, count: usize, sink: &mut dyn FnMut(&[f32])) -> io::Result<()> {
        let mut values = Vec::with_capacity(count.min(elements(&self.shape).unwrap_or(0)));
        self.for_bytes(count, &mut |bytes| {
            values.clear();
            decode(bytes, self.dtype, &mut values);
            sink(&values);
        })
    }

    /// The bytes of `count` values at a time.
    fn for_bytes(&self, count: usize, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut total = 0;
        self.source.read_chunks(count.saturating_mul(self.dtype.size()).max(1), &mut |bytes| {
            total += bytes.len();
            sink(bytes);
        })?;
        self.check_length(total)
    }

    fn check_length(&self, found: usize) -> io::Result<()> {
        match self.byte_len() {
            Some(expected) if expected == found => Ok(()),
            expected => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{found} bytes are there, shape {:?} needs {expected:?}", self.shape),
            )),
        }
    }
}

fn decode(bytes: &[u8], dtype: DType, values: &mut Vec<f32>) {
    match dtype {
        DType::F32 => values.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
        DType::F64 => values.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
        DType::F16 => values.extend(bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32())),
        DType::BF16 => values.extend(bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32())),
        _ => {} // refused before: see `is_float`
    }
}

/// Writes rows `first..` of a `[rows, columns]` matrix, given row by row in `stripe`, into its transpose.
/// Tiles of 16 × 16 keep both sides within a few cache lines; whole ones move without bounds in between.
fn transpose_stripe(stripe: &[f32], columns: usize, transposed: &mut [f32], rows: usize, first: usize) {
    let count = stripe.len() / columns;
    for c0 in (0..columns).step_by(TILE) {
        for r0 in (0..count).step_by(TILE) {
            let line = |r: usize| stripe[(r0 + r) * columns + c0..].first_chunk::<TILE>();
            let (width, height) = (TILE.min(columns - c0), TILE.min(count - r0));
            let start = |c: usize| (c0 + c) * rows + first + r0;
            if (width, height) == (TILE, TILE) {
                let tile: [[f32; TILE]; TILE] = std::array::from_fn(|r| line(r).copied().unwrap_or_default());
                for c in 0..TILE {
                    if let Some(column) = transposed[start(c)..].first_chunk_mut::<TILE>() {
                        *column = std::array::from_fn(|r| tile[r][c]);
                    }
                }
            } else {
                for c in 0..width {
                    for (r, value) in transposed[start(c)..][..height].iter_mut().enumerate() {
                        *value = stripe[(r0 + r) * columns + c0 + c];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u8>);

    impl Source for Memory {
        fn read(&self) -> io::Result<Vec<u8>> {
            Ok(self.0.clone())
        }
    }

    fn stored(dtype: DType, shape: &[usize], bytes: Vec<u8>) -> StoredTensor {
        StoredTensor::new(dtype, shape.to_vec(), Arc::new(Memory(bytes)))
    }

    #[test]
    fn every_float_type_decodes_to_float32() {
        let values = [0.0_f32, 1.5, -2.0, 1024.0];
        let f64s = values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
        let f16s = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let bf16s = values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        let f32s = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for (dtype, bytes) in [(DType::F64, f64s), (DType::F16, f16s), (DType::BF16, bf16s), (DType::F32, f32s)] {
            assert_eq!(stored(dtype, &[2, 2], bytes).read_f32().unwrap(), values, "{dtype:?}");
        }
    }

    #[test]
    fn transposing_moves_every_value_whatever_the_sizes() {
        for (rows, columns) in [(1, 1), (1, 50), (50, 1), (17, 33), (300, 500), (3, 70_000)] {
            let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let transposed = stored(DType::F32, &[rows, columns], bytes).read_transposed().unwrap();
            let expected: Vec<f32> =
                (0..columns).flat_map(|c| (0..rows).map(move |r| (r * columns + c) as f32)).collect();
            assert_eq!(transposed, expected, "{rows} x {columns}");
        }
    }

    #[test]
    fn too_few_bytes_are_an_error() {
        assert!(stored(DType::F32, &[2, 2], vec![0; 15]).read_f32().is_err());
        assert!(stored(DType::F32, &[2, 2], vec![0; 8]).read_transposed().is_err());
    }
}
