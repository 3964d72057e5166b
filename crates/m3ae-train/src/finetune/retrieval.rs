//! Image-text retrieval: which of several texts belongs to an image (`docs/spec.md`, section 2, "Fine-tuning losses").

use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_model::{FusionInput, FusionRequest, HeadsConfig, M3ae, Texts, images};

use crate::error::{TrainError, required};
use crate::losses::{cross_entropy, hits};
use crate::metrics::{Measured, Metrics, Term};
use crate::recipe::RunConfig;
use crate::source::{Source, captions};
use crate::task::{NewTask, Task, TaskSpec};

/// Retrieval, as recipes name it.
pub(crate) static RETRIEVAL: TaskSpec = TaskSpec {
    name: "retrieval",
    metrics: &[("irtr_loss", "retrieval, loss"), ("irtr_accuracy", "true text ranked first")],
    open,
};

fn open(config: &RunConfig) -> Result<(Source, NewTask), TrainError> {
    let mut source = captions(config, &["train", "val", "test"])?;
    source.false_texts = config.task.false_texts;
    let task: NewTask =
        Box::new(|_, tokenizer, vision| Ok(Box::new(Retrieval::new(tokenizer.specials().pad, vision.image_size()))));
    Ok((source, task))
}

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
        let head = required(model.irtr_head.as_ref(), "irtr")?;
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
        let cls = model.fuse(FusionInput { text, image }, FusionRequest::new().pooled(..)).pooled; // [B·(1+F), 2D]

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tiny_config;

    #[test]
    fn the_last_fusion_layer_computes_only_what_the_poolers_read() {
        let device = Device::default().autodiff();
        device.seed(2);
        let task = Retrieval::new(1, 16);
        let model = tiny_config(task.heads()).init(&device).unwrap();
        let batch = CaptionBatch {
            epoch: 0,
            index: 0,
            sample_ids: vec!["a#0".into(), "b#0".into()],
            images: (0..2 * 3 * 16 * 16).map(|i| (i % 7) as f32 / 7.0).collect(),
            false_images: None,
            text_ids: vec![vec![0, 5, 6, 7, 2], vec![0, 8, 2]],
            false_texts: Some(vec![vec![vec![0, 9, 2]], vec![vec![0, 4, 3, 2]]]),
            skipped: vec![],
        };
        let first = task.step(&model, &batch, 0, &device).unwrap().loss; // Draws the weights, too.
        assert!(first.into_scalar::<f32>().is_finite());

        device.seed(3);
        let loss = task.step(&model, &batch, 0, &device).unwrap().loss.into_scalar::<f32>();
        // Tokens that nobody reads would draw dropout, and so change what is drawn after them.
        let pooled = |everything: bool| {
            device.seed(3);
            let texts = [&[0, 5, 6, 7, 2][..], &[0, 9, 2], &[0, 8, 2], &[0, 4, 3, 2]];
            let text = model.fusion_text(Texts::new(&texts, 1, &device));
            let rows = Tensor::from_data([0, 0, 1, 1], &device);
            let image = model.fusion_image(images(&batch.images, 16, &device)).select(0, rows);
            let (input, request) = (FusionInput { text, image }, FusionRequest::new().pooled(..));
            let pooled = match everything {
                true => model.fuse(input, request.text(..).image(..)).pooled,
                false => model.fuse(input, request).pooled,
            };
            let scores = model.irtr_head.as_ref().unwrap().forward(pooled).reshape([2, 2]);
            cross_entropy(scores, Tensor::zeros([2], &device)).into_scalar::<f32>()
        };
        assert_eq!(loss, pooled(false));
        assert_ne!(loss, pooled(true));
    }
}
