//! CLIP's vision transformer, without its last stored block and without projection (paper 3.1, spec 1.1).

use burn::module::Param;
use burn::nn::{Initializer, Linear};
use burn::prelude::*;
use m3ae_nn::{
    Activation, AttentionOptions, AttentionWeights, FeedForwardWeights, Precision, Projections, attention, feed_forward,
};

use crate::config::ClipVisionConfig;
use crate::init::Init;
use crate::layers::{LayerNorm, NORM_EPSILON, take_rows};
use crate::vision_encoder::ImageEncoding;

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
    /// PyTorch's attention, uniformly within √(6 / (input + output)). (docs/spec.md, section 1.5; the reference's tiny checkpoint shows it.)
    pub(crate) fn fresh(width: usize, init: &Init) -> Self {
        Self {
            in_proj: Init::uniform((6.0 / (4 * width) as f64).sqrt()),
            residual: init.clone(),
            c_fc: init.clone(),
            c_fc_bias: Init::zeros(),
            c_proj_bias: Init::zeros(),
        }
    }

    /// CLIP's own, by width and depth: what its vision transformer is trained from. (M3AE uses all stored blocks but one; CLIP counts
    /// the stored ones.) CLIP redraws no biases: in the feed-forward part they are PyTorch's, uniform within 1 / √input.
    fn clip(width: usize, layers: usize) -> Self {
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

/// CLIP's `visual` module.
#[derive(Module, Debug)]
pub struct ClipVisual {
    /// `[D]`
    pub class_embedding: Param<Tensor<1>>,
    /// `[1 + N, D]`, class row first.
    pub positional_embedding: Param<Tensor<2>>,
    /// Patch embedding.
    pub conv1: PatchConv,
    /// Norm before the transformer.
    pub ln_pre: LayerNorm,
    /// The blocks.
    pub transformer: ClipTransformer,
    /// Norm after the transformer, over all tokens.
    pub ln_post: LayerNorm,
}

/// CLIP's vision transformer as M3AE's vision encoder.
#[derive(Module, Debug)]
pub struct ClipEncoder {
    /// CLIP's vision transformer.
    pub visual: ClipVisual,
}

impl ClipVisionConfig {
    /// Initialises as CLIP does: variances follow width and depth, the patch convolution is uniform within
    /// `1 / sqrt(3·P·P)`. Published models start from CLIP's trained weights instead.
    #[must_use]
    pub fn init(&self, device: &Device) -> ClipEncoder {
        let width = self.width;
        let tokens = Init::normal((width as f64).powf(-0.5));
        let patch = self.patch_size;
        let conv1 = Init::uniform(((3 * patch * patch) as f64).powf(-0.5));
        ClipEncoder {
            visual: ClipVisual {
                class_embedding: tokens.parameter([width], device),
                positional_embedding: tokens.parameter([1 + self.patches(), width], device),
                conv1: PatchConv { weight: conv1.parameter([width, 3, patch, patch], device), bias: None },
                ln_pre: LayerNorm::new(width, NORM_EPSILON, device),
                transformer: ClipTransformer::new(
                    width,
                    self.heads(),
                    self.layers,
                    &BlockInit::clip(width, self.layers),
                    device,
                ),
                ln_post: LayerNorm::new(width, NORM_EPSILON, device),
            },
        }
    }
}

impl ClipEncoder {
    /// Encodes images, whole or with only some patches visible.
    ///
    /// - `image`: `[B, 3, S, S]`, normalised as CLIP's
    /// - `ids_keep`: `[B, K]`, the patches to keep, in the order in which they appear; `None` keeps all N
    /// - `precision`: of matrix products
    ///
    /// Positions are added *before* patches are dropped, and the class token always stays (spec 2).
    pub fn forward(&self, image: Tensor<4>, ids_keep: Option<Tensor<2, Int>>, precision: Precision) -> ImageEncoding {
        let visual = &self.visual;
        let patches = visual.conv1.forward(image); // [B, N, D]
        let [batch, count, width] = patches.dims();
        let class = visual.class_embedding.val().reshape([1, 1, width]).expand([batch, 1, width]);
        let patch_embed = Tensor::cat(vec![class, patches], 1); // [B, 1+N, D]
        let placed = patch_embed.clone() + visual.positional_embedding.val().unsqueeze::<3>();
        let visible_tokens = match ids_keep {
            None => placed,
            Some(ids) => {
                let class = placed.clone().narrow(1, 0, 1);
                Tensor::cat(vec![class, take_rows(placed.narrow(1, 1, count), ids)], 1) // [B, 1+K, D]
            }
        };
        let x = visual.transformer.forward(visual.ln_pre.forward(visible_tokens.clone()), precision);
        ImageEncoding { patch_embed, visible_tokens, features: visual.ln_post.forward(x) }
    }
}
