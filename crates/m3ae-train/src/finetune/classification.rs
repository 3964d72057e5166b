//! Classification of captioned images, as in MELINDA (`docs/spec.md`, section 2, "Fine-tuning losses").

use std::collections::HashMap;

use burn::prelude::*;
use m3ae_data::{CaptionBatch, arrow::LABEL_COLUMNS, read_classes_arrow};
use m3ae_model::{HeadsConfig, M3ae, Texts, images};

use crate::error::{TrainError, required};
use crate::losses::{cross_entropy, hits};
use crate::metrics::{Measured, Metrics, Term};
use crate::recipe::{RunConfig, RunConfigError};
use crate::source::{Source, files};
use crate::task::{NewTask, Task, TaskSpec};

/// Classification, as recipes name it.
pub(crate) static CLASSIFICATION: TaskSpec = TaskSpec {
    name: "classification",
    metrics: &[("cls_loss", "classification, loss"), ("cls_accuracy", "classified correctly")],
    open,
};

fn open(config: &RunConfig) -> Result<(Source, NewTask), TrainError> {
    if config.data.phantom.is_some() {
        let problem = "classification reads prepared files with classes, data.sets; the synthetic set (data.phantom) has \
                       questions and captions only";
        return Err(RunConfigError::value("task.kind", problem).into());
    }
    let column = LABEL_COLUMNS.iter().position(|&column| column == config.task.label).ok_or_else(|| {
        let problem = format!("there is no column {:?}; choose one of {}", config.task.label, LABEL_COLUMNS.join(", "));
        RunConfigError::value("task.label", problem)
    })?;
    let mut splits = [const { Vec::new() }; 3];
    let (mut labels, mut classes): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    for (samples, split) in splits.iter_mut().zip(["train", "val", "test"]) {
        for path in files(config, split)? {
            let set = read_classes_arrow(&path).map_err(TrainError::of_key("data.sets"))?;
            classes = classes.max(set.names[column].len());
            for classified in set.samples {
                labels.push((classified.sample.id.clone(), classified.labels[column]));
                samples.push(classified.sample);
            }
        }
    }
    let mut source = Source::new(splits);
    labels.iter().for_each(|(_, class)| source.add_to_digest(&(*class as u64).to_le_bytes()));
    let task: NewTask = Box::new(move |_, tokenizer, vision| {
        Ok(Box::new(Classification::new(labels, classes, tokenizer.specials().pad, vision.image_size())))
    });
    Ok((source, task))
}

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
