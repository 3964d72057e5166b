//! Layers on slices of float32, forward and backward, on all processors.
//!
//! Work is cut into pieces whose size does not depend on the number of threads, and sums run over the pieces in order:
//! any number of threads gives the same bits. (Products round differently on processors with vectors of another width.)

mod adamw;
pub(crate) mod attention;
mod dropout;
pub(crate) mod feed_forward;
mod matrix;
pub(crate) mod norm;
mod vector;

use std::mem::MaybeUninit;

use rayon::prelude::*;

pub(crate) use adamw::{adamw, square_sum};
pub(crate) use dropout::Dropout;
pub(crate) use matrix::{Mat, MatMut, Output, product, product_here, products};
pub(crate) use vector::{exp, largest, sum, sum_pairs, vectorized};

/// Rows that one task takes: enough to outweigh the cost of a task, few enough to balance the load.
const ROWS: usize = 16;
/// Below this many values one thread is faster than several tasks.
const PARALLEL: usize = 16 * 1024;

/// Zeros.
pub(crate) fn buffer(len: usize) -> Vec<f32> {
    vec![0.0; len]
}

/// A new buffer of `len` values: `f(scratch, number, piece)` fills each piece of `size` (the last may be shorter). Each
/// piece is zeroed by the thread that fills it, right before, so that no thread waits for another to clear the whole
/// buffer.
#[allow(unsafe_code)]
pub(crate) fn pieces<S>(
    len: usize,
    size: usize,
    scratch: impl Fn() -> S + Sync + Send,
    f: impl Fn(&mut S, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let mut out: Vec<f32> = Vec::with_capacity(len);
    let fill = |scratch: &mut S, (number, piece): (usize, &mut [MaybeUninit<f32>])| {
        piece.fill(MaybeUninit::new(0.0));
        // SAFETY: all of the piece has just been written.
        f(scratch, number, unsafe { piece.assume_init_mut() });
    };
    let (all, size) = (&mut out.spare_capacity_mut()[..len], size.max(1));
    if len < PARALLEL {
        let mut scratch = scratch();
        all.chunks_mut(size).enumerate().for_each(|piece| fill(&mut scratch, piece));
    } else {
        all.par_chunks_mut(size).enumerate().for_each_init(scratch, fill);
    }
    // SAFETY: the pieces are all of the first `len` values, and each has been written.
    unsafe { out.set_len(len) };
    out
}

/// A new buffer of `len` values in rows of `width`: `f(first row, rows)` fills each piece of rows.
pub(crate) fn rows(len: usize, width: usize, f: impl Fn(usize, &mut [f32]) + Sync + Send) -> Vec<f32> {
    pieces(len, ROWS * width, || (), |(), number, rows| f(number * ROWS, rows))
}

/// Calls `f(first row, rows)` for pieces of `out`, whose rows have `width` values.
pub(crate) fn by_rows(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let piece = ROWS * width.max(1);
    if out.len() < PARALLEL {
        out.chunks_mut(piece).enumerate().for_each(|(i, rows)| f(i * ROWS, rows));
    } else {
        out.par_chunks_mut(piece).enumerate().for_each(|(i, rows)| f(i * ROWS, rows));
    }
}

/// The `count` values of `x`, in rows of `width`, from row `first` on.
pub(crate) fn piece(x: &[f32], width: usize, first: usize, count: usize) -> &[f32] {
    &x[first * width..first * width + count]
}

/// Adds `bias` to every row of `out`, and the same row of `residual` if there is one.
pub(crate) fn add_to_rows(out: &mut [f32], bias: &[f32], residual: Option<&[f32]>) {
    let width = bias.len();
    by_rows(out, width, |first, rows| match residual {
        None => vectorized(|| {
            for row in rows.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(out, &bias)| *out += bias);
            }
        }),
        Some(residual) => {
            let residual = piece(residual, width, first, rows.len());
            vectorized(|| {
                for (row, residual) in rows.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
                    for ((out, &bias), &residual) in row.iter_mut().zip(bias).zip(residual) {
                        *out += bias + residual;
                    }
                }
            });
        }
    });
}

/// The sum of the rows of `x`: the gradient of a bias.
pub(crate) fn column_sums(x: &[f32], width: usize) -> Vec<f32> {
    sums_of_pieces(x.len(), width, width, |first, count, sums| {
        vectorized(|| {
            for row in piece(x, width, first, count).chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
            }
        });
    })
}

/// The sum over all pieces of rows, in their order, of the `len` values that `f(first row, values, sums)` writes into
/// `sums`.
pub(crate) fn sums_of_pieces(
    values: usize,
    width: usize,
    len: usize,
    f: impl Fn(usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    // Larger pieces than elsewhere, because each has its own sums.
    let rows = 4 * ROWS;
    let step = rows * width.max(1);
    let one = |i: usize| {
        let mut sums = buffer(len);
        f(i * rows, step.min(values - i * step), &mut sums);
        sums
    };
    let pieces = values.div_ceil(step);
    let partial: Vec<Vec<f32>> =
        if values < PARALLEL { (0..pieces).map(one).collect() } else { (0..pieces).into_par_iter().map(one).collect() };
    let mut total = buffer(len);
    vectorized(|| {
        for sums in &partial {
            total.iter_mut().zip(sums).for_each(|(total, &sum)| *total += sum);
        }
    });
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_sums_add_all_rows_of_any_number() {
        for rows in [0, 1, 63, 64, 65, 5000] {
            let x: Vec<f32> = (0..rows * 7).map(|i| (i % 7) as f32).collect();
            let expected: Vec<f32> = (0..7).map(|column| (column * rows) as f32).collect();
            assert_eq!(column_sums(&x, 7), expected);
        }
    }

    #[test]
    fn bias_and_residual_are_added_to_each_row() {
        let mut out = vec![0.0, 100.0, 0.0, 0.0, 0.0, 200.0];
        add_to_rows(&mut out, &[1.0, 2.0, 3.0], None);
        assert_eq!(out, [1.0, 102.0, 3.0, 1.0, 2.0, 203.0]);
        add_to_rows(&mut out, &[1.0, 2.0, 3.0], Some(&[10.0, 10.0, 10.0, 20.0, 20.0, 20.0]));
        assert_eq!(out, [12.0, 114.0, 16.0, 22.0, 24.0, 226.0]);
    }

    #[test]
    fn a_new_buffer_of_any_size_is_filled_piece_by_piece() {
        for len in [0, 1, 5, 64, PARALLEL + 3] {
            let filled = pieces(
                len,
                7,
                || 1.0,
                |one, number, piece| {
                    assert!(piece.iter().all(|&value| value == 0.0));
                    piece.iter_mut().enumerate().for_each(|(i, value)| *value = *one + (number * 7 + i) as f32);
                },
            );
            assert!(filled.iter().enumerate().all(|(i, &value)| value == 1.0 + i as f32), "{len}");
            assert_eq!(filled.len(), len);
        }
    }
}
