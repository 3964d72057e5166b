//! What a pre-training step gives: predictions and losses, still on the device.

use burn::prelude::*;
use m3ae_model::{M3ae, VisiblePatches, mim_target};

use super::batch::{MaskedTokens, Matching};
use crate::losses::{cross_entropy, hits, mim_loss};

/// The weight of each objective in the sum; 1:1:1 in the paper. One of weight 0 is not computed.
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

/// The objectives of a step; those that the batch does not have are absent.
#[derive(Debug, Clone, Default)]
pub struct PretrainOutput {
    /// Masked language modelling.
    pub mlm: Option<MlmOutput>,
    /// Masked image modelling.
    pub mim: Option<MimOutput>,
    /// Image-text matching.
    pub itm: Option<ItmOutput>,
}

impl PretrainOutput {
    /// Each objective's name and loss `[1]`, in the paper's order.
    #[must_use]
    pub fn losses(&self) -> Vec<(&'static str, Tensor<1>)> {
        let mlm = self.mlm.as_ref().map(|mlm| ("mlm", mlm.loss.clone()));
        let mim = self.mim.as_ref().map(|mim| ("mim", mim.loss.clone()));
        let itm = self.itm.as_ref().map(|itm| ("itm", itm.loss.clone()));
        [mlm, mim, itm].into_iter().flatten().collect()
    }

    /// The weighted sum of the losses, which training minimises, `[1]`; 0 without objectives.
    #[must_use]
    pub fn total(&self, weights: ObjectiveWeights) -> Tensor<1> {
        let weight = |name| match name {
            "mlm" => weights.mlm,
            "mim" => weights.mim,
            _ => weights.itm,
        };
        let weighted = self.losses().into_iter().map(|(name, loss)| loss * weight(name));
        weighted.reduce(|sum, loss| sum + loss).unwrap_or_else(|| Tensor::zeros([1], &Device::default()))
    }
}

/// Masked language modelling.
#[derive(Debug, Clone)]
pub struct MlmOutput {
    /// Mean cross-entropy over masked tokens, `[1]`.
    pub loss: Tensor<1>,
    /// Masked tokens that were predicted correctly, `[1]`.
    pub hits: Tensor<1, Int>,
    /// Vocabulary logits at the masked positions, `[M, V]`.
    pub logits: Tensor<2>,
}

impl MlmOutput {
    /// From `logits` `[M, V]`.
    pub(crate) fn from_predictions(logits: Tensor<2>, masked: &MaskedTokens) -> Self {
        let targets = &masked.targets;
        Self {
            loss: cross_entropy(logits.clone(), targets.clone()),
            hits: hits(logits.clone(), targets.clone()),
            logits,
        }
    }
}

/// Masked image modelling.
#[derive(Debug, Clone)]
pub struct MimOutput {
    /// Mean squared error over removed patches, `[1]`.
    pub loss: Tensor<1>,
    /// Predicted patches, `[B, N, P·P·3]`.
    pub patches: Tensor<3>,
}

impl MimOutput {
    /// From `patches` `[B, N, P·P·3]` that were predicted for `image` `[B, 3, S, S]`.
    pub(crate) fn from_predictions(
        patches: Tensor<3>,
        model: &M3ae,
        image: &Tensor<4>,
        visible: &VisiblePatches,
    ) -> Self {
        let target = mim_target(image.clone(), model.patch_size(), model.norm_pix_loss());
        Self { loss: mim_loss(patches.clone(), target, visible.mask.clone()), patches }
    }
}

/// Image-text matching.
#[derive(Debug, Clone)]
pub struct ItmOutput {
    /// Mean cross-entropy over pairs, `[1]`.
    pub loss: Tensor<1>,
    /// Pairs that were classified correctly, `[1]`.
    pub hits: Tensor<1, Int>,
}

impl ItmOutput {
    /// From `logits` `[B, 2]`; class 1 = matched.
    pub(crate) fn from_predictions(logits: Tensor<2>, matching: &Matching) -> Self {
        let labels = &matching.labels;
        Self { loss: cross_entropy(logits.clone(), labels.clone()), hits: hits(logits, labels.clone()) }
    }
}
