//! The layers that a transformer spends its time in, as functions of tensors.
//!
//! On Burn's Flex backend (feature `flex`) in float32 they are kernels of this crate. Each makes one node of the autodiff graph, with a
//! backward pass of its own: one pass over memory where a composition of tensor operations makes many, all processors, and nothing kept
//! that is cheap to compute again. Everywhere else they return `None`, and the caller composes Burn's operations; both give the same
//! numbers up to rounding.

#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "flex")]
mod layers;
#[cfg(feature = "flex")]
mod node;
#[cfg(feature = "flex")]
mod route;

use burn::prelude::*;

/// A linear layer's parameters.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[input, output]`
    pub weight: Tensor<2>,
    /// `[output]`
    pub bias: Tensor<1>,
}

/// A layer norm's parameters.
#[derive(Debug, Clone)]
pub struct Norm {
    /// `[D]`
    pub gamma: Tensor<1>,
    /// `[D]`
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// The activation between the two products of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x), with the error function.
    Gelu,
    /// x · sigmoid(1.702 x), CLIP's.
    QuickGelu,
}

/// How attention projects its input.
// Made and taken apart at once: a box would cost more than the copy.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Projections {
    /// Queries, keys and values by one matrix `[D, 3D]`, in that order.
    Packed(Linear),
    /// By three, each `[D, D]`.
    Separate {
        /// Queries.
        query: Linear,
        /// Keys.
        key: Linear,
        /// Values.
        value: Linear,
    },
}

/// Multi-head attention with its projections: of `x` to itself, or to `context`.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Projections of the input.
    pub projections: Projections,
    /// Output projection, `[D, D]`.
    pub output: Linear,
    /// Heads.
    pub heads: usize,
    /// What is read, `[B, Lk, D]`, with [`Projections::Separate`]; `None` where x reads itself.
    pub context: Option<Tensor<3>>,
    /// Added to the scores, `[B, 1, 1, Lk]`; has no gradient.
    pub bias: Option<Tensor<4>>,
    /// Probability with which a share is dropped, from 0 to below 1.
    pub dropout: f64,
    /// Added to the output, `[B, Lq, D]`, with [`Projections::Packed`].
    pub residual: Option<Tensor<3>>,
}

/// A parameter and its moments, flat.
#[derive(Debug, Clone)]
pub struct Moving {
    /// The parameter's values.
    pub parameter: Tensor<1>,
    /// Mean of gradients.
    pub first: Tensor<1>,
    /// Mean of squared gradients.
    pub second: Tensor<1>,
}

/// The numbers of one step of AdamW for one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Learning rate over the first moment's bias correction.
    pub rate: f64,
    /// The second moment's bias correction.
    pub correction: f64,
    /// What weight decay leaves of the parameter: `1 - learning rate · decay`.
    pub kept: f64,
    /// Multiplies the gradient first.
    pub scale: f64,
}

#[cfg(not(feature = "flex"))]
mod route {
    use super::{Activation, AdamWStep, Attention, Linear, Moving, Norm};
    use burn::prelude::*;

    pub(crate) fn attention(_: &Tensor<3>, _: Attention) -> Option<Tensor<3>> {
        None
    }
    pub(crate) fn mlp(_: &Tensor<3>, _: (Linear, Linear), _: Activation, _: Option<Tensor<3>>) -> Option<Tensor<3>> {
        None
    }
    pub(crate) fn adamw(moving: Moving, gradient: Tensor<1>, step: &AdamWStep) -> Moving {
        crate::plain_adamw(moving, gradient, step)
    }
    pub(crate) fn square_sum<const D: usize>(_: &Tensor<D>) -> Option<f64> {
        None
    }
    pub(crate) fn layer_norm<const D: usize>(_: &Tensor<D>, _: Norm) -> Option<Tensor<D>> {
        None
    }
    pub(crate) fn dropout_add_norm(_: &Tensor<3>, _: &Tensor<3>, _: Norm, _: f64) -> Option<Tensor<3>> {
        None
    }
}

/// `softmax(q·kᵀ / √d + bias)·v` between its projections: `[B, Lq, D]` -> `[B, Lq, D]`.
#[must_use]
pub fn attention(x: &Tensor<3>, attention: Attention) -> Option<Tensor<3>> {
    route::attention(x, attention)
}

/// `second(activation(first(x))) (+ residual)`: `[B, L, D]` -> `[B, L, D]`.
#[must_use]
pub fn mlp(
    x: &Tensor<3>,
    layers: (Linear, Linear),
    activation: Activation,
    residual: Option<Tensor<3>>,
) -> Option<Tensor<3>> {
    route::mlp(x, layers, activation, residual)
}

/// `θ ← kept · θ - rate · m / (√(v / correction) + ε)` after the moments took up the gradient. In place where the tensors are not
/// shared.
#[must_use]
pub fn adamw(moving: Moving, gradient: Tensor<1>, step: &AdamWStep) -> Moving {
    route::adamw(moving, gradient, step)
}

/// The same in tensor operations.
fn plain_adamw(moving: Moving, gradient: Tensor<1>, step: &AdamWStep) -> Moving {
    let gradient = if step.scale == 1.0 { gradient } else { gradient * step.scale };
    let first = moving.first * step.beta_1 + gradient.clone() * (1.0 - step.beta_1);
    let second = moving.second * step.beta_2 + gradient.square() * (1.0 - step.beta_2);
    let denominator = (second.clone() / step.correction).sqrt() + step.epsilon;
    let parameter = moving.parameter * step.kept - first.clone() / denominator * step.rate;
    Moving { parameter, first, second }
}

/// The sum of the squares of all values, not differentiable.
#[must_use]
pub fn square_sum<const D: usize>(x: &Tensor<D>) -> Option<f64> {
    route::square_sum(x)
}

/// Layer norm over the last dimension.
#[must_use]
pub fn layer_norm<const D: usize>(x: &Tensor<D>, norm: Norm) -> Option<Tensor<D>> {
    route::layer_norm(x, norm)
}

/// Layer norm of `residual + dropout(x)`, both `[B, L, D]`.
#[must_use]
pub fn dropout_add_norm(x: &Tensor<3>, residual: &Tensor<3>, norm: Norm, dropout: f64) -> Option<Tensor<3>> {
    route::dropout_add_norm(x, residual, norm, dropout)
}
