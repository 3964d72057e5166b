//! The pieces that every part shares: attention, activations, and row selection.

use burn::module::Param;
use burn::nn::{Dropout, Initializer, Linear};
use burn::prelude::*;
use burn::tensor::activation::{sigmoid, softmax};

use crate::precision::{kernels, product};

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
        m3ae_nn::layer_norm(&x, self.for_kernels()).unwrap_or_else(|| {
            burn::tensor::module::layer_norm(x, self.gamma.val(), Some(self.beta.val()), self.epsilon)
        })
    }

    /// `norm(residual + dropout(x))`, both `[B, L, D]`.
    pub(crate) fn after_residual(&self, x: Tensor<3>, residual: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        m3ae_nn::dropout_add_norm(&x, &residual, self.for_kernels(), probability(dropout, &x.device()))
            .unwrap_or_else(|| self.forward(residual + dropout.forward(x)))
    }

    fn for_kernels(&self) -> m3ae_nn::Norm {
        m3ae_nn::Norm { gamma: self.gamma.val(), beta: self.beta.val(), epsilon: self.epsilon }
    }
}

/// With what probability this dropout drops on this device: none where nothing is trained.
pub(crate) fn probability(dropout: &Dropout, device: &Device) -> f64 {
    if dropout.training.is_enabled() && device.is_autodiff() { dropout.prob } else { 0.0 }
}

/// A linear layer as the kernels take it; `None` where it has no bias, or where products are not in float32.
pub(crate) fn for_kernels(layer: &Linear) -> Option<m3ae_nn::Linear> {
    let bias = layer.bias.as_ref().filter(|_| kernels())?;
    Some(m3ae_nn::Linear { weight: layer.weight.val(), bias: bias.val() })
}

/// x · sigmoid(1.702 x), CLIP's approximation of GELU (spec 1.1).
pub(crate) fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let gate = sigmoid(x.clone() * 1.702);
    x * gate
}

/// `[B, L, D]` -> `[B, heads, L, D / heads]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, length, width] = x.dims();
    x.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
}

/// `[B, heads, L, d]` -> `[B, L, heads · d]`.
pub(crate) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, length, width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, length, heads * width])
}

/// What scaled dot-product attention gives.
pub(crate) struct Attended {
    /// `[B, heads, Lq, d]`
    pub context: Tensor<4>,
    /// `[B, heads, Lq, Lk]`, before dropout.
    pub probabilities: Tensor<4>,
}

/// softmax(q·kᵀ / √d + bias) · v, with dropout on the probabilities.
pub(crate) fn attend(
    query: Tensor<4>,        // [B, heads, Lq, d]
    key: Tensor<4>,          // [B, heads, Lk, d]
    value: Tensor<4>,        // [B, heads, Lk, d]
    bias: Option<Tensor<4>>, // added to the scores: [B, 1, 1, Lk] from `padding_bias`, or any shape that expands to them
    dropout: Option<&Dropout>,
) -> Attended {
    let width = query.dims()[3] as f64;
    // Scaling the query costs Lq·d instead of Lq·Lk products.
    let mut scores = product(query * width.powf(-0.5), key.swap_dims(2, 3)); // [B, heads, Lq, Lk]
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    let probabilities = softmax(scores, 3);
    let weights = match dropout {
        Some(dropout) => dropout.forward(probabilities.clone()),
        None => probabilities.clone(),
    };
    Attended { context: product(weights, value), probabilities }
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
    use crate::inputs::padding_bias;
    use burn::tensor::TensorData;

    #[test]
    fn take_rows_takes_each_batch_entry_own_rows() {
        let device = Device::default();
        let x = Tensor::<1, Int>::arange(0..12, &device).float().reshape([2, 3, 2]);
        let ids = Tensor::<2, Int>::from_data([[2, 0], [1, 1]], &device);
        let expected = TensorData::from([[[4.0_f32, 5.0], [0.0, 1.0]], [[8.0, 9.0], [8.0, 9.0]]]);
        take_rows(x, ids).into_data().assert_eq(&expected, true);
    }

    #[test]
    fn padding_gets_no_weight_at_all() {
        let device = Device::default();
        let query = Tensor::<4>::ones([1, 1, 2, 4], &device);
        let key = Tensor::<4>::ones([1, 1, 3, 4], &device) * 50.0;
        let bias = padding_bias(Tensor::from_data([[1, 1, 0]], &device));
        let attended = attend(query, key.clone(), key, Some(bias), None);
        let expected = TensorData::from([[[[0.5_f32, 0.5, 0.0], [0.5, 0.5, 0.0]]]]);
        attended.probabilities.into_data().assert_eq(&expected, true);
    }
}
