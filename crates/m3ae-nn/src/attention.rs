//! Multi-head attention, with its projections and between them.

use burn::prelude::*;
use burn::tensor::activation::softmax;

use crate::linear::LinearWeights;
use crate::norm::dropout;
use crate::precision::{Precision, matmul};
use crate::shape::{expect_probability, expect_shape};

/// How attention projects the tokens that it reads.
// Made and taken apart at once: a box would cost more than the copy.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Projections {
    /// Queries, keys and values by one layer `D -> 3D`, in that order.
    Packed(LinearWeights),
    /// By a layer `D -> D` each.
    Separate {
        /// Of the queries.
        query: LinearWeights,
        /// Of the keys.
        key: LinearWeights,
        /// Of the values.
        value: LinearWeights,
    },
}

/// The parameters of multi-head attention.
#[derive(Debug, Clone)]
pub struct AttentionWeights {
    /// The number of heads, which divides D.
    pub heads: usize,
    /// Input projections.
    pub projections: Projections,
    /// Output projection, `D -> D`.
    pub output: LinearWeights,
}

/// What an attention reads beside its tokens, and what it gives. The default: tokens read each other, all of them,
/// without dropout.
#[derive(Debug, Clone, Default)]
pub struct AttentionOptions {
    /// The tokens that give keys and values, `[B, Lk, D]`; `None`: `x` itself.
    pub context: Option<Tensor<3>>,
    /// Added to the scores, `[B, 1, 1, Lk]` or another shape that expands to `[B, heads, Lq, Lk]`. A constant: no
    /// gradient flows into it.
    pub bias: Option<Tensor<4>>,
    /// Added to the output, `[B, Lq, D]`.
    pub residual: Option<Tensor<3>>,
    /// Probability with which an attention weight is dropped, from 0 to below 1; 0 at inference.
    pub dropout: f64,
    /// Whether to give the attention weights. This takes the memory of all of them, and the composed operations on
    /// every backend.
    pub need_weights: bool,
    /// Of the matrix products.
    pub precision: Precision,
}

/// The result of [`attention`].
#[derive(Debug, Clone)]
pub struct AttentionOutput {
    /// `[B, Lq, D]`
    pub hidden: Tensor<3>,
    /// The attention weights before dropout, `[B, heads, Lq, Lk]`, if they were asked for.
    pub weights: Option<Tensor<4>>,
}

/// Multi-head attention with its projections: `output(softmax(q·kᵀ / √d + bias) · v) (+ residual)`, `[B, Lq, D]` ->
/// `[B, Lq, D]`.
///
/// Dropout draws come from the backend's generator, which [`Device::seed`] seeds.
///
/// # Panics
/// The shapes do not fit each other, `heads` does not divide D, there are no keys, or `dropout` is out of its range.
#[must_use]
pub fn attention(x: Tensor<3>, weights: AttentionWeights, options: AttentionOptions) -> AttentionOutput {
    expect_shapes(x.dims(), &weights, &options);
    if x.shape().num_elements() == 0 {
        let ([batch, queries, _], device) = (x.dims(), x.device());
        let keys = options.context.as_ref().map_or(queries, |context| context.dims()[1]);
        let none = || Tensor::zeros([batch, weights.heads, queries, keys], &device);
        return AttentionOutput { weights: options.need_weights.then(none), hidden: x };
    }
    #[cfg(feature = "flex")]
    if options.precision == Precision::F32
        && !options.need_weights
        && let Some(hidden) = crate::flex::attention(&x, &weights, &options)
    {
        return AttentionOutput { hidden, weights: None };
    }
    composed(x, &weights, &options)
}

#[track_caller]
fn expect_shapes(x: [usize; 3], weights: &AttentionWeights, options: &AttentionOptions) {
    const NAME: &str = "attention";
    let ([batch, queries, width], heads) = (x, weights.heads);
    assert!(
        width > 0 && heads > 0 && width.is_multiple_of(heads),
        "{NAME}: {heads} heads cannot share the width of x, {x:?}"
    );
    match &weights.projections {
        Projections::Packed(packed) => packed.expect(NAME, "the packed projection", [width, 3 * width]),
        Projections::Separate { query, key, value } => {
            query.expect(NAME, "the query projection", [width, width]);
            key.expect(NAME, "the key projection", [width, width]);
            value.expect(NAME, "the value projection", [width, width]);
        }
    }
    weights.output.expect(NAME, "the output projection", [width, width]);
    let mut keys = queries;
    if let Some(context) = &options.context {
        keys = context.dims()[1];
        expect_shape(NAME, "the context", context.dims(), [batch, keys, width]);
    }
    assert!(keys > 0, "{NAME}: there are no keys to attend to for x, {x:?}");
    if let Some(bias) = &options.bias {
        let (shape, scores) = (bias.dims(), [batch, heads, queries, keys]);
        let expands = shape.iter().zip(scores).all(|(&side, score)| side == score || side == 1);
        assert!(expands, "{NAME}: the bias has the shape {shape:?}, which does not expand to the scores', {scores:?}");
    }
    if let Some(residual) = &options.residual {
        expect_shape(NAME, "the residual", residual.dims(), x);
    }
    expect_probability(NAME, options.dropout);
}

