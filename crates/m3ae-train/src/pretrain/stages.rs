//! The pre-training step in its stages: encode, fuse, predict. [`pretrain_step`](crate::pretrain_step) runs them one after the other;
//! whoever wants to look at what is between them, or at what each costs, calls them himself.
//!
//! ```text
//! encode_texts ── [2B, L, D] ──┐
//!                              ├─ fuse ─ States { tokens, pairs, patches } ─ predict ─ PretrainOutput
//! encode_images ─ Images ──────┘
//! ```

use burn::prelude::*;
use m3ae_model::{FusionInput, FusionRequest, FusionText, ItmHead, M3ae, MimHead, MlmHead, Texts};

use crate::pretrain::{MissingHead, PretrainBatch, PretrainOutput};

/// Images in the encoder's space.
#[derive(Debug, Clone)]
pub struct Images {
    /// Whole images: the batch's own for MLM and the matched half of ITM, others for the unmatched half. `[B+F, 1+N, Dv]`
    pub whole: Tensor<3>,
    /// The batch's own as MIM sees them, `[B, 1+K, Dv]`.
    pub visible: Tensor<3>,
}

/// What the heads read of the fusion.
#[derive(Debug, Clone)]
pub struct States {
    /// For MLM: text states, `[B, L, D]`.
    pub tokens: Tensor<3>,
    /// For ITM: pooled pairs, `[B, 2D]`.
    pub pairs: Tensor<2>,
    /// For MIM: image states where it leaves the fusion, `[B, 1+K, D]`.
    pub patches: Tensor<3>,
}

fn heads(model: &M3ae) -> Result<(&MlmHead, &MimHead, &ItmHead), MissingHead> {
    let mlm = model.mlm_head.as_ref().ok_or(MissingHead("mlm"))?;
    let mim = model.mim_head.as_ref().ok_or(MissingHead("mim"))?;
    let itm = model.itm_head.as_ref().ok_or(MissingHead("itm"))?;
    Ok((mlm, mim, itm))
}

/// Whether the model has the three heads.
///
/// # Errors
/// It lacks one.
pub(crate) fn check_heads(model: &M3ae) -> Result<(), MissingHead> {
    heads(model).map(|_| ())
}

/// Encodes the texts for the fusion: masked for MLM, then whole for MIM and ITM. `[2B, L, D]`
#[must_use]
pub fn encode_texts(model: &M3ae, batch: &PretrainBatch) -> FusionText {
    let ids = Tensor::cat(vec![batch.mlm.ids.clone(), batch.text_ids.clone()], 0);
    model.fusion_text(Texts { ids, mask: batch.text_mask.clone().repeat_dim(0, 2) })
}

/// Encodes the images, whole ones once for MLM and ITM.
///
/// # Errors
/// The model has no head for masked images, nor a vision encoder that could leave patches out.
pub fn encode_images(model: &M3ae, batch: &PretrainBatch) -> Result<Images, MissingHead> {
    let whole = model.encode_image(batch.itm.images(&batch.image));
    let visible = model.encode_visible(batch.image.clone(), batch.visible.ids_keep.clone());
    Ok(Images { whole, visible: visible.map_err(|_| MissingHead("mim"))? })
}

/// Projects images into the fusion's space, and fuses them with `[2B, L, D]` texts.
#[must_use]
pub fn fuse(model: &M3ae, batch: &PretrainBatch, text: FusionText, images: Images) -> States {
    let [size, _] = batch.text_ids.dims();
    let image = model.project_image(images.whole);

    // MLM reads (masked text, image), ITM (whole text, image or false image): one pass of 2B pairs through the fusion.
    let own = Tensor::<1, Int>::arange(0..size as i64, &image.device());
    let image = image.select(0, Tensor::cat(vec![own, batch.itm.rows.clone()], 0));
    let whole_text = text.rows(&(size..2 * size));
    let both = FusionInput { text, image };
    let fused = model.fuse(both, FusionRequest::new().text(..size).pooled(size..));

    // MIM reads (whole text, masked image) and leaves the fusion early.
    let masked = FusionInput { text: whole_text, image: model.project_image(images.visible) };
    let patches = model.fuse(masked, FusionRequest::new().depth(model.mim_layer()).image(..)).image;
    States { tokens: fused.text, pairs: fused.pooled, patches }
}

/// The heads' predictions and their losses.
///
/// # Errors
/// The model lacks one of the three heads.
pub fn predict(model: &M3ae, batch: &PretrainBatch, states: States) -> Result<PretrainOutput, MissingHead> {
    let (mlm, mim, itm) = heads(model)?;
    let [size, length, width] = states.tokens.dims();
    // Only masked tokens meet the vocabulary. [M, V]
    let tokens = states.tokens.reshape([size * length, width]);
    let token_logits = mlm.forward(tokens.select(0, batch.mlm.positions.clone()));
    let patches = mim.forward(states.patches, batch.visible.ids_restore.clone()); // [B, N, P·P·3]
    let pairs = itm.forward(states.pairs); // [B, 2]
    Ok(PretrainOutput::judge(model, batch, token_logits, patches, pairs))
}
