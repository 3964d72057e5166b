//! CLIP's pre-norm block (docs/spec.md, section 1.1), which the masked-image decoder shares.

use burn::nn::Linear;
use burn::prelude::*;
use m3ae_nn::{
    Activation, AttentionOptions, AttentionWeights, FeedForwardWeights, Precision, Projections, attention, feed_forward,
};

use super::norm::{LayerNorm, NORM_EPSILON};
use crate::init::Init;

/// Multi-head self-attention with one packed projection for queries, keys and values.
#[derive(Module, Debug)]
pub struct ClipAttention {
    /// `D -> 3D`: query, key, value, in that order.
    pub in_proj: Linear,
    /// `D -> D`.
    pub out_proj: Linear,
    heads: usize,
}

impl ClipAttention {
    /// `residual + attention(x)`, both `[B, L, D]`.
    fn forward(&self, x: Tensor<3>, residual: Tensor<3>, precision: Precision) -> Tensor<3> {
        let weights = AttentionWeights {
            heads: self.heads,
            projections: Projections::Packed((&self.in_proj).into()),
            output: (&self.out_proj).into(),
        };
        let options = AttentionOptions { residual: Some(residual), precision, ..AttentionOptions::default() };
        attention(x, weights, options).hidden
    }
}

/// The block's feed-forward part: `c_proj(QuickGELU(c_fc(x)))`, inner width 4D.
#[derive(Module, Debug)]
pub struct ClipMlp {
    /// `D -> 4D`.
    pub c_fc: Linear,
    /// `4D -> D`.
    pub c_proj: Linear,
}

impl ClipMlp {
    /// `residual + mlp(x)`, both `[B, L, D]`.
    fn forward(&self, x: Tensor<3>, residual: Tensor<3>, precision: Precision) -> Tensor<3> {
        let weights = FeedForwardWeights { first: (&self.c_fc).into(), second: (&self.c_proj).into() };
        feed_forward(x, weights, Activation::QuickGelu, Some(residual), precision)
    }
}

/// A pre-norm block: x += attention(ln_1(x)); x += mlp(ln_2(x)).
#[derive(Module, Debug)]
pub struct ClipBlock {
    /// Attention.
    pub attn: ClipAttention,
    /// Norm before attention.
    pub ln_1: LayerNorm,
    /// Feed-forward.
    pub mlp: ClipMlp,
    /// Norm before the feed-forward part.
    pub ln_2: LayerNorm,
}

impl ClipBlock {
    pub(crate) fn new(width: usize, heads: usize, init: &BlockInit, device: &Device) -> Self {
        let inner = 4 * width;
        Self {
            attn: ClipAttention {
                in_proj: init.in_proj.linear(width, 3 * width, device),
                out_proj: init.residual.linear(width, width, device),
                heads,
            },
            ln_1: LayerNorm::new(width, NORM_EPSILON, device),
            mlp: ClipMlp {
                c_fc: init.c_fc.linear_with_bias(&init.c_fc_bias, width, inner, device),
                c_proj: init.residual.linear_with_bias(&init.c_proj_bias, inner, width, device),
            },
            ln_2: LayerNorm::new(width, NORM_EPSILON, device),
        }
    }

    /// `[B, L, D]` -> `[B, L, D]`.
    pub fn forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<3> {
        let x = self.attn.forward(self.ln_1.forward(x.clone()), x, precision);
        self.mlp.forward(self.ln_2.forward(x.clone()), x, precision)
    }
}

/// A block's initial weights; biases that are not named start at zero.
#[derive(Debug, Clone)]
pub(crate) struct BlockInit {
    in_proj: Init,
    /// Of the two products that are added to the residual stream.
    residual: Init,
    c_fc: Init,
    c_fc_bias: Init,
    c_proj_bias: Init,
}

impl BlockInit {
    /// Of a block that is not pre-trained. The reference redraws linear layers only, from `init`; `in_proj` is drawn by
    /// PyTorch's attention, uniformly within √(6 / (input + output)). (docs/spec.md, section 1.5; the reference's tiny
    /// checkpoint shows it.)
    pub(crate) fn fresh(width: usize, init: &Init) -> Self {
        Self {
            in_proj: Init::uniform((6.0 / (4 * width) as f64).sqrt()),
            residual: init.clone(),
            c_fc: init.clone(),
            c_fc_bias: Init::zeros(),
            c_proj_bias: Init::zeros(),
        }
    }

    /// CLIP's own, by width and depth: what its vision transformer is trained from. (M3AE uses all stored blocks but
    /// one; CLIP counts the stored ones.) CLIP redraws no biases: in the feed-forward part they are PyTorch's, uniform
    /// within 1 / √input.
    pub(crate) fn clip(width: usize, layers: usize) -> Self {
        let (width, stored) = (width as f64, (layers + 1) as f64);
        Self {
            in_proj: Init::normal(width.powf(-0.5)),
            residual: Init::normal((width * 2.0 * stored).powf(-0.5)),
            c_fc: Init::normal((2.0 * width).powf(-0.5)),
            c_fc_bias: Init::uniform(width.powf(-0.5)),
            c_proj_bias: Init::uniform((4.0 * width).powf(-0.5)),
        }
    }
}

/// A stack of blocks.
#[derive(Module, Debug)]
pub struct ClipTransformer {
    /// The blocks, first to last.
    pub resblocks: Vec<ClipBlock>,
}

impl ClipTransformer {
    pub(crate) fn new(width: usize, heads: usize, layers: usize, init: &BlockInit, device: &Device) -> Self {
        Self { resblocks: (0..layers).map(|_| ClipBlock::new(width, heads, init, device)).collect() }
    }

    /// `[B, L, D]` -> `[B, L, D]`.
    pub fn forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<3> {
        self.resblocks.iter().fold(x, |x, block| block.forward(x, precision))
    }
}
