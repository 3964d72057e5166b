//! The M3AE network of Chen et al. (MICCAI 2022, "Multi-modal masked autoencoders for medical vision-and-language
//! pre-training") on Burn tensors.
//!
//! ```text
//! image [B, 3, S, S] ── vision encoder ── [B, 1+N, Dv] ── projection + type 1 ──┐
//!                                                                               ├─ co-attention ×6 ─ poolers ─ heads
//! text  [B, L] ──────── text encoder ──── [B, L, Dt] ──── projection + type 0 ──┘
//! ```
//!
//! # The model, in the order of the paper's section 3
//!
//! 1. **Vision encoder**, [`VisionEncoder`]. An image is cut into N = (S / P)² patches of P×P pixels. CLIP's
//!    transformer reads them after a class token, all of them or only those that [`VisiblePatches`] leaves visible.
//!    Swin reads whole images and has no class token.
//! 2. **Text encoder**, [`TextEncoder`]: RoBERTa or BERT over L tokens, padded as [`Texts`] does it.
//! 3. **Multi-modal fusion**, [`M3ae::fuse`]. Both sequences are projected to width D and get a modality embedding. In
//!    each co-attention layer a sequence attends to itself, then to the other sequence's input to that layer. A pooler
//!    reads the first token of each stack. A [`FusionRequest`] says which of the fusion's states are wanted, and only
//!    these are computed in the last layer.
//! 4. **Masked image modelling**, [`MimHead`]. A light decoder reads the image tokens after an intermediate fusion
//!    layer ([`M3ae::mim_layer`]), with a mask token in each removed place, and predicts the pixels ([`mim_target`]).
//! 5. **Heads**. Masked language modelling, [`MlmHead`], reads the text tokens after the last fusion layer. Image-text
//!    matching, [`ItmHead`], reads the pooled pair, concat(text, image) of width 2D. The heads of fine-tuning read it
//!    too: [`ClassifierHead`] for question answering and classification, and a linear layer for retrieval.
//!
//! Each part follows `Config -> init(&device) -> forward`, from [`M3aeConfig`] down. Field names are the reference
//! implementation's parameter names, so a state dictionary reads the same. What exactly is computed, down to epsilons
//! and position ids, is in `docs/spec.md`, whose section numbers the comments give.
//!
//! The crate knows tensors only: no files, no losses, and no random draws except initial weights and dropout.
//!
//! # Example
//!
//! A forward pass of a tiny model with random weights:
//!
//! ```
//! use burn::prelude::*;
//! use m3ae_model::{FusionRequest, M3aeConfig, Texts};
//!
//! let device = Device::default();
//! let model = M3aeConfig::small().init(&device)?;
//! let images = Tensor::<4>::zeros([2, 3, 64, 64], &device); // normalised as CLIP's images are
//! let texts = Texts::new(&[vec![0, 17, 42, 2], vec![0, 5, 2]], 1, &device); // token ids; 1 is the padding
//!
//! let output = model.forward(texts.clone(), images.clone());
//! assert_eq!(output.text.dims(), [2, 4, 128]); // [B, L, D]
//! assert_eq!(output.image.dims(), [2, 65, 128]); // [B, 1+N, D]
//! assert_eq!(output.pooled.dims(), [2, 256]); // [B, 2D]
//!
//! // The pooled features alone cost less.
//! let input = model.fusion_input(texts, images);
//! let pooled = model.fuse(input, FusionRequest::new().pooled(..)).pooled;
//! assert_eq!(pooled.dims(), [2, 256]);
//! # Ok::<(), m3ae_model::ConfigError>(())
//! ```
//!
//! # Which Burn feature to choose
//!
//! This crate turns on no backend. Choose one in your own `Cargo.toml`: `burn = { version = "=0.22.1", features =
//! ["flex"] }` for the CPU (with this crate's feature `flex`, which adds kernels for its layers), `wgpu`, `vulkan` or
//! `cuda` for a GPU.

mod config;
mod error;
mod fusion;
mod heads;
mod init;
mod inputs;
mod layers;
mod m3ae;
mod mim;
mod reconstruction;
mod text;
mod vision;

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
pub use layers::{
    BertAttention, BertIntermediate, BertLayer, BertOutput, BertSelfAttention, ClipAttention, ClipBlock, ClipMlp,
    ClipTransformer, Context, LayerNorm, LayerOptions, LayerOutput, PatchConv,
};
pub use m3ae::M3ae;
pub use m3ae_nn::Precision;
pub use mim::{MimHead, mim_target, patch_moments, patchify, unpatchify};
pub use reconstruction::Reconstruction;
pub use text::{TextEmbeddings, TextEncoder, TextEncoding, TextLayers};
pub use vision::{
    ClipEncoder, ClipVisual, ImageEncoding, PatchMerging, SwinBlock, SwinEncoder, SwinEncoding, SwinMlp,
    SwinPatchEmbed, SwinStage, VisionEncoder, WindowAttention,
};