/// The same in Burn's operations.
pub(crate) fn composed(x: Tensor<3>, weights: &AttentionWeights, options: &AttentionOptions) -> AttentionOutput {
    let (heads, precision) = (weights.heads, options.precision);
    let [_, _, width] = x.dims();
    let [query, key, value] = match (&weights.projections, options.context.clone()) {
        (Projections::Packed(packed), None) => {
            let packed = packed.forward(x, precision); // [B, L, 3D]
            [0, 1, 2].map(|part| packed.clone().narrow(2, part * width, width))
        }
        (Projections::Packed(packed), Some(context)) => {
            let [query, key, value] = [0, 1, 2].map(|part| columns(packed, part * width, width));
            project([&query, &key, &value], x, context, precision)
        }
        (Projections::Separate { query, key, value }, context) => {
            let context = context.unwrap_or_else(|| x.clone());
            project([query, key, value], x, context, precision)
        }
    };
    let [query, key, value] = [query, key, value].map(|x| split_heads(x, heads));
    let bias = options.bias.clone().map(Tensor::detach);
    let (attended, probabilities) = scaled_dot_product_attention(query, key, value, bias, options.dropout, precision);
    let output = weights.output.forward(merge_heads(attended), precision);
    AttentionOutput {
        hidden: match options.residual.clone() {
            Some(residual) => residual + output,
            None => output,
        },
        weights: options.need_weights.then_some(probabilities),
    }
}

/// Query, key and value, each `[B, L, D]`.
fn project(
    [query, key, value]: [&LinearWeights; 3],
    x: Tensor<3>,
    context: Tensor<3>,
    precision: Precision,
) -> [Tensor<3>; 3] {
    [query.forward(x, precision), key.forward(context.clone(), precision), value.forward(context, precision)]
}

/// The layer that gives only `count` of the values that `layer` gives, from `first` on.
fn columns(layer: &LinearWeights, first: usize, count: usize) -> LinearWeights {
    LinearWeights {
        weight: layer.weight.clone().narrow(1, first, count),
        bias: layer.bias.clone().map(|bias| bias.narrow(0, first, count)),
    }
}

/// `[B, L, D]` -> `[B, heads, L, D / heads]`; `heads` divides D.
pub fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, length, width] = x.dims();
    x.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
}

/// The inverse of [`split_heads`]: `[B, heads, L, d]` -> `[B, L, heads · d]`.
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, length, width] = x.dims();
    x.swap_dims(1, 2).reshape([batch, length, heads * width])
}

/// `softmax(q·kᵀ / √d + bias) · v` with dropout on the weights: the attended values, `[B, heads, Lq, d]`, and the
/// weights before dropout, `[B, heads, Lq, Lk]`. Composed of Burn's operations on every backend.
///
/// # Panics
/// The shapes do not fit each other, or `probability`, with which a weight is dropped, is not from 0 to below 1.
#[must_use]
pub fn scaled_dot_product_attention(
    query: Tensor<4>,        // [B, heads, Lq, d]
    key: Tensor<4>,          // [B, heads, Lk, d]
    value: Tensor<4>,        // [B, heads, Lk, d]
    bias: Option<Tensor<4>>, // added to the scores, of any shape that broadcasts with them
    probability: f64,
    precision: Precision,
) -> (Tensor<4>, Tensor<4>) {
    const NAME: &str = "scaled_dot_product_attention";
    let [batch, heads, _, width] = query.dims();
    let keys = key.dims()[2];
    expect_shape(NAME, "the keys", key.dims(), [batch, heads, keys, width]);
    expect_shape(NAME, "the values", value.dims(), [batch, heads, keys, value.dims()[3]]);
    // Scaling the query costs Lq·d multiplications instead of Lq·Lk.
    let query = query * (width as f64).powf(-0.5);
    let mut scores = matmul(query, key.swap_dims(2, 3), precision); // [B, heads, Lq, Lk]
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    let weights = softmax(scores, 3);
    let attended = matmul(dropout(weights.clone(), probability), value, precision);
    (attended, weights)
}
