//! What a vision encoder gives.

use burn::prelude::*;

/// Token sequences on the way through the vision encoder.
#[derive(Debug, Clone)]
pub struct ImageEncoding {
    /// CLIP: class token and patch tokens before positions are added, `[B, 1+N, Dv]`.
    /// Swin: the first stage's patches, `[B, (S/4)², D]` with the first stage's width D.
    pub patch_embed: Tensor<3>,
    /// What the first block reads. CLIP: positions included, class token and the kept patches, `[B, 1+K, Dv]`.
    /// Swin: `patch_embed`.
    pub visible_tokens: Tensor<3>,
    /// The encoding. CLIP: after `ln_post`, `[B, 1+K, Dv]`. Swin: the last stage's tokens after the norm, `[B, n, Dv]`.
    pub features: Tensor<3>,
}
