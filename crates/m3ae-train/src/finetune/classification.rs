//! Classification of captioned images (MELINDA).

use std::collections::HashMap;

use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_model::{HeadsConfig, M3ae, Texts, images};

use crate::error::{TrainError, required};
use crate::losses::{cross_entropy, hits};
use crate::metrics::{Measured, Metrics, Term};
use crate::task::Task;

/// Classification.
pub struct Classification {
    classes: usize,
    /// By sample id.
    known: HashMap<String, usize>,
    pad_id: u32,
    image_size: usize,
}

impl Classification {
    /// The task of telling these samples' classes (sample id and class, of all splits).
    #[must_use]
    pub fn new(
        labels: impl IntoIterator<Item = (String, usize)>,
        classes: usize,
        pad_id: u32,
        image_size: usize,
    ) -> Self {
        Self { classes, known: labels.into_iter().collect(), pad_id, image_size }
    }
}

impl Task for Classification {
    fn heads(&self) -> HeadsConfig {
        HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_cls(Some(self.classes))
    }

    fn step(
        &self,
        model: &M3ae,
        samples: &CaptionBatch,
        _number: u64,
        device: &Device,
    ) -> Result<Measured, TrainError> {
        let class = |id: &String| self.known.get(id).map(|&class| class as i64);
        let mut targets = Vec::with_capacity(samples.len());
        for id in &samples.sample_ids {
            targets.push(class(id).ok_or_else(|| TrainError::UnknownSample { id: id.clone() })?);
        }
        let targets = Tensor::<1, Int>::from_data(targets.as_slice(), device);
        let head = required(model.cls_head.as_ref(), "cls")?;
        let image = images(&samples.images, self.image_size, device);
        let texts = Texts::new(&samples.text_ids, self.pad_id, device);
        let logits = head.forward(model.forward_pooled(texts, image), model.precision()); // [B, classes]
        let loss = cross_entropy(logits.clone(), targets.clone());
        let right = hits(logits.detach(), targets).float();
        let size = samples.len();
        let terms = vec![Term::mean("cls_loss", &loss, size), Term::sum("cls_accuracy", right, size)];
        Ok(Measured { loss, terms, samples: size })
    }

    fn score(&self, metrics: &Metrics) -> f64 {
        metrics.get("cls_accuracy").unwrap_or(f64::NEG_INFINITY)
    }
}
