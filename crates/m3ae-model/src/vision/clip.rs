//! CLIP's vision transformer, without its last stored block and without projection (paper, section 3.1; docs/spec.md,
//! section 1.1).

use burn::module::Param;
use burn::prelude::*;
use m3ae_nn::Precision;

use super::encoding::ImageEncoding;
use crate::config::ClipVisionConfig;
use crate::init::Init;
use crate::layers::{BlockInit, ClipTransformer, LayerNorm, NORM_EPSILON, PatchConv, take_rows};

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
    /// Positions are added *before* patches are dropped, and the class token always stays (docs/spec.md, section 2).
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
