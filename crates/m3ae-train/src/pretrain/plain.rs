//! The pre-training step in its plain form: a full pass of the model for each objective.

use m3ae_model::{FusionInput, FusionRequest, M3ae, Texts};

use super::batch::PretrainBatch;
use super::output::{ItmOutput, MimOutput, MlmOutput, PretrainOutput};
use crate::error::{MissingHead, required};

/// Computes each objective of the batch by a full pass of its own, as the reference does: to read, and to test
/// [`pretrain_step`](crate::pretrain_step) against.
///
/// # Errors
/// The model lacks the head of an objective.
pub fn three_passes(model: &M3ae, batch: &PretrainBatch) -> Result<PretrainOutput, MissingHead> {
    let whole = || Texts { ids: batch.text_ids.clone(), mask: batch.text_mask.clone() };
    let mut output = PretrainOutput::default();

    if let Some(mlm) = &batch.mlm {
        let head = required(model.mlm_head.as_ref(), "mlm")?;
        let masked = Texts { ids: mlm.ids.clone(), mask: batch.text_mask.clone() };
        let tokens = model.forward(masked, batch.image.clone()).text; // [B, L, D]
        let [size, length, width] = tokens.dims();
        let logits = head.forward(tokens.reshape([size * length, width]), model.precision()); // [B·L, V]
        output.mlm = Some(MlmOutput::from_predictions(logits.select(0, mlm.positions.clone()), mlm));
    }

    if let Some(mim) = &batch.mim {
        let head = required(model.mim_head.as_ref(), "mim")?;
        let visible = model.encode_visible(batch.image.clone(), mim.ids_keep.clone());
        let visible = visible.map_err(|_| MissingHead("mim"))?; // [B, 1+K, Dv]
        let input = FusionInput { text: model.fusion_text(whole()), image: model.project_image(visible) };
        let request = FusionRequest::new().depth(model.mim_layer()).text(..).image(..);
        let state = model.fuse(input, request).image;
        let patches = head.forward(state, mim.ids_restore.clone(), model.precision()); // [B, N, P·P·3]
        output.mim = Some(MimOutput::from_predictions(patches, model, &batch.image, mim));
    }

    if let Some(itm) = &batch.itm {
        let head = required(model.itm_head.as_ref(), "itm")?;
        let image = itm.images(&batch.image).select(0, itm.rows.clone());
        let logits = head.forward(model.forward(whole(), image).pooled, model.precision()); // [B, 2]
        output.itm = Some(ItmOutput::from_predictions(logits, itm));
    }
    Ok(output)
}
