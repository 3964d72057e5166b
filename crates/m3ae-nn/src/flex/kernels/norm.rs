//! Layer norm, alone or after a residual sum with dropout.

use super::{Dropout, piece, rows, sum, sum_pairs, sums_of_pieces, vectorized};

/// Scale, shift and epsilon.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// `[width]`
    pub gamma: &'a [f32],
    /// `[width]`
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Mean and 1 / deviation of a row.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |x| x) / count;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

impl Norm<'_> {
    /// `(x - mean) / √(variance + ε) · γ + β`, row by row.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let width = self.gamma.len();
        rows(x.len(), width, |first, rows| {
            let x = piece(x, width, first, rows.len());
            vectorized(|| {
                for (out, x) in rows.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let (mean, scale) = moments(x, self.epsilon);
                    for (((out, &x), &gamma), &beta) in out.iter_mut().zip(x).zip(self.gamma).zip(self.beta) {
                        *out = (x - mean) * scale * gamma + beta;
                    }
                }
            });
        })
    }

    /// Gradients of x, γ and β from the output's. Means and deviations are computed again: that costs less than keeping
    /// them.
    pub fn backward(&self, x: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let width = self.gamma.len();
        let x_gradient = rows(x.len(), width, |first, rows| {
            let (x, gradient) = (piece(x, width, first, rows.len()), piece(gradient, width, first, rows.len()));
            vectorized(|| {
                for ((out, x), gradient) in
                    rows.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(gradient.chunks_exact(width))
                {
                    let (mean, scale) = moments(x, self.epsilon);
                    for ((out, &gradient), &gamma) in out.iter_mut().zip(gradient).zip(self.gamma) {
                        *out = gradient * gamma;
                    }
                    let count = width as f32;
                    let mean_gradient = sum(out, |g| g) / count;
                    let scale_gradient = sum_pairs(out, x, |g, x| g * ((x - mean) * scale)) / count;
                    for (out, &x) in out.iter_mut().zip(x) {
                        *out = scale * (*out - mean_gradient - (x - mean) * scale * scale_gradient);
                    }
                }
            });
        });
        let mut parameter_gradients = sums_of_pieces(x.len(), width, 2 * width, |first, count, sums| {
            let (gamma_gradient, beta_gradient) = sums.split_at_mut(width);
            let (x, gradient) = (piece(x, width, first, count), piece(gradient, width, first, count));
            vectorized(|| {
                for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact(width)) {
                    let (mean, scale) = moments(x, self.epsilon);
                    for (((gamma_gradient, beta_gradient), &x), &gradient) in
                        gamma_gradient.iter_mut().zip(beta_gradient.iter_mut()).zip(x).zip(gradient)
                    {
                        *gamma_gradient += gradient * ((x - mean) * scale);
                        *beta_gradient += gradient;
                    }
                }
            });
        });
        let beta_gradient = parameter_gradients.split_off(width);
        (x_gradient, parameter_gradients, beta_gradient)
    }
}

/// `residual + dropout(x)`, `[rows, width]`.
pub(crate) fn add_dropped(x: &[f32], residual: &[f32], width: usize, dropout: Dropout) -> Vec<f32> {
    rows(x.len(), width, |first, rows| {
        let (x, residual) = (piece(x, width, first, rows.len()), piece(residual, width, first, rows.len()));
        vectorized(|| {
            if !dropout.is_active() {
                rows.iter_mut().zip(x).zip(residual).for_each(|((out, &x), &residual)| *out = residual + x);
                return;
            }
            for (row, ((out, x), residual)) in
                rows.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(residual.chunks_exact(width)).enumerate()
            {
                let factor = dropout.row((first + row) as u64);
                for (column, ((out, &x), &residual)) in out.iter_mut().zip(x).zip(residual).enumerate() {
                    *out = residual + x * factor(column);
                }
            }
        });
    })
}

/// `dropout(x)` with the mask of [`add_dropped`]: also the gradient of its first argument.
pub(crate) fn dropped(x: &[f32], width: usize, dropout: Dropout) -> Vec<f32> {
    rows(x.len(), width, |first, rows| {
        let x = piece(x, width, first, rows.len());
        vectorized(|| {
            for (row, (out, x)) in rows.chunks_exact_mut(width).zip(x.chunks_exact(width)).enumerate() {
                let factor = dropout.row((first + row) as u64);
                for (column, (out, &x)) in out.iter_mut().zip(x).enumerate() {
                    *out = x * factor(column);
                }
            }
        });
    })
}
