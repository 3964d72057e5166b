//! Patch merging: what stands between two stages of Swin.

use burn::nn::Linear;
use burn::prelude::*;
use m3ae_nn::{Precision, linear};

use crate::init::Init;
use crate::layers::{LayerNorm, NORM_EPSILON};

/// Makes one token of each square of four: half the grid, twice the width.
#[derive(Module, Debug)]
pub struct PatchMerging {
    /// Over the four tokens' channels, `4D`.
    pub norm: LayerNorm,
    /// `4D -> 2D`, without bias.
    pub reduction: Linear,
}

impl PatchMerging {
    pub(crate) fn new(width: usize, device: &Device) -> Self {
        Self {
            norm: LayerNorm::new(4 * width, NORM_EPSILON, device),
            reduction: Init::default().linear_without_bias(4 * width, 2 * width, device),
        }
    }

    /// `[B, H, W, D]` -> `[B, H/2, W/2, 2D]`.
    pub fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        linear(self.norm.forward(gather_squares(x)), &self.reduction, precision)
    }
}

/// `[B, H, W, D]` -> `[B, H/2, W/2, 4D]`: the upper left token's channels, then the lower left's, the upper right's,
/// the lower right's. Column before row, as the published weights have it.
pub(super) fn gather_squares(x: Tensor<4>) -> Tensor<4> {
    let [batch, rows, columns, width] = x.dims();
    x.reshape([batch, rows / 2, 2, columns / 2, 2, width])
        .permute([0, 1, 3, 4, 2, 5]) // [B, H/2, W/2, right, lower, D]
        .reshape([batch, rows / 2, columns / 2, 4 * width])
}
