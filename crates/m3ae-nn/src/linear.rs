//! A linear layer.

use burn::prelude::*;

use crate::precision::{Precision, matmul};
use crate::shape::expect_shape;

/// The parameters of a linear layer.
#[derive(Debug, Clone)]
pub struct LinearWeights {
    /// `[input, output]`, both at least 1.
    pub weight: Tensor<2>,
    /// `[output]`
    pub bias: Option<Tensor<1>>,
}

impl From<&burn::nn::Linear> for LinearWeights {
    fn from(layer: &burn::nn::Linear) -> Self {
        Self { weight: layer.weight.val(), bias: layer.bias.as_ref().map(|bias| bias.val()) }
    }
}

impl LinearWeights {
    /// Checks the layer's own shapes and that it reads `input` values; returns how many it gives.
    #[track_caller]
    pub(crate) fn expect_input(&self, operator: &str, name: &str, input: usize) -> usize {
        let shape @ [rows, output] = self.weight.dims();
        assert!(
            rows == input && rows > 0 && output > 0,
            "{operator}: {name} has the weight {shape:?} and cannot read rows of {input} values"
        );
        if let Some(bias) = &self.bias {
            expect_shape(operator, &format!("the bias of {name} with the weight {shape:?}"), bias.dims(), [output]);
        }
        output
    }

    /// Checks the layer as [`expect_input`](Self::expect_input) does, and that it gives `output` values.
    #[track_caller]
    pub(crate) fn expect(&self, operator: &str, name: &str, [input, output]: [usize; 2]) {
        self.expect_input(operator, name, input);
        expect_shape(operator, &format!("the weight of {name}"), self.weight.dims(), [input, output]);
    }

    /// `x · weight + bias`, of shapes that fit.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>, precision: Precision) -> Tensor<D> {
        let mut shape = x.dims();
        if shape.contains(&0) {
            // Burn 0.22.1's product of an empty batch reads beyond its memory on Flex.
            shape[D - 1] = self.weight.dims()[1];
            return Tensor::zeros(shape, &x.device());
        }
        if precision == Precision::F32 {
            return burn::tensor::module::linear(x, self.weight.clone(), self.bias.clone());
        }
        let product = matmul(x, self.weight.clone().unsqueeze(), precision);
        match &self.bias {
            Some(bias) => product + bias.clone().unsqueeze(),
            None => product,
        }
    }
}

/// `x · weight + bias`: `[.., input]` -> `[.., output]`.
///
/// # Panics
/// The last dimension of `x` or the length of the bias does not fit the weight.
#[must_use]
pub fn linear<const D: usize>(x: Tensor<D>, layer: impl Into<LinearWeights>, precision: Precision) -> Tensor<D> {
    let layer = layer.into();
    layer.expect_input("linear", "the layer", x.dims()[D - 1]);
    layer.forward(x, precision)
}
