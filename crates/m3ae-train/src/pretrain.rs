//! The pre-training step: masked language modelling, masked image modelling and image-text matching on one batch.
//!
//! The reference runs the whole model three times per step. The same losses cost less here (spec 2, design decision 7):
//! the whole images are encoded once for MLM and ITM, the whole texts once for MIM and ITM, MIM leaves the fusion at
//! `mim_layer`, the last fusion layer computes only what MLM and ITM read of it, only the unmatched half of ITM encodes another image, and only masked tokens meet the vocabulary.
//! [`three_passes`](crate::three_passes) is the plain form; tests hold both to the same losses and gradients.
//!
//! One difference is visible under dropout only: MIM and ITM see the same dropout mask in the text encoder, MLM and ITM in
//! none of the vision encoder's (it has none).

mod batch;
mod pictures;
pub mod stages;
mod task;

use burn::prelude::*;
use m3ae_model::{FusionInput, FusionRequest, M3ae, Texts, VisiblePatches, mim_target};
use thiserror::Error;

use crate::losses::{cross_entropy, hits, mim_loss};
pub use batch::{Batcher, BatcherConfig};
pub use pictures::draw_reconstructions;
pub use task::Pretraining;

/// One pre-training batch, on a device.
#[derive(Debug, Clone)]
pub struct PretrainBatch {
    /// `[B, 3, S, S]`, normalised as CLIP's.
    pub image: Tensor<4>,
    /// Whole captions, `[B, L]`.
    pub text_ids: Tensor<2, Int>,
    /// 1 = token, 0 = padding, `[B, L]`.
    pub text_mask: Tensor<2, Int>,
    /// Masked captions.
    pub mlm: MaskedTokens,
    /// Which patches masked image modelling leaves visible.
    pub visible: VisiblePatches,
    /// Which pairs image-text matching tears apart.
    pub itm: Matching,
}

/// Captions with masked tokens.
#[derive(Debug, Clone)]
pub struct MaskedTokens {
    /// What the encoder sees, `[B, L]`.
    pub ids: Tensor<2, Int>,
    /// Rows of the flattened `[B·L]` tokens whose prediction counts, `[M]`.
    pub positions: Tensor<1, Int>,
    /// The tokens that stood there, `[M]`.
    pub targets: Tensor<1, Int>,
}

/// The image side of image-text matching.
#[derive(Debug, Clone)]
pub struct Matching {
    /// Images of the pairs that do not match, `[F, 3, S, S]`; F is 0 where they are other images of the batch.
    pub false_image: Tensor<4>,
    /// For each caption, the row of its image in concat(`image`, `false_image`), `[B]`.
    pub rows: Tensor<1, Int>,
    /// 1 = matched, `[B]`.
    pub labels: Tensor<1, Int>,
}

impl Matching {
    /// The batch's images `own` `[B, 3, S, S]`, then the false ones, if there are any: `[B+F, 3, S, S]`.
    pub(crate) fn images(&self, own: &Tensor<4>) -> Tensor<4> {
        match self.false_image.dims() {
            [0, ..] => own.clone(),
            _ => Tensor::cat(vec![own.clone(), self.false_image.clone()], 0),
        }
    }
}

/// How much each objective counts in the sum; 1:1:1 in the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectiveWeights {
    /// Masked language modelling.
    pub mlm: f64,
    /// Masked image modelling.
    pub mim: f64,
    /// Image-text matching.
    pub itm: f64,
}

impl Default for ObjectiveWeights {
    fn default() -> Self {
        Self { mlm: 1.0, mim: 1.0, itm: 1.0 }
    }
}

/// What a step gives, still on the device.
#[derive(Debug, Clone)]
pub struct PretrainOutput {
    /// Mean cross-entropy over masked tokens.
    pub mlm: Tensor<1>,
    /// Mean squared error over removed patches.
    pub mim: Tensor<1>,
    /// Mean cross-entropy over pairs.
    pub itm: Tensor<1>,
    /// Masked tokens whose best guess was right.
    pub mlm_hits: Tensor<1, Int>,
    /// Pairs judged rightly.
    pub itm_hits: Tensor<1, Int>,
    /// Predicted patches, `[B, N, P·P·3]`.
    pub patches: Tensor<3>,
    /// Vocabulary logits at the masked positions, `[M, V]`.
    pub token_logits: Tensor<2>,
}

