//! The layers composed of Burn's operations, and random inputs for them: what tests and benchmarks set the kernels against.

use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::{gelu, sigmoid, softmax};
use m3ae_nn::{Activation, Attention, Linear, Projections};

pub fn device() -> Device {
    Device::flex().autodiff()
}

pub fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 0.7), &device()).require_grad()
}

pub fn random_linear(input: usize, output: usize) -> Linear {
    Linear { weight: random([input, output]), bias: random([output]) }
}

pub fn apply(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    x.matmul(layer.weight.clone().unsqueeze()) + layer.bias.clone().unsqueeze()
}

fn heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, length, width] = x.dims();
    x.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
}

fn add(x: Tensor<3>, residual: Option<&Tensor<3>>) -> Tensor<3> {
    match residual {
        Some(residual) => x + residual.clone(),
        None => x,
    }
}

/// Attention as the formula reads, without dropout.
pub fn attention(x: Tensor<3>, of: &Attention) -> Tensor<3> {
    let [batch, queries, width] = x.dims();
    let context = of.context.clone().unwrap_or(x.clone());
    let [query, key, value] = match &of.projections {
        Projections::Packed(layer) => {
            let packed = apply(layer, x);
            [0, 1, 2].map(|part| packed.clone().narrow(2, part * width, width))
        }
        Projections::Separate { query, key, value } => {
            [apply(query, x), apply(key, context.clone()), apply(value, context)]
        }
    };
    let scale = ((width / of.heads) as f64).powf(-0.5);
    let mut scores = heads(query, of.heads).matmul(heads(key, of.heads).swap_dims(2, 3)) * scale;
    if let Some(bias) = &of.bias {
        scores = scores + bias.clone();
    }
    let attended = softmax(scores, 3).matmul(heads(value, of.heads));
    let out = apply(&of.output, attended.swap_dims(1, 2).reshape([batch, queries, width]));
    add(out, of.residual.as_ref())
}

/// `second(activation(first(x))) (+ residual)`.
pub fn feed_forward(
    x: Tensor<3>,
    (first, second): (&Linear, &Linear),
    activation: Activation,
    residual: Option<&Tensor<3>>,
) -> Tensor<3> {
    let before = apply(first, x);
    let after = match activation {
        Activation::Gelu => gelu(before),
        Activation::QuickGelu => before.clone() * sigmoid(before * 1.702),
    };
    add(apply(second, after), residual)
}
