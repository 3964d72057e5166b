//! The feed-forward part of a transformer layer: `w_2 · activation(w_1 · x + b_1) + b_2 (+ residual)`.

use super::{Mat, add_to_rows, by_rows, column_sums, piece, products, rows};
use crate::Activation;

/// A linear layer's parameters.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    /// `[input, output]`
    pub weight: &'a [f32],
    /// `[output]`
    pub bias: &'a [f32],
}

impl Linear<'_> {
    pub fn output(&self) -> usize {
        self.bias.len()
    }

    pub fn input(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }

    pub fn matrix(&self) -> Mat<'_> {
        Mat::dense(self.weight, self.output())
    }

    /// `x · weight + bias (+ residual)` for `x` `[rows, input]` -> `[rows, output]`.
    pub fn forward(&self, x: &[f32], residual: Option<&[f32]>) -> Vec<f32> {
        let mut out = products(Mat::dense(x, self.input()), &[self.matrix()]);
        add_to_rows(&mut out, self.bias, residual);
        out
    }

    /// The weight's gradient, `xᵀ · gradient`.
    pub fn weight_gradient(&self, x: Mat<'_>, gradient: Mat<'_>) -> Vec<f32> {
        products(x.t(), &[gradient])
    }

    /// The input's gradient, `gradient · weightᵀ`, of `rows` rows.
    pub fn input_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        products(Mat::dense(gradient, self.output()), &[self.matrix().t()])
    }
}

/// Gives the output `[rows, width]` and, for the backward pass, the inner values before the activation,
/// `[rows, inner]`.
pub(crate) fn forward(
    x: &[f32],
    first: Linear<'_>,
    second: Linear<'_>,
    activation: Activation,
    residual: Option<&[f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let before = first.forward(x, None);
    let after = activated(&before, first.output(), activation);
    (second.forward(&after, residual), before)
}

fn activated(before: &[f32], width: usize, activation: Activation) -> Vec<f32> {
    rows(before.len(), width, |row, after| activation.apply(piece(before, width, row, after.len()), after))
}

/// Gradients of the feed-forward part; the residual's is the output's.
pub(crate) struct Gradients {
    pub x: Option<Vec<f32>>,
    pub first_weight: Vec<f32>,
    pub first_bias: Vec<f32>,
    pub second_weight: Vec<f32>,
    pub second_bias: Vec<f32>,
}

/// From the output's gradient `[rows, width]`; `before` is of the forward pass.
pub(crate) fn backward(
    x: &[f32],
    before: &[f32],
    first: Linear<'_>,
    second: Linear<'_>,
    activation: Activation,
    gradient: &[f32],
    needs_x: bool,
) -> Gradients {
    let inner = first.output();
    let after = activated(before, inner, activation);
    let second_weight = second.weight_gradient(Mat::dense(&after, inner), Mat::dense(gradient, second.output()));
    drop(after);
    let mut inner_gradient = second.input_gradient(gradient);
    by_rows(&mut inner_gradient, inner, |row, rows| {
        activation.scale_by_slope(piece(before, inner, row, rows.len()), rows);
    });
    Gradients {
        first_weight: first.weight_gradient(Mat::dense(x, first.input()), Mat::dense(&inner_gradient, inner)),
        first_bias: column_sums(&inner_gradient, inner),
        second_weight,
        second_bias: column_sums(gradient, second.output()),
        x: needs_x.then(|| first.input_gradient(&inner_gradient)),
    }
}
