//! Image-text retrieval: which of several texts belongs to an image (spec 2, "Fine-tuning losses").

use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_model::{FusionInput, HeadsConfig, M3ae, Texts, images};

use crate::error::TrainError;
use crate::losses::{cross_entropy, hits};
use crate::metrics::{Measured, Metrics, Term};
use crate::objectives::MissingHead;
use crate::task::Task;

/// Retrieval: the true text against false ones.
pub struct Retrieval {
    pad_id: u32,
    image_size: usize,
}

impl Retrieval {
    /// The task for texts padded with `pad_id`.
    #[must_use]
    pub fn new(pad_id: u32, image_size: usize) -> Self {
        Self { pad_id, image_size }
    }
}

impl Task for Retrieval {
    fn heads(&self) -> HeadsConfig {
        HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_irtr(true)
    }

    /// Each image is encoded once for all its texts.
    fn step(
        &self,
        model: &M3ae,
        samples: &CaptionBatch,
        _number: u64,
        device: &Device,
    ) -> Result<Measured, TrainError> {
        let head = model.irtr_head.as_ref().ok_or(MissingHead("irtr"))?;
        let size = samples.len();
        let false_texts = samples.false_texts.as_ref().ok_or(TrainError::NoFalseTexts)?;
        // The true text first: B groups of 1 + F.
        let texts: Vec<Vec<u32>> = samples
            .text_ids
            .iter()
            .zip(false_texts)
            .flat_map(|(own, others)| std::iter::once(own).chain(others).cloned())
            .collect();
        let group = texts.len() / size.max(1);
        let texts = Texts::new(&texts, self.pad_id, device);
        let text = model.fusion_text(texts); // [B·(1+F), L, D]
        let image = images(&samples.images, self.image_size, device);
        let image = model.fusion_image(image); // [B, 1+N, D]
        let rows: Vec<i64> = (0..size * group).map(|pair| (pair / group) as i64).collect();
        let image = image.select(0, Tensor::from_data(rows.as_slice(), device));
        let cls = model.fuse(FusionInput { text, image }, false).cls;

        let scores = head.forward(cls).reshape([size, group]);
        let first = Tensor::<1, Int>::zeros([size], device);
        let loss = cross_entropy(scores.clone(), first.clone());
        let right = hits(scores.detach(), first).float();
        let terms = vec![Term::mean("irtr_loss", &loss, size), Term::sum("irtr_accuracy", right, size)];
        Ok(Measured { loss, terms, samples: size })
    }

    /// Minus the loss, as in the reference.
    fn score(&self, metrics: &Metrics) -> f64 {
        metrics.get("irtr_loss").map_or(f64::NEG_INFINITY, |loss| -loss)
    }

    fn score_name(&self) -> &'static str {
        "minus irtr_loss"
    }
}
