//! The M3AE network (Chen et al., MICCAI 2022): CLIP (or Swin) vision encoder, RoBERTa/BERT text encoder, co-attention fusion,
//! masked-image decoder and prediction heads, on Burn tensors.
//!
//! ```text
//! image  [B, 3, S, S] ─ VisionEncoder ─ [B, 1+K, Dv] ─ proj + type 1 ─┐
//!                                                                    ├─ co-attention × 6 ─ poolers ─ cls [B, 2D] ─ heads
//! tokens [B, L] ─────── TextEncoder ─── [B, L, Dt] ─── proj + type 0 ─┘
//! ```
//!
//! The crate knows tensors only: no files, no randomness but initial weights and dropout, no loss. Every module follows
//! `Config -> init(&device) -> forward`, and field names are the reference implementation's parameter names.
//! Numbers in the documentation refer to the paper's sections and to the project's specification ("spec").
//!
//! ```
//! use burn::prelude::*;
//! use m3ae_model::{M3aeConfig, Texts};
//!
//! let device = Device::default();
//! let model = M3aeConfig::small().init(&device)?;
//! let image = Tensor::<4>::zeros([1, 3, 64, 64], &device); // normalised as CLIP's images are
//! let texts = Texts::new(&[[0, 17, 42, 2]], 1, &device); // token ids, padded with 1
//! let features = model.forward(texts, image);
//! assert_eq!(features.pooled.dims(), [1, 256]); // pooled text and image
//! # Ok::<(), m3ae_model::ConfigError>(())
//! ```

mod config;
mod error;
mod fusion;
mod heads;
mod init;
mod inputs;
mod layers;
mod m3ae;
mod mim;
mod swin;
mod text;
mod vision;
mod vision_encoder;

pub use config::{
    CLIP_HEAD_WIDTH, ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, SWIN_STAGES, SwinConfig,
    TextConfig, TextFamily, VisionConfig,
};
pub use error::{ConfigError, MaskingUnsupported};
pub use fusion::{
    CoAttentionMaps, FusedStates, FusionInput, FusionOutput, FusionRequest, FusionText, Nothing, Pairs, Pooler, Wanted,
};
pub use heads::{ClassifierHead, ItmHead, MlmHead, MlmTransform};
pub use inputs::{Texts, VisiblePatches, images, padding_bias};
pub use layers::LayerNorm;
pub use m3ae::M3ae;
pub use m3ae_nn::Precision;
pub use mim::{MimHead, mim_target, patch_moments, patchify, unpatchify};
pub use swin::{
    PatchMerging, SwinBlock, SwinEncoder, SwinEncoding, SwinMlp, SwinPatchEmbed, SwinStage, WindowAttention,
};
pub use text::{
    BertAttention, BertIntermediate, BertLayer, BertOutput, BertSelfAttention, Context, LayerOptions, LayerOutput,
    TextEmbeddings, TextEncoder, TextEncoding, TextLayers,
};
pub use vision::{ClipAttention, ClipBlock, ClipEncoder, ClipMlp, ClipTransformer, ClipVisual, PatchConv};
pub use vision_encoder::{ImageEncoding, VisionEncoder};
