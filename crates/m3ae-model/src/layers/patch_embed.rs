//! From an image to one token per patch.

use burn::module::Param;
use burn::nn::Initializer;
use burn::prelude::*;

use crate::init::Init;

/// The convolution with stride = kernel = P that turns patches into tokens.
#[derive(Module, Debug)]
pub struct PatchConv {
    /// `[D, 3, P, P]`
    pub weight: Param<Tensor<4>>,
    /// `[D]`; CLIP has none, Swin has.
    pub bias: Option<Param<Tensor<1>>>,
}

impl PatchConv {
    pub(crate) fn with_bias(width: usize, patch: usize, device: &Device) -> Self {
        let bias = Some(Initializer::Zeros.init([width], device));
        Self { weight: Init::default().parameter([width, 3, patch, patch], device), bias }
    }

    /// `[B, 3, S, S]` -> `[B, N, D]`, patches row by row. As one matrix product: the patches do not overlap.
    pub(crate) fn forward(&self, image: Tensor<4>) -> Tensor<3> {
        let weight = self.weight.val();
        let [width, channels, patch, _] = weight.dims();
        let [batch, _, height, side] = image.dims();
        let (rows, columns) = (height / patch, side / patch);
        let patches = image
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5]) // [B, rows, columns, 3, P, P]
            .reshape([batch, rows * columns, channels * patch * patch]);
        let kernel = weight.reshape([width, channels * patch * patch]).transpose(); // [3·P·P, D]
        burn::tensor::module::linear(patches, kernel, self.bias.as_ref().map(Param::val))
    }
}
