//! Layer norm, and the dropout before it.

use burn::module::Param;
use burn::nn::{Dropout, Initializer};
use burn::prelude::*;
use m3ae_nn::NormWeights;

/// PyTorch's epsilon of layer norms, where the reference names no other.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

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
