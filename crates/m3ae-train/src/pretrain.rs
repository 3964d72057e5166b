//! The pre-training step: masked language modelling (MLM), masked image modelling (MIM) and image-text matching (ITM)
//! on one batch, in the order of `docs/spec.md`, section 2.
//!
//! ```text
//! samples ─ Batcher: masks, pairs ─▶ PretrainBatch
//!   encode_texts   masked texts (MLM), whole texts (MIM, ITM)
//!   encode_images  whole images (MLM, ITM), visible patches (MIM)
//!   fuse           States { tokens (MLM), patches (MIM), pairs (ITM) }
//!   predict        heads and losses: PretrainOutput
//! ```
//!
//! The reference runs the whole model three times per step; [`three_passes`] is that plain form. [`pretrain_step`]
//! gives the same losses and gradients for less work: the whole images are encoded once for MLM and ITM, the whole
//! texts once for MIM and ITM, MIM leaves the fusion at `mim_layer`, the last fusion layer computes only what MLM and
//! ITM read of it, only the unmatched pairs of ITM encode another image, and only masked tokens meet the vocabulary.
//!
//! They differ under dropout only: here, MIM and ITM share one dropout mask in the text encoder.

mod batch;
mod batcher;
mod output;
mod plain;
mod task;

use burn::prelude::*;
use m3ae_model::{FusionInput, FusionRequest, FusionText, M3ae, Texts};

use crate::error::{MissingHead, required};

pub use batch::{MaskedTokens, Matching, PretrainBatch};
pub use batcher::{Batcher, BatcherConfig};
pub use output::{ItmOutput, MimOutput, MlmOutput, ObjectiveWeights, PretrainOutput};
pub use plain::three_passes;
pub(crate) use task::PRETRAINING;
pub use task::Pretraining;

/// Computes the objectives that the batch has, with shared encodings.
///
/// # Errors
/// The model lacks the head of an objective.
pub fn pretrain_step(model: &M3ae, batch: &PretrainBatch) -> Result<PretrainOutput, MissingHead> {
    check_heads(model, batch)?;
    let texts = encode_texts(model, batch);
    let images = encode_images(model, batch)?;
    let states = fuse(model, batch, texts, images);
    predict(model, batch, states)
}

/// Encodes the texts for the fusion: masked ones for MLM, then whole ones for MIM and ITM. `[2B, L, D]`; `[B, L, D]`
/// where only one kind is read.
#[must_use]
pub fn encode_texts(model: &M3ae, batch: &PretrainBatch) -> FusionText {
    let mut ids = Vec::with_capacity(2);
    ids.extend(batch.mlm.as_ref().map(|mlm| mlm.ids.clone()));
    if batch.mim.is_some() || batch.itm.is_some() || ids.is_empty() {
        ids.push(batch.text_ids.clone());
    }
    let mask = batch.text_mask.clone().repeat_dim(0, ids.len());
    model.fusion_text(Texts { ids: Tensor::cat(ids, 0), mask })
}

/// Encoded images.
#[derive(Debug, Clone)]
pub struct Images {
    /// Whole images for MLM and ITM: the batch's own, then the false ones. `[B+F, 1+N, Dv]`
    pub whole: Option<Tensor<3>>,
    /// The visible patches of the batch's own for MIM, `[B, 1+K, Dv]`.
    pub visible: Option<Tensor<3>>,
}

/// Encodes the images, whole ones once for MLM and ITM.
///
/// # Errors
/// The batch has MIM, and the vision encoder cannot leave patches out.
pub fn encode_images(model: &M3ae, batch: &PretrainBatch) -> Result<Images, MissingHead> {
    let whole = match &batch.itm {
        Some(itm) => Some(itm.images(&batch.image)),
        None => batch.mlm.as_ref().map(|_| batch.image.clone()),
    };
    let whole = whole.map(|images| model.encode_image(images));
    let visible = batch.mim.as_ref().map(|mim| model.encode_visible(batch.image.clone(), mim.ids_keep.clone()));
    Ok(Images { whole, visible: visible.transpose().map_err(|_| MissingHead("mim"))? })
}

