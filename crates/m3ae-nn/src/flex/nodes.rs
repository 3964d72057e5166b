//! The layers as nodes of the autodiff graph: the place of each tensor among the inputs, and the kernels that run.

mod attention;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use super::kernels::{Dropout, feed_forward, norm};
use super::node::{Layer, tensor};
use crate::Activation;

pub(crate) use attention::Attention;

/// The values of a contiguous float32 tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.storage::<f32>()
}

/// A gradient in the shape of its tensor.
fn like(input: &FlexTensor, gradient: Vec<f32>) -> Option<FlexTensor> {
    Some(tensor(gradient, input.shape()))
}

/// `[x, first weight, first bias, second weight, second bias, (residual)]`.
#[derive(Clone, Debug)]
pub(crate) struct FeedForward {
    pub activation: Activation,
}

fn linear<'a>(weight: &'a FlexTensor, bias: &'a FlexTensor) -> feed_forward::Linear<'a> {
    feed_forward::Linear { weight: values(weight), bias: values(bias) }
}

impl Layer for FeedForward {
    /// The inner values before the activation.
    type Saved = FlexTensor;

    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, FlexTensor) {
        let (first, second) = (linear(&inputs[1], &inputs[2]), linear(&inputs[3], &inputs[4]));
        let residual = inputs.get(5).map(values);
        let (out, inner) = feed_forward::forward(values(&inputs[0]), first, second, self.activation, residual);
        let mut shape = inputs[0].shape().to_vec();
        if let Some(width) = shape.last_mut() {
            *width = second.output();
        }
        let inner_shape = [inner.len()].into();
        (tensor(out, shape.into()), tensor(inner, inner_shape))
    }

    fn backward(
        &self,
        inputs: &[FlexTensor],
        inner: &FlexTensor,
        gradient: &FlexTensor,
        needed: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let (first, second) = (linear(&inputs[1], &inputs[2]), linear(&inputs[3], &inputs[4]));
        let x = values(&inputs[0]);
        let gradients =
            feed_forward::backward(x, values(inner), first, second, self.activation, values(gradient), needed[0]);
        vec![
            gradients.x.and_then(|x| like(&inputs[0], x)),
            like(&inputs[1], gradients.first_weight),
            like(&inputs[2], gradients.first_bias),
            like(&inputs[3], gradients.second_weight),
            like(&inputs[4], gradients.second_bias),
            Some(gradient.clone()),
        ]
    }
}

/// `[x, gamma, beta]`.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    pub epsilon: f32,
}

impl Layer for LayerNorm {
    type Saved = ();

    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, ()) {
        let norm = norm::Norm { gamma: values(&inputs[1]), beta: values(&inputs[2]), epsilon: self.epsilon };
        (tensor(norm.forward(values(&inputs[0])), inputs[0].shape()), ())
    }

    fn backward(&self, inputs: &[FlexTensor], _: &(), gradient: &FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let norm = norm::Norm { gamma: values(&inputs[1]), beta: values(&inputs[2]), epsilon: self.epsilon };
        let (x, gamma, beta) = norm.backward(values(&inputs[0]), values(gradient));
        vec![like(&inputs[0], x), like(&inputs[1], gamma), like(&inputs[2], beta)]
    }
}

/// `[x, residual, gamma, beta]`: layer norm of `residual + dropout(x)`.
#[derive(Clone, Debug)]
pub(crate) struct DropoutAddNorm {
    pub epsilon: f32,
    pub dropout: Dropout,
}

impl Layer for DropoutAddNorm {
    /// The sum before the norm.
    type Saved = FlexTensor;

    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, FlexTensor) {
        let norm = norm::Norm { gamma: values(&inputs[2]), beta: values(&inputs[3]), epsilon: self.epsilon };
        let sum = norm::add_dropped(values(&inputs[0]), values(&inputs[1]), norm.gamma.len(), self.dropout);
        let out = norm.forward(&sum);
        (tensor(out, inputs[0].shape()), tensor(sum, inputs[0].shape()))
    }

    fn backward(
        &self,
        inputs: &[FlexTensor],
        sum: &FlexTensor,
        gradient: &FlexTensor,
        _: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let norm = norm::Norm { gamma: values(&inputs[2]), beta: values(&inputs[3]), epsilon: self.epsilon };
        let (sum_gradient, gamma, beta) = norm.backward(values(sum), values(gradient));
        let width = norm.gamma.len();
        let sum_gradient = tensor(sum_gradient, inputs[0].shape());
        let x_gradient = match self.dropout.is_active() {
            true => like(&inputs[0], norm::dropped(values(&sum_gradient), width, self.dropout)),
            false => Some(sum_gradient.clone()),
        };
        vec![x_gradient, Some(sum_gradient), like(&inputs[2], gamma), like(&inputs[3], beta)]
    }
}
