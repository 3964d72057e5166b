//! Matrices in memory with a stride between rows and between columns, and their product.

use std::cell::Cell;

use rayon::prelude::*;

/// A matrix to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix to write.
#[derive(Debug)]
pub(crate) struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

/// Elements from the first to the last of a matrix, both included. Saturates: what does not fit a usize does not fit a
/// slice either.
fn extent(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    let last_row = (rows - 1).saturating_mul(row_stride);
    let last_column = (columns - 1).saturating_mul(column_stride);
    last_row.saturating_add(last_column).saturating_add(1)
}

impl<'a> Mat<'a> {
    /// `rows` rows of `columns` values, each row `row_stride` after the last.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(extent(rows, columns, row_stride, 1) <= data.len(), "a matrix beyond its memory");
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Rows of `columns` values without gaps.
    pub fn dense(data: &'a [f32], columns: usize) -> Self {
        Self::new(data, data.len() / columns.max(1), columns, columns)
    }

    /// Transposed.
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

impl<'a> MatMut<'a> {
    /// `rows` rows of `columns` values, each row `row_stride` after the last.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(extent(rows, columns, row_stride, 1) <= data.len(), "a matrix beyond its memory");
        assert!(row_stride >= columns || rows <= 1, "rows that overlap");
        Self { data, rows, columns, row_stride }
    }

    /// Rows of `columns` values without gaps.
    pub fn dense(data: &'a mut [f32], columns: usize) -> Self {
        let rows = data.len() / columns.max(1);
        Self::new(data, rows, columns, columns)
    }
}

/// Whether a product replaces the values of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Replaced.
    Set,
    /// Added to.
    Add,
}

/// Below this many multiplications one thread is faster than two.
const PARALLEL: usize = 192 * 192 * 192;

fn threads(a: &Mat<'_>, b: &Mat<'_>) -> gemm::Parallelism {
    let work = a.rows.saturating_mul(a.columns).saturating_mul(b.columns);
    if work >= PARALLEL { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None }
}

/// `out = scale · a · b`, or `out += scale · a · b`, on all threads where it is worth it.
pub(crate) fn product(out: MatMut<'_>, output: Output, scale: f32, a: Mat<'_>, b: Mat<'_>) {
    upright(a, b, |b| multiply(out, output, scale, a, b, threads(&a, &b)));
}

/// As [`product`], on this thread alone.
pub(crate) fn product_here(out: MatMut<'_>, output: Output, scale: f32, a: Mat<'_>, b: Mat<'_>) {
    multiply(out, output, scale, a, b, gemm::Parallelism::None);
}

/// The products of `a` with each of `right`, side by side: `[a.rows, columns of all]`, in memory that is not cleared
/// first.
#[allow(unsafe_code)]
pub(crate) fn products(a: Mat<'_>, right: &[Mat<'_>]) -> Vec<f32> {
    let stride: usize = right.iter().map(|b| b.columns).sum();
    let len = a.rows * stride;
    let mut out: Vec<f32> = Vec::with_capacity(len);
    if len == 0 {
        return out;
    }
    let mut column = 0;
    for b in right {
        assert_eq!(a.columns, b.rows, "a product of matrices whose sizes do not fit");
        upright(a, *b, |b| {
            // SAFETY: `a.rows` rows of `b.columns` values from `column` on, `stride` apart, lie within the capacity of
            // `a.rows · stride`, and no other product writes there. `Output::Set` does not read them.
            unsafe {
                raw_multiply(out.as_mut_ptr().add(column), stride, Output::Set, 1.0, a, b, threads(&a, &b));
            }
        });
        column += b.columns;
    }
    // SAFETY: the columns of the products add up to `stride`, and each product has written its columns of all rows.
    unsafe { out.set_len(len) };
    out
}

/// Rows of `a` from which on a transposed `b` is copied before it is multiplied.
const COPIED: usize = 128;
/// Values of the largest `b` that is: a layer's weights, not a vocabulary's.
const COPY: usize = 16 << 20;

