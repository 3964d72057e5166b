//! What a pre-training step reads.

use burn::prelude::*;
use m3ae_model::VisiblePatches;

/// One pre-training batch of B image-text pairs, on a device. An objective that is absent is not computed.
#[derive(Debug, Clone)]
pub struct PretrainBatch {
    /// Images, `[B, 3, S, S]`, normalised as CLIP's.
    pub image: Tensor<4>,
    /// Whole captions, `[B, L]`.
    pub text_ids: Tensor<2, Int>,
    /// 1 = token, 0 = padding, `[B, L]`.
    pub text_mask: Tensor<2, Int>,
    /// Masked language modelling: the masked captions.
    pub mlm: Option<MaskedTokens>,
    /// Masked image modelling: the patches that stay visible.
    pub mim: Option<VisiblePatches>,
    /// Image-text matching: the pairs that match, and those that do not.
    pub itm: Option<Matching>,
}

/// Captions with masked tokens, M of all together.
#[derive(Debug, Clone)]
pub struct MaskedTokens {
    /// The encoder's input, `[B, L]`.
    pub ids: Tensor<2, Int>,
    /// Rows of the flattened `[B·L]` tokens whose prediction counts, `[M]`.
    pub positions: Tensor<1, Int>,
    /// The original tokens at these positions, `[M]`.
    pub targets: Tensor<1, Int>,
}

/// The image side of image-text matching.
#[derive(Debug, Clone)]
pub struct Matching {
    /// Images of the pairs that do not match, `[F, 3, S, S]`; F is 0 where these are other images of the batch.
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
