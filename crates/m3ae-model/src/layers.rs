//! The pieces that every part shares: layer norm, dropout, and row selection.

use burn::module::Param;
use burn::nn::{Dropout, Initializer};
use burn::prelude::*;
use m3ae_nn::NormWeights;

/// PyTorch's epsilon of layer norms, where the reference names no other.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

/// A bias this low makes a softmax weight exactly zero in float32, and is finite in half precision.
pub(crate) const MASKED: f64 = -1e4;

/// Layer norm over the last dimension, in float32.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[D]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[D]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale 1 and shift 0.
    pub(crate) fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        let gamma = Initializer::Ones.init([width], device);
        Self { gamma, beta: Initializer::Zeros.init([width], device), epsilon }
    }

    /// `[.., D]` -> `[.., D]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        m3ae_nn::layer_norm(x, self.weights())
    }

    /// `norm(residual + dropout(x))`, both `[B, L, D]`.
    pub(crate) fn after_residual(&self, x: Tensor<3>, residual: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let probability = active_probability(dropout, &x.device());
        m3ae_nn::dropout_add_norm(x, residual, self.weights(), probability)
    }

    fn weights(&self) -> NormWeights {
        NormWeights { gamma: self.gamma.val(), beta: self.beta.val(), epsilon: self.epsilon }
    }
}

/// The probability with which this dropout drops values: 0 unless a model on this device is trained.
pub(crate) fn active_probability(dropout: &Dropout, device: &Device) -> f64 {
    if dropout.training.is_enabled() && device.is_autodiff() { dropout.prob } else { 0.0 }
}

/// Takes rows `ids[b, i]` of each `x[b]`: `[B, N, D]` and `[B, K]` -> `[B, K, D]`.
pub(crate) fn take_rows(x: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<3> {
    let [batch, rows, width] = x.dims();
    let [_, kept] = ids.dims();
    // One flat selection copies whole rows, where `gather` would need an index per element.
    let offsets = Tensor::<1, Int>::arange(0..batch as i64, &ids.device()).mul_scalar(rows as i64);
    let flat = (ids + offsets.reshape([batch, 1])).reshape([batch * kept]);
    x.reshape([batch * rows, width]).select(0, flat).reshape([batch, kept, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn take_rows_takes_each_batch_entry_own_rows() {
        let device = Device::default();
        let x = Tensor::<1, Int>::arange(0..12, &device).float().reshape([2, 3, 2]);
        let ids = Tensor::<2, Int>::from_data([[2, 0], [1, 1]], &device);
        let expected = TensorData::from([[[4.0_f32, 5.0], [0.0, 1.0]], [[8.0, 9.0], [8.0, 9.0]]]);
        take_rows(x, ids).into_data().assert_eq(&expected, true);
    }
}
