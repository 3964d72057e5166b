//! A stage of Swin: blocks of window attention and feed-forward, ended by a merging of patches.

use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::activation::gelu;
use m3ae_nn::{Precision, linear};

use super::merge::PatchMerging;
use super::window::{WindowAttention, Windows};
use crate::config::{SWIN_STAGES, SwinConfig};
use crate::init::Init;
use crate::layers::{LayerNorm, NORM_EPSILON};

/// The block's feed-forward part: `fc2(GELU(fc1(x)))`.
#[derive(Module, Debug)]
pub struct SwinMlp {
    /// `D -> mlp_ratio · D`.
    pub fc1: Linear,
    /// `mlp_ratio · D -> D`.
    pub fc2: Linear,
}

/// A pre-norm block: x += attention in windows(norm1(x)); x += mlp(norm2(x)).
///
/// Training Swin from nothing drops whole branches at random (stochastic depth). Published weights are used here to
/// start from, and at inference the drop is the identity: it is left out.
#[derive(Module, Debug)]
pub struct SwinBlock {
    /// Norm before attention.
    pub norm1: LayerNorm,
    /// Attention.
    pub attn: WindowAttention,
    /// Norm before the feed-forward part.
    pub norm2: LayerNorm,
    /// Feed-forward.
    pub mlp: SwinMlp,
}

impl SwinBlock {
    /// `[B, H, W, D]` -> `[B, H, W, D]`.
    fn forward(&self, x: Tensor<4>, windows: &Windows, precision: Precision) -> Tensor<4> {
        let x = x.clone() + self.attn.forward(self.norm1.forward(x), windows, precision);
        let inner = gelu(linear(self.norm2.forward(x.clone()), &self.mlp.fc1, precision));
        x + linear(inner, &self.mlp.fc2, precision)
    }
}

/// One of the four stages (`layers.i` in the reference).
#[derive(Module, Debug)]
pub struct SwinStage {
    /// First to last; odd ones shift their windows.
    pub blocks: Vec<SwinBlock>,
    /// To the next stage's grid and width; the last stage has none.
    pub downsample: Option<PatchMerging>,
    window: usize,
}

/// What a stage gives.
pub(crate) struct StageOutput {
    /// After the last block, `[B, H, W, D]`.
    pub state: Tensor<4>,
    /// What the next stage reads, `[B, H/2, W/2, 2D]`; after the last stage, `state`.
    pub next: Tensor<4>,
}

impl SwinStage {
    pub(crate) fn new(config: &SwinConfig, stage: usize, device: &Device) -> Self {
        let (width, window) = (config.stage_width(stage), config.stage_window(stage));
        let (init, inner) = (Init::default(), config.mlp_ratio * width);
        let block = || SwinBlock {
            norm1: LayerNorm::new(width, NORM_EPSILON, device),
            attn: WindowAttention::new(width, config.heads[stage], window, device),
            norm2: LayerNorm::new(width, NORM_EPSILON, device),
            mlp: SwinMlp { fc1: init.linear(width, inner, device), fc2: init.linear(inner, width, device) },
        };
        Self {
            blocks: (0..config.depths[stage]).map(|_| block()).collect(),
            downsample: (stage + 1 < SWIN_STAGES).then(|| PatchMerging::new(width, device)),
            window,
        }
    }

    /// `[B, H, W, D]` through the blocks and the merging.
    pub(crate) fn forward(&self, x: Tensor<4>, precision: Precision) -> StageOutput {
        let [_, grid, _, _] = x.dims();
        let device = x.device();
        let plain = Windows::new(grid, self.window, 0, &device);
        // A grid that is one window has nothing to shift.
        let shifted =
            if self.window < grid { Windows::new(grid, self.window, self.window / 2, &device) } else { plain.clone() };
        let layouts = [plain, shifted].into_iter().cycle();
        let state =
            self.blocks.iter().zip(layouts).fold(x, |x, (block, windows)| block.forward(x, &windows, precision));
        let next = match &self.downsample {
            Some(merging) => merging.forward(state.clone(), precision),
            None => state.clone(),
        };
        StageOutput { state, next }
    }
}
