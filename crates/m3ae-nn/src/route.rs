//! From tensors to the kernels, where they are on Flex and in float32.

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, Flex};
use burn::prelude::*;
use burn::tensor::{DType, Distribution};

use crate::cpu::{Dropout, optimizer};
use crate::node::run;
use crate::{Activation, AdamWStep, Attention, Linear, Moving, Norm, Projections, layers};

/// Whether the kernels can run where this tensor is.
fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().inner();
    x.dtype() == DType::F32 && matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// A dropout whose seed comes from the backend's generator: [`Device::seed`] decides it.
fn dropout(probability: f64, device: &Device) -> Dropout {
    if probability == 0.0 {
        return Dropout::new(0.0, 0);
    }
    let draws = Tensor::<1>::random([3], Distribution::Uniform(0.0, 1.0), &device.clone().inner());
    // float32 has 24 random bits.
    let bits = draws.into_data().iter::<f32>().fold(0_u64, |bits, draw| (bits << 24) ^ (draw * 16_777_216.0) as u64);
    Dropout::new(probability, bits)
}

pub(crate) fn attention(x: &Tensor<3>, attention: Attention) -> Option<Tensor<3>> {
    if !is_ours(x) {
        return None;
    }
    let dropout = dropout(attention.dropout, &x.device());
    let bias = match attention.bias {
        Some(bias) => Some(flex(bias)?), // [B, 1, 1, Lk] in memory is [B, Lk]
        None => None,
    };
    let mut inputs = vec![x.clone().into_dispatch()];
    inputs.extend(attention.context.map(Tensor::into_dispatch));
    let layers = match attention.projections {
        Projections::Packed(layer) => vec![layer, attention.output],
        Projections::Separate { query, key, value } => vec![query, key, value, attention.output],
    };
    for Linear { weight, bias } in layers {
        inputs.extend([weight.into_dispatch(), bias.into_dispatch()]);
    }
    inputs.extend(attention.residual.map(Tensor::into_dispatch));
    let layer = layers::Attention { heads: attention.heads, bias, dropout };
    run(layer, inputs).map(Tensor::from_dispatch)
}

pub(crate) fn adamw(moving: Moving, gradient: Tensor<1>, step: &AdamWStep) -> Moving {
    let Moving { parameter, first, second } = &moving;
    let tensors = [parameter, first, second, &gradient];
    if tensors.iter().any(|tensor| tensor.device().is_autodiff() || !is_ours(tensor)) {
        return crate::plain_adamw(moving, gradient, step);
    }
    let Moving { parameter, first, second } = moving;
    let values = [parameter, first, second, gradient].map(flex);
    let [Some(mut parameter), Some(mut first), Some(mut second), Some(gradient)] = values else {
        unreachable!("all four are on Flex");
    };
    optimizer::adamw(
        parameter.storage_mut::<f32>(),
        first.storage_mut::<f32>(),
        second.storage_mut::<f32>(),
        gradient.storage::<f32>(),
        step,
    );
    let [parameter, first, second] = [parameter, first, second].map(Tensor::from_primitive::<Flex>);
    Moving { parameter, first, second }
}

pub(crate) fn square_sum<const D: usize>(x: &Tensor<D>) -> Option<f64> {
    if !is_ours(x) {
        return None;
    }
    Some(optimizer::square_sum(flex(x.clone())?.storage::<f32>()))
}

/// The values of a tensor without its gradient; not shared where the tensor was not.
fn flex<const D: usize>(x: Tensor<D>) -> Option<FlexTensor> {
    let x = if x.device().is_autodiff() { x.inner() } else { x };
    x.try_into_primitive::<Flex>().ok().map(|tensor| tensor.to_contiguous())
}

pub(crate) fn mlp(
    x: &Tensor<3>,
    (first, second): (Linear, Linear),
    activation: Activation,
    residual: Option<Tensor<3>>,
) -> Option<Tensor<3>> {
    if !is_ours(x) {
        return None;
    }
    let mut inputs = vec![x.clone().into_dispatch()];
    for Linear { weight, bias } in [first, second] {
        inputs.extend([weight.into_dispatch(), bias.into_dispatch()]);
    }
    inputs.extend(residual.map(Tensor::into_dispatch));
    run(layers::Mlp { activation }, inputs).map(Tensor::from_dispatch)
}

pub(crate) fn layer_norm<const D: usize>(x: &Tensor<D>, norm: Norm) -> Option<Tensor<D>> {
    if !is_ours(x) {
        return None;
    }
    let inputs = vec![x.clone().into_dispatch(), norm.gamma.into_dispatch(), norm.beta.into_dispatch()];
    let layer = layers::LayerNorm { epsilon: norm.epsilon as f32 };
    run(layer, inputs).map(Tensor::from_dispatch)
}

pub(crate) fn dropout_add_norm(x: &Tensor<3>, residual: &Tensor<3>, norm: Norm, probability: f64) -> Option<Tensor<3>> {
    if !is_ours(x) {
        return None;
    }
    let inputs = vec![
        x.clone().into_dispatch(),
        residual.clone().into_dispatch(),
        norm.gamma.into_dispatch(),
        norm.beta.into_dispatch(),
    ];
    let layer = layers::DropoutAddNorm { epsilon: norm.epsilon as f32, dropout: dropout(probability, &x.device()) };
    run(layer, inputs).map(Tensor::from_dispatch)
}
