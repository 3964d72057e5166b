//! Swin, the hierarchical vision transformer with shifted windows (Liu et al., ICCV 2021; docs/spec.md, section 1.2).
//!
//! ```text
//! image [B, 3, S, S] ─ patches ─ stage 0 ─ merge ─ stage 1 ─ merge ─ stage 2 ─ merge ─ stage 3 ─ norm ─ [B, n, 8D]
//!       tokens per side     S/4      S/4      S/8      S/8     S/16     S/16     S/32     S/32
//!       width                D         D       2D       2D       4D       4D       8D       8D
//! ```
//!
//! There is no class token: M3AE pools the mean over tokens. Nor is there a way to leave patches out, so there is no
//! masked image modelling with it. Field names are those of timm before 2023 and of Microsoft's release, which the
//! reference shares.

mod block;
mod merge;
#[cfg(test)]
mod tests;
mod window;

use burn::prelude::*;
use m3ae_nn::Precision;

use crate::config::{SWIN_STAGES, SwinConfig};
use crate::error::ConfigError;
use crate::layers::{LayerNorm, NORM_EPSILON, PatchConv};
pub use block::{SwinBlock, SwinMlp, SwinStage};
pub use merge::PatchMerging;
pub use window::WindowAttention;

/// The image's patches as normalised tokens.
#[derive(Module, Debug)]
pub struct SwinPatchEmbed {
    /// `[D, 3, P, P]` and bias `[D]`.
    pub proj: PatchConv,
    /// Norm of each token.
    pub norm: LayerNorm,
}

/// The Swin encoder, without its classifier.
#[derive(Module, Debug)]
pub struct SwinEncoder {
    /// Patch embedding.
    pub patch_embed: SwinPatchEmbed,
    /// The four stages.
    pub layers: Vec<SwinStage>,
    /// Norm of the last stage's tokens.
    pub norm: LayerNorm,
}

/// Token grids on the way through Swin.
#[derive(Debug, Clone)]
pub struct SwinEncoding {
    /// After the patch embedding's norm, `[B, (S/P)², D]`, row by row as all of these.
    pub patch_embed: Tensor<3>,
    /// After each stage's blocks and before its merging: stage i is `[B, (S/P)² / 4^i, 2^i · D]`.
    pub stages: Vec<Tensor<3>>,
    /// The last stage's tokens after the final norm, `[B, n, 8D]`.
    pub features: Tensor<3>,
}

impl SwinConfig {
    /// Initialises with Normal(0, 0.02) weights; published weights come from ImageNet-22k.
    ///
    /// # Errors
    /// A configuration that no encoder can be built from.
    pub fn init(&self, device: &Device) -> Result<SwinEncoder, ConfigError> {
        self.validate()?;
        Ok(SwinEncoder {
            patch_embed: SwinPatchEmbed {
                proj: PatchConv::with_bias(self.width, self.patch_size, device),
                norm: LayerNorm::new(self.width, NORM_EPSILON, device),
            },
            layers: (0..SWIN_STAGES).map(|stage| SwinStage::new(self, stage, device)).collect(),
            norm: LayerNorm::new(self.output_width(), NORM_EPSILON, device),
        })
    }
}

impl SwinEncoder {
    /// Encodes images `[B, 3, S, S]`, S being the configuration's `image_size`.
    pub fn forward(&self, image: Tensor<4>, precision: Precision) -> SwinEncoding {
        let patch_embed = self.patch_embed.norm.forward(self.patch_embed.proj.forward(image)); // [B, (S/P)², D]
        let [batch, tokens, width] = patch_embed.dims();
        let grid = tokens.isqrt();
        let mut x = patch_embed.clone().reshape([batch, grid, grid, width]);
        let mut stages = Vec::with_capacity(self.layers.len());
        for stage in &self.layers {
            let output = stage.forward(x, precision);
            stages.push(flatten_grid(output.state));
            x = output.next;
        }
        SwinEncoding { patch_embed, stages, features: self.norm.forward(flatten_grid(x)) }
    }
}

/// `[B, H, W, D]` -> `[B, H·W, D]`.
fn flatten_grid(x: Tensor<4>) -> Tensor<3> {
    let [batch, rows, columns, width] = x.dims();
    x.reshape([batch, rows * columns, width])
}
