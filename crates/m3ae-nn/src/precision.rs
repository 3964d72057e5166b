//! The precision of matrix products. Everything else is float32: weights, softmax, norms, activations, residuals,
//! reductions.

use burn::prelude::*;
use burn::tensor::DType;
use serde::{Deserialize, Serialize};

/// The dtype in which matrix products of linear layers and attention are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// bfloat16: both factors are rounded to it, and the product is widened to float32 again; in the backward pass as
    /// well. Faster on devices with matrix units for bfloat16.
    Bf16,
}

/// The matrix product `a · b` over the last two dimensions: `[.., M, K]` · `[.., K, N]` -> `[.., M, N]`. Other
/// dimensions broadcast.
///
/// # Panics
/// The columns of `a` are not the rows of `b`, or the other dimensions do not broadcast.
#[must_use]
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>, precision: Precision) -> Tensor<D> {
    if a.dims().contains(&0) || b.dims().contains(&0) {
        return empty_product(a, b);
    }
    match precision {
        Precision::F32 => a.matmul(b),
        Precision::Bf16 => a.cast(DType::BF16).matmul(b.cast(DType::BF16)).cast(DType::F32),
    }
}

/// The product of factors without values: zeros, or nothing. (Burn 0.22.1's reads beyond its memory on Flex.)
fn empty_product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (left, right) = (a.dims(), b.dims());
    assert!(left[D - 1] == right[D - 2], "matmul: {left:?} cannot multiply {right:?}");
    let mut shape = left;
    for (side, &other) in shape[..D - 2].iter_mut().zip(&right) {
        assert!(*side == other || *side == 1 || other == 1, "matmul: {left:?} cannot multiply {right:?}");
        *side = if *side == 1 { other } else { *side };
    }
    shape[D - 1] = right[D - 1];
    Tensor::zeros(shape, &a.device())
}