/// The states of the fusion that the heads read.
#[derive(Debug, Clone)]
pub struct States {
    /// For MLM: text tokens, `[B, L, D]`.
    pub tokens: Option<Tensor<3>>,
    /// For MIM: image tokens after `mim_layer` layers, `[B, 1+K, D]`.
    pub patches: Option<Tensor<3>>,
    /// For ITM: pooled pairs, `[B, 2D]`.
    pub pairs: Option<Tensor<2>>,
}

/// Projects images into the fusion's space, and fuses them with what [`encode_texts`] gave.
#[must_use]
pub fn fuse(model: &M3ae, batch: &PretrainBatch, texts: FusionText, images: Images) -> States {
    let [size, _] = batch.text_ids.dims();
    let [encoded, ..] = texts.tokens.dims();
    let whole_texts = texts.rows(&(encoded - size..encoded));

    // MLM reads (masked text, image), ITM (whole text, image or false image): one pass of 2B pairs through all layers.
    let pairs = images.whole.map(|whole| {
        let image = model.project_image(whole);
        let own = batch.mlm.as_ref().map(|_| Tensor::<1, Int>::arange(0..size as i64, &image.device()));
        let rows: Vec<_> = own.into_iter().chain(batch.itm.as_ref().map(|itm| itm.rows.clone())).collect();
        let text = texts.rows(&(0..rows.len() * size));
        FusionInput { text, image: image.select(0, Tensor::cat(rows, 0)) }
    });
    let request = FusionRequest::new();
    let (tokens, pairs) = match (pairs, &batch.mlm, &batch.itm) {
        (Some(pairs), Some(_), Some(_)) => {
            let fused = model.fuse(pairs, request.text(..size).pooled(size..));
            (Some(fused.text), Some(fused.pooled))
        }
        (Some(pairs), Some(_), None) => (Some(model.fuse(pairs, request.text(..)).text), None),
        (Some(pairs), None, Some(_)) => (None, Some(model.fuse(pairs, request.pooled(..)).pooled)),
        _ => (None, None),
    };

    // MIM reads (whole text, visible patches) and leaves the fusion early.
    let patches = images.visible.map(|visible| {
        let masked = FusionInput { text: whole_texts, image: model.project_image(visible) };
        model.fuse(masked, request.depth(model.mim_layer()).image(..)).image
    });
    States { tokens, patches, pairs }
}

/// The heads' predictions and their losses.
///
/// # Errors
/// The model lacks the head of an objective.
pub fn predict(model: &M3ae, batch: &PretrainBatch, states: States) -> Result<PretrainOutput, MissingHead> {
    let (mut output, precision) = (PretrainOutput::default(), model.precision());
    if let (Some(mlm), Some(tokens)) = (&batch.mlm, states.tokens) {
        let [size, length, width] = tokens.dims();
        // Only masked tokens meet the vocabulary.
        let masked = tokens.reshape([size * length, width]).select(0, mlm.positions.clone()); // [M, D]
        let logits = required(model.mlm_head.as_ref(), "mlm")?.forward(masked, precision); // [M, V]
        output.mlm = Some(MlmOutput::from_predictions(logits, mlm));
    }
    if let (Some(mim), Some(state)) = (&batch.mim, states.patches) {
        let head = required(model.mim_head.as_ref(), "mim")?;
        let patches = head.forward(state, mim.ids_restore.clone(), precision); // [B, N, P·P·3]
        output.mim = Some(MimOutput::from_predictions(patches, model, &batch.image, mim));
    }
    if let (Some(itm), Some(pairs)) = (&batch.itm, states.pairs) {
        let logits = required(model.itm_head.as_ref(), "itm")?.forward(pairs, precision); // [B, 2]
        output.itm = Some(ItmOutput::from_predictions(logits, itm));
    }
    Ok(output)
}

/// Says which head is missing before anything is computed.
fn check_heads(model: &M3ae, batch: &PretrainBatch) -> Result<(), MissingHead> {
    batch.mlm.as_ref().map(|_| required(model.mlm_head.as_ref(), "mlm")).transpose()?;
    batch.mim.as_ref().map(|_| required(model.mim_head.as_ref(), "mim")).transpose()?;
    batch.itm.as_ref().map(|_| required(model.itm_head.as_ref(), "itm")).transpose()?;
    Ok(())
}
