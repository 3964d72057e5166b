//! Matrices in memory with a stride between rows and between columns, and their product.

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

/// Elements from the first to the last of a matrix, both included.
fn extent(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
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

/// What becomes of the values that stand in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Replaced.
    Set,
    /// Added to.
    Add,
}

/// Below this many multiplications one thread is faster than two.
const PARALLEL: usize = 192 * 192 * 192;

/// `out = scale · a · b`, or `out += scale · a · b`, on all threads where it is worth it.
pub(crate) fn product(out: MatMut<'_>, output: Output, scale: f32, a: Mat<'_>, b: Mat<'_>) {
    let work = a.rows.saturating_mul(a.columns).saturating_mul(b.columns);
    let threads = if work >= PARALLEL { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    multiply(out, output, scale, a, b, threads);
}

/// As [`product`], on this thread alone.
pub(crate) fn product_here(out: MatMut<'_>, output: Output, scale: f32, a: Mat<'_>, b: Mat<'_>) {
    multiply(out, output, scale, a, b, gemm::Parallelism::None);
}

#[allow(unsafe_code)]
fn multiply(out: MatMut<'_>, output: Output, scale: f32, a: Mat<'_>, b: Mat<'_>, threads: gemm::Parallelism) {
    assert_eq!((out.rows, out.columns, a.columns), (a.rows, b.columns, b.rows), "matrices that do not fit");
    // SAFETY: each matrix was checked to lie within its slice when it was made (transposing keeps the extent), `out` is borrowed
    // alone and its rows do not overlap, and no stride exceeds the slice's length, which fits an isize.
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            a.columns,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
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
    #[should_panic(expected = "beyond its memory")]
    fn a_matrix_lies_within_its_memory() {
        let _ = Mat::new(&[0.0; 5], 2, 3, 3);
    }
}
