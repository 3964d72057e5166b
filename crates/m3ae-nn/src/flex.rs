//! From tensors to the kernels, where all of them are on Flex and in float32. Each function gives `None` where they are
//! not, or where there is no kernel for what was asked.

mod kernels;
mod node;
mod nodes;

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchDevice, DispatchTensor, Flex};
use burn::prelude::*;
use burn::tensor::{DType, Distribution};

use crate::{
    Activation, AdamState, AdamWStep, AttentionOptions, AttentionWeights, FeedForwardWeights, LinearWeights,
    NormWeights, Projections,
};
use kernels::Dropout;
use node::run;
#[cfg(test)]
pub(crate) use node::tensor;

/// Whether the kernels can read this tensor.
fn runs_on_flex_f32<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// An input of a node.
fn input<const D: usize>(x: &Tensor<D>) -> Option<DispatchTensor> {
    runs_on_flex_f32(x).then(|| x.clone().into_dispatch())
}

/// The weight and bias of layers, in this order; `None` if one has no bias.
fn layer_inputs<const N: usize>(layers: [&LinearWeights; N]) -> Option<Vec<DispatchTensor>> {
    let mut inputs = Vec::with_capacity(2 * N);
    for LinearWeights { weight, bias } in layers {
        inputs.extend([input(weight)?, input(bias.as_ref()?)?]);
    }
    Some(inputs)
}

/// The values of a tensor without its gradient; not shared if the tensor was not.
fn values<const D: usize>(x: Tensor<D>) -> Option<FlexTensor> {
    let x = if x.device().is_autodiff() { x.inner() } else { x };
    x.try_into_primitive::<Flex>().ok().map(|tensor| tensor.to_contiguous())
}

/// A dropout whose seed comes from the backend's generator, which [`Device::seed`] seeds.
fn seeded_dropout(probability: f64, device: &Device) -> Dropout {
    if probability == 0.0 {
        return Dropout::new(0.0, 0);
    }
    let draws = Tensor::<1>::random([3], Distribution::Uniform(0.0, 1.0), &device.clone().inner());
    // A float32 draw has 24 random bits.
    let seed = draws.into_data().iter::<f32>().fold(0_u64, |seed, draw| (seed << 24) ^ (draw * 16_777_216.0) as u64);
    Dropout::new(probability, seed)
}

/// There is a kernel for packed projections of `x` alone, for separate ones with a context or without, all with biases,
/// and for a score bias of `[B, 1, 1, Lk]`. `x` has at least one value.
pub(crate) fn attention(x: &Tensor<3>, weights: &AttentionWeights, options: &AttentionOptions) -> Option<Tensor<3>> {
    let AttentionOptions { context, bias, residual, dropout, .. } = options;
    let mut inputs = vec![input(x)?];
    let layers = match &weights.projections {
        Projections::Packed(packed) if context.is_none() => layer_inputs([packed, &weights.output])?,
        Projections::Packed(_) => return None,
        Projections::Separate { query, key, value } => {
            if let Some(context) = context {
                inputs.push(input(context)?);
            }
            layer_inputs([query, key, value, &weights.output])?
        }
    };
    inputs.extend(layers);
    // The packed kernel adds the residual itself.
    let (within, after) = match &weights.projections {
        Projections::Packed(_) => (residual.as_ref(), None),
        Projections::Separate { .. } => (None, residual.clone()),
    };
    if let Some(residual) = within {
        inputs.push(input(residual)?);
    }
    let bias = match bias {
        None => None,
        Some(bias) => {
            let ([batch, ..], keys) = (x.dims(), context.as_ref().unwrap_or(x).dims()[1]);
            if bias.dims() != [batch, 1, 1, keys] || !runs_on_flex_f32(bias) {
                return None;
            }
            Some(values(bias.clone())?) // [B, 1, 1, Lk] in memory is [B, Lk]
        }
    };
    let node = nodes::Attention { heads: weights.heads, bias, dropout: seeded_dropout(*dropout, &x.device()) };
    let hidden = run(node, inputs).map(Tensor::from_dispatch)?;
    Some(match after {
        Some(residual) => residual + hidden,
        None => hidden,
    })
}

pub(crate) fn feed_forward<const D: usize>(
    x: &Tensor<D>,
    weights: &FeedForwardWeights,
    activation: Activation,
    residual: Option<&Tensor<D>>,
) -> Option<Tensor<D>> {
    let mut inputs = vec![input(x)?];
    inputs.extend(layer_inputs([&weights.first, &weights.second])?);
    if let Some(residual) = residual {
        inputs.push(input(residual)?);
    }
    run(nodes::FeedForward { activation }, inputs).map(Tensor::from_dispatch)
}

pub(crate) fn layer_norm<const D: usize>(x: &Tensor<D>, weights: &NormWeights) -> Option<Tensor<D>> {
    let inputs = vec![input(x)?, input(&weights.gamma)?, input(&weights.beta)?];
    run(nodes::LayerNorm { epsilon: weights.epsilon as f32 }, inputs).map(Tensor::from_dispatch)
}

pub(crate) fn dropout_add_norm(
    x: &Tensor<3>,
    residual: &Tensor<3>,
    weights: &NormWeights,
    probability: f64,
) -> Option<Tensor<3>> {
    let inputs = vec![input(x)?, input(residual)?, input(&weights.gamma)?, input(&weights.beta)?];
    let dropout = seeded_dropout(probability, &x.device());
    run(nodes::DropoutAddNorm { epsilon: weights.epsilon as f32, dropout }, inputs).map(Tensor::from_dispatch)
}

/// Whether [`adamw`] takes these.
pub(crate) fn can_update(state: &AdamState, gradient: &Tensor<1>) -> bool {
    let tensors = [&state.parameter, &state.first_moment, &state.second_moment, gradient];
    tensors.iter().all(|tensor| !tensor.device().is_autodiff() && runs_on_flex_f32(tensor))
}

/// Updates in place what is not shared.
pub(crate) fn adamw(state: AdamState, gradient: Tensor<1>, step: &AdamWStep) -> AdamState {
    let AdamState { parameter, first_moment, second_moment } = state;
    let [Some(mut parameter), Some(mut first), Some(mut second), Some(gradient)] =
        [parameter, first_moment, second_moment, gradient].map(values)
    else {
        unreachable!("`can_update` found all four on Flex");
    };
    kernels::adamw(
        parameter.storage_mut::<f32>(),
        first.storage_mut::<f32>(),
        second.storage_mut::<f32>(),
        gradient.storage::<f32>(),
        step,
    );
    let [parameter, first_moment, second_moment] = [parameter, first, second].map(Tensor::from_primitive::<Flex>);
    AdamState { parameter, first_moment, second_moment }
}

pub(crate) fn square_sums(tensors: &[Tensor<1>]) -> Option<Vec<f64>> {
    if !tensors.iter().all(runs_on_flex_f32) {
        return None;
    }
    tensors.iter().map(|tensor| Some(kernels::square_sum(values(tensor.clone())?.storage::<f32>()))).collect()
}
