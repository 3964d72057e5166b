//! The layers: which tensor stands where, and which kernels run.

mod attention;

pub(crate) use attention::Attention;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use crate::cpu::{Activation, Dropout, mlp, norm};
use crate::node::{Layer, tensor};

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
pub(crate) struct Mlp {
    pub activation: Activation,
}

fn linear<'a>(weight: &'a FlexTensor, bias: &'a FlexTensor) -> mlp::Linear<'a> {
    mlp::Linear { weight: values(weight), bias: values(bias) }
}

impl Layer for Mlp {
    /// The inner values before the activation.
    type Saved = FlexTensor;

    fn forward(&self, inputs: &[FlexTensor]) -> (FlexTensor, FlexTensor) {
        let (first, second) = (linear(&inputs[1], &inputs[2]), linear(&inputs[3], &inputs[4]));
        let residual = inputs.get(5).map(values);
        let (out, before) = mlp::forward(values(&inputs[0]), first, second, self.activation, residual);
        let [batch, length, _] = inputs[0].shape().dims();
        let inner = [before.len()].into();
        (tensor(out, [batch, length, second.output()].into()), tensor(before, inner))
    }

    fn backward(
        &self,
        inputs: &[FlexTensor],
        before: &FlexTensor,
        gradient: &FlexTensor,
        needed: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let (first, second) = (linear(&inputs[1], &inputs[2]), linear(&inputs[3], &inputs[4]));
        let x = values(&inputs[0]);
        let of = mlp::backward(x, values(before), first, second, self.activation, values(gradient), needed[0]);
        vec![
            of.x.and_then(|x| like(&inputs[0], x)),
            like(&inputs[1], of.first_weight),
            like(&inputs[2], of.first_bias),
            like(&inputs[3], of.second_weight),
            like(&inputs[4], of.second_bias),
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
    /// The sum.
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
        let (of_sum, gamma, beta) = norm.backward(values(sum), values(gradient));
        let width = norm.gamma.len();
        let of_sum = tensor(of_sum, inputs[0].shape());
        let of_x = match self.dropout.is_active() {
            true => like(&inputs[0], norm::dropped(values(&of_sum), width, self.dropout)),
            false => Some(of_sum.clone()),
        };
        vec![of_x, Some(of_sum), like(&inputs[2], gamma), like(&inputs[3], beta)]
    }
}
