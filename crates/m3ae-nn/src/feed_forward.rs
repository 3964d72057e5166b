//! The feed-forward part of a transformer layer.

use burn::prelude::*;
use burn::tensor::activation::{gelu, sigmoid};

use crate::linear::LinearWeights;
use crate::precision::Precision;
use crate::shape::expect_shape;

/// The activation between the two products of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x), with the error function.
    Gelu,
    /// x · sigmoid(1.702 x), CLIP's approximation of GELU.
    QuickGelu,
}

impl Activation {
    /// The slope of QuickGELU's sigmoid: with it, x · sigmoid(1.702 x) is closest to GELU.
    pub(crate) const QUICK_GELU_SLOPE: f64 = 1.702;

    /// Applies the activation to each value.
    #[must_use]
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => gelu(x),
            Self::QuickGelu => {
                let gate = sigmoid(x.clone() * Self::QUICK_GELU_SLOPE);
                x * gate
            }
        }
    }
}

/// The parameters of a feed-forward layer.
#[derive(Debug, Clone)]
pub struct FeedForwardWeights {
    /// `D -> inner`.
    pub first: LinearWeights,
    /// `inner -> output`.
    pub second: LinearWeights,
}

/// `second(activation(first(x))) (+ residual)`: `[.., D]` -> `[.., output]`; `residual` has the output's shape.
///
/// # Panics
/// The layers do not fit `x` and each other, or the residual does not fit the output.
#[must_use]
pub fn feed_forward<const D: usize>(
    x: Tensor<D>,
    weights: FeedForwardWeights,
    activation: Activation,
    residual: Option<Tensor<D>>,
    precision: Precision,
) -> Tensor<D> {
    const NAME: &str = "feed_forward";
    let mut shape = x.dims();
    let inner = weights.first.expect_input(NAME, "the first layer", shape[D - 1]);
    shape[D - 1] = weights.second.expect_input(NAME, "the second layer", inner);
    if let Some(residual) = &residual {
        expect_shape(NAME, "the residual", residual.dims(), shape);
    }
    #[cfg(feature = "flex")]
    if precision == Precision::F32
        && let Some(output) = crate::flex::feed_forward(&x, &weights, activation, residual.as_ref())
    {
        return output;
    }
    composed(x, &weights, activation, residual, precision)
}

/// The same in Burn's operations.
pub(crate) fn composed<const D: usize>(
    x: Tensor<D>,
    weights: &FeedForwardWeights,
    activation: Activation,
    residual: Option<Tensor<D>>,
    precision: Precision,
) -> Tensor<D> {
    let inner = activation.forward(weights.first.forward(x, precision));
    let output = weights.second.forward(inner, precision);
    match residual {
        Some(residual) => residual + output,
        None => output,
    }
}