/// Calls `f` with `b`, or with a copy whose rows are contiguous: gemm would pack a transposed matrix on one thread,
/// while the others wait.
fn upright(a: Mat<'_>, b: Mat<'_>, f: impl FnOnce(Mat<'_>)) {
    let len = b.rows * b.columns;
    if b.row_stride != 1 || b.column_stride == 1 || a.rows < COPIED || len > COPY {
        return f(b);
    }
    // Taken, not borrowed: while this thread waits for others, rayon may give it work that needs a scratch too.
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    transpose(&b, &mut scratch[..len]);
    f(Mat::dense(&scratch[..len], b.columns));
    SCRATCH.set(scratch);
}

thread_local! {
    /// Kept for the life of the thread, because a layer's weights are copied in every step: at most `COPY` values, 64
    /// MiB.
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Writes `b`, whose columns are contiguous, row by row, in blocks of a cache line in both directions.
fn transpose(b: &Mat<'_>, out: &mut [f32]) {
    const BLOCK: usize = 16;
    let (data, stride, columns) = (b.data, b.column_stride, b.columns);
    out.par_chunks_mut(BLOCK * columns).enumerate().for_each(|(band, out)| {
        let (first, rows) = (band * BLOCK, out.len() / columns);
        let mut block = [[0.0; BLOCK]; BLOCK];
        for start in (0..columns).step_by(BLOCK) {
            let width = BLOCK.min(columns - start);
            for column in 0..width {
                let line = &data[(start + column) * stride + first..][..rows];
                block.iter_mut().zip(line).for_each(|(row, &value)| row[column] = value);
            }
            for (row, block) in out.chunks_exact_mut(columns).zip(&block) {
                row[start..start + width].copy_from_slice(&block[..width]);
            }
        }
    });
}

#[allow(unsafe_code)]
fn multiply(out: MatMut<'_>, output: Output, scale: f32, a: Mat<'_>, b: Mat<'_>, threads: gemm::Parallelism) {
    assert_eq!(
        (out.rows, out.columns, a.columns),
        (a.rows, b.columns, b.rows),
        "a product of matrices whose sizes do not fit"
    );
    // SAFETY: a `MatMut` lies within its slice (checked when it was made), borrows it exclusively, and its rows do not
    // overlap.
    unsafe { raw_multiply(out.data.as_mut_ptr(), out.row_stride, output, scale, a, b, threads) }
}

/// # Safety
/// `out` points to `a.rows` rows of `b.columns` values, `row_stride` apart and not overlapping, that may be written,
/// and read as well with [`Output::Add`]. `a.columns` is `b.rows`.
#[allow(unsafe_code)]
unsafe fn raw_multiply(
    out: *mut f32,
    row_stride: usize,
    output: Output,
    scale: f32,
    a: Mat<'_>,
    b: Mat<'_>,
    threads: gemm::Parallelism,
) {
    // SAFETY: gemm (0.19) documents `dst := alpha × dst + beta × lhs × rhs` for `lhs` `[m, k]` and `rhs` `[k, n]`, each
    // element at row · row stride + column · column stride. It reads and writes nothing else. With `read_dst` false it
    // sets alpha to zero, and its kernels for alpha zero (also the one for k = 0) store to `dst` without reading it, so
    // `dst` may be uninitialised. Every element of `a` and `b` lies within its slice: `extent` was checked when they
    // were made, and transposing keeps the set of elements. The stride of a dimension of one element is never used,
    // whatever its value; any other stride is at most the slice's length, which fits an isize. The caller vouches for
    // `out`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            row_stride as isize,
            output == Output::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_reads_strides_and_writes_a_part_of_a_matrix() {
        let a = [1.0, 2.0, 9.0, 3.0, 4.0]; // [[1, 2], [3, 4]] with a gap
        let b = [1.0, 10.0, 100.0, 1000.0];
        let mut out = [1.0; 6];
        let (left, right) = (Mat::new(&a, 2, 2, 3), Mat::dense(&b, 2));
        product(MatMut::new(&mut out[1..], 2, 2, 3), Output::Set, 2.0, left, right.t());
        assert_eq!(out, [1.0, 42.0, 4200.0, 1.0, 86.0, 8600.0]);
        product(MatMut::new(&mut out[1..], 2, 2, 3), Output::Add, 1.0, left, right);
        assert_eq!(out, [1.0, 42.0 + 201.0, 4200.0 + 2010.0, 1.0, 86.0 + 403.0, 8600.0 + 4030.0]);
    }

    #[test]
    fn products_stand_side_by_side_and_every_value_is_written() {
        // Sizes at which gemm takes another way: vectors, two terms, small and large matrices, none at all.
        for (rows, inner) in [(0, 3), (1, 5), (3, 1), (5, 2), (4, 3), (40, 70), (3, 0)] {
            let a: Vec<f32> = (0..rows * inner).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..inner * 9).map(|i| (i % 5) as f32 - 2.0).collect();
            let a = Mat::new(&a, rows, inner, inner);
            let right =
                [(0, 1), (1, 2), (3, 6)].map(|(from, width)| Mat::new(&b[from.min(b.len())..], inner, width, 9));
            // The allocator is likely to give this memory again.
            drop(vec![f32::NAN; rows * 9]);
            let out = products(a, &right);
            assert_eq!(out.len(), rows * 9);
            for (row, out) in out.chunks_exact(9).enumerate() {
                for (column, &value) in out.iter().enumerate() {
                    let terms = (0..inner).map(|i| a.data[row * inner + i] * b[i * 9 + column]);
                    assert_eq!(value, terms.sum::<f32>(), "{rows} {inner} {row} {column}");
                }
            }
        }
    }

    #[test]
    fn a_copied_transpose_gives_the_same_product() {
        let (rows, inner, columns) = (COPIED + 1, 37, 21);
        let a: Vec<f32> = (0..rows * inner).map(|i| (i % 11) as f32 - 5.0).collect();
        let b: Vec<f32> = (0..inner * columns).map(|i| (i % 13) as f32 - 6.0).collect();
        let (a, b) = (Mat::dense(&a, inner), Mat::dense(&b, inner).t());
        let mut expected = vec![0.0; rows * columns];
        product_here(MatMut::dense(&mut expected, columns), Output::Set, 1.0, a, b);
        assert_eq!(products(a, &[b]), expected);
        upright(a, b, |copy| assert_eq!((copy.column_stride, copy.row_stride), (1, columns)));
    }

    #[test]
    #[should_panic(expected = "beyond its memory")]
    fn a_matrix_lies_within_its_memory() {
        let _ = Mat::new(&[0.0; 5], 2, 3, 3);
    }
}