impl PretrainOutput {
    /// Losses and hits of what the heads predicted: `token_logits` `[M, V]`, `patches` `[B, N, P·P·3]`, `pairs` `[B, 2]`.
    pub(crate) fn judge(
        model: &M3ae,
        batch: &PretrainBatch,
        token_logits: Tensor<2>,
        patches: Tensor<3>,
        pairs: Tensor<2>,
    ) -> Self {
        let target = mim_target(batch.image.clone(), model.patch_size(), model.norm_pix_loss());
        Self {
            mlm: cross_entropy(token_logits.clone(), batch.mlm.targets.clone()),
            mim: mim_loss(patches.clone(), target, batch.visible.mask.clone()),
            itm: cross_entropy(pairs.clone(), batch.itm.labels.clone()),
            mlm_hits: hits(token_logits.clone(), batch.mlm.targets.clone()),
            itm_hits: hits(pairs, batch.itm.labels.clone()),
            patches,
            token_logits,
        }
    }

    /// The weighted sum that is minimised.
    #[must_use]
    pub fn total(&self, weights: ObjectiveWeights) -> Tensor<1> {
        self.mlm.clone() * weights.mlm + self.mim.clone() * weights.mim + self.itm.clone() * weights.itm
    }
}

/// The model lacks a head that an objective needs.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the model has no {0} head; pre-training needs mlm, mim and itm")]
pub struct MissingHead(pub &'static str);

/// Runs the three objectives with shared encodings: the [`stages`](crate::stages), one after the other.
///
/// # Errors
/// The model lacks one of the three heads.
pub fn pretrain_step(model: &M3ae, batch: &PretrainBatch) -> Result<PretrainOutput, MissingHead> {
    stages::check_heads(model)?;
    let texts = stages::encode_texts(model, batch);
    let images = stages::encode_images(model, batch)?;
    let states = stages::fuse(model, batch, texts, images);
    stages::predict(model, batch, states)
}

/// The three objectives as three separate full passes, the way the reference runs them: for tests and for reading.
///
/// # Errors
/// The model lacks one of the three heads.
pub fn three_passes(model: &M3ae, batch: &PretrainBatch) -> Result<PretrainOutput, MissingHead> {
    let [size, length] = batch.text_ids.dims();
    let whole = Texts { ids: batch.text_ids.clone(), mask: batch.text_mask.clone() };
    let masked = Texts { ids: batch.mlm.ids.clone(), mask: batch.text_mask.clone() };

    let mlm_head = model.mlm_head.as_ref().ok_or(MissingHead("mlm"))?;
    let tokens = model.forward(masked, batch.image.clone()).text;
    let width = tokens.dims()[2];
    let logits = mlm_head.forward(tokens.reshape([size * length, width])); // [B·L, V]
    let token_logits = logits.select(0, batch.mlm.positions.clone());

    let mim_head = model.mim_head.as_ref().ok_or(MissingHead("mim"))?;
    let visible = model.encode_visible(batch.image.clone(), batch.visible.ids_keep.clone());
    let visible = visible.map_err(|_| MissingHead("mim"))?;
    let input = FusionInput { text: model.fusion_text(whole.clone()), image: model.project_image(visible) };
    let state = model.fuse(input, FusionRequest::new().depth(model.mim_layer()).text(..).image(..)).image;
    let patches = mim_head.forward(state, batch.visible.ids_restore.clone());

    let itm_head = model.itm_head.as_ref().ok_or(MissingHead("itm"))?;
    let image = batch.itm.images(&batch.image).select(0, batch.itm.rows.clone());
    let pairs = itm_head.forward(model.forward(whole, image).pooled);
    Ok(PretrainOutput::judge(model, batch, token_logits, patches, pairs))
}
