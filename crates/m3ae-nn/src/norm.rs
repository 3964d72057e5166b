//! Layer norm, alone or after a residual sum with dropout; always in float32.

use burn::prelude::*;
use burn::tensor::Distribution;

use crate::shape::{expect_probability, expect_shape};

/// The parameters of a layer norm.
#[derive(Debug, Clone)]
pub struct NormWeights {
    /// Scale, `[D]`, D at least 1.
    pub gamma: Tensor<1>,
    /// Shift, `[D]`.
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl NormWeights {
    #[track_caller]
    fn expect_input<const D: usize>(&self, operator: &str, x: &Tensor<D>) {
        let shape = x.dims();
        let width = shape[D - 1];
        assert!(width > 0, "{operator}: x has the shape {shape:?}, rows without values");
        for (name, vector) in [("gamma", &self.gamma), ("beta", &self.beta)] {
            let length = vector.dims();
            assert!(length == [width], "{operator}: {name} has the shape {length:?}, which does not fit x, {shape:?}");
        }
    }
}

/// Layer norm over the last dimension, `(x - mean) / √(variance + ε) · γ + β`: `[.., D]` -> `[.., D]`.
///
/// # Panics
/// γ or β does not have as many values as the last dimension of `x`.
#[must_use]
pub fn layer_norm<const D: usize>(x: Tensor<D>, weights: NormWeights) -> Tensor<D> {
    weights.expect_input("layer_norm", &x);
    #[cfg(feature = "flex")]
    if let Some(output) = crate::flex::layer_norm(&x, &weights) {
        return output;
    }
    composed(x, weights)
}

/// The same in Burn's operations.
pub(crate) fn composed<const D: usize>(x: Tensor<D>, NormWeights { gamma, beta, epsilon }: NormWeights) -> Tensor<D> {
    burn::tensor::module::layer_norm(x, gamma, Some(beta), epsilon)
}

/// The layer norm of `residual + dropout(x)`, which ends every sub-layer of a post-norm transformer: both `[B, L, D]`
/// -> `[B, L, D]`.
///
/// `probability` is the share of `x` to drop, from 0 to below 1; pass 0 at inference. The draws come from the backend's
/// generator, which [`Device::seed`] seeds.
///
/// # Panics
/// The shapes do not fit each other, or `probability` is out of its range.
#[must_use]
pub fn dropout_add_norm(x: Tensor<3>, residual: Tensor<3>, weights: NormWeights, probability: f64) -> Tensor<3> {
    const NAME: &str = "dropout_add_norm";
    weights.expect_input(NAME, &x);
    expect_shape(NAME, "the residual", residual.dims(), x.dims());
    expect_probability(NAME, probability);
    #[cfg(feature = "flex")]
    if let Some(output) = crate::flex::dropout_add_norm(&x, &residual, &weights, probability) {
        return output;
    }
    layer_norm(residual + dropout(x, probability), weights)
}

/// Sets each value to 0 with this probability, from 0 to below 1, and divides the others by `1 - probability`.
///
/// # Panics
/// `probability` is out of its range.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64) -> Tensor<D> {
    expect_probability("dropout", probability);
    if probability == 0.0 {
        return x;
    }
    let mask = x.random_like(Distribution::Bernoulli(1.0 - probability));
    x * mask * (1.0 / (1.0 - probability))
}
