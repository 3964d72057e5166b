//! Transformer operators as functions of Burn tensors: attention with its projections, feed-forward, layer norm, linear
//! layers, matrix products of a given precision, and AdamW.
//!
//! Every operator answers on every backend. Inside, it chooses between two implementations that agree up to rounding:
//!
//! - **kernels** of this crate, on Burn's Flex backend in float32 (feature `flex`). A layer is one node of the autodiff
//!   graph with its own backward pass. It passes over memory once, on all processors, and recomputes cheap activations
//!   in the backward pass.
//! - **composed** operations of Burn everywhere else: on other backends, in other dtypes, for products in bfloat16.
//!
//! ```
//! use burn::prelude::*;
//! use m3ae_nn::{Activation, FeedForwardWeights, LinearWeights, NormWeights, Precision, feed_forward, layer_norm};
//!
//! let device = Device::default();
//! let layer = |input, output| LinearWeights {
//!     weight: Tensor::ones([input, output], &device) * 0.1,
//!     bias: Some(Tensor::zeros([output], &device)),
//! };
//! let norm = NormWeights { gamma: Tensor::ones([8], &device), beta: Tensor::zeros([8], &device), epsilon: 1e-5 };
//! let weights = FeedForwardWeights { first: layer(8, 32), second: layer(32, 8) };
//!
//! // A pre-norm block's second half: x + W2 · GELU(W1 · norm(x)).
//! let x = Tensor::<3>::ones([2, 5, 8], &device); // [B, L, D]
//! let y = feed_forward(layer_norm(x.clone(), norm), weights, Activation::Gelu, Some(x), Precision::F32);
//! assert_eq!(y.dims(), [2, 5, 8]);
//! ```
//!
//! Shapes that do not fit each other are programming errors: each operator panics with its name and both shapes before
//! it computes.
//!
//! # Which Burn feature to choose
//! This crate turns on no backend. Choose one in your own `Cargo.toml`:
//! `burn = { version = "=0.22.1", features = ["flex"] }` for the CPU (and `m3ae-nn`'s feature `flex` for the kernels),
//! `wgpu` or `cuda` for a GPU.

mod adamw;
mod attention;
mod feed_forward;
#[cfg(feature = "flex")]
mod flex;
mod linear;
mod norm;
mod precision;
mod shape;
#[cfg(all(test, feature = "flex"))]
mod tests;

pub use adamw::{AdamState, AdamWStep, adamw, square_sums};
pub use attention::{
    AttentionOptions, AttentionOutput, AttentionWeights, Projections, attention, merge_heads,
    scaled_dot_product_attention, split_heads,
};
pub use feed_forward::{Activation, FeedForwardWeights, feed_forward};
pub use linear::{LinearWeights, linear};
pub use norm::{NormWeights, dropout, dropout_add_norm, layer_norm};
pub use precision::{Precision, matmul};
