//! The loaders of a run's three splits.

use m3ae_data::{CaptionSample, Loader, LoaderConfig};
use m3ae_image::Transform;
use m3ae_text::Tokenizer;

use crate::error::TrainError;
use crate::recipe::{FalseImages, RunConfig, TaskKind};

/// Validation samples of pre-training, where the recipe does not say.
const PRETRAINING_VALIDATION: usize = 1000;

pub(super) struct Loaders {
    pub train: Loader,
    pub val: Loader,
    pub test: Option<Loader>,
}

impl Loaders {
    /// Tokenizes the samples of training, validation and test.
    ///
    /// # Errors
    /// Fewer training samples than one batch, or as [`Loader::new`].
    pub(super) fn new(
        config: &RunConfig,
        tokenizer: &Tokenizer,
        image_size: usize,
        [train, val, test]: [&[CaptionSample]; 3],
    ) -> Result<Self, TrainError> {
        let training = training(config, image_size);
        let loader = |split: &'static str, samples: &[CaptionSample], options: &LoaderConfig| {
            Loader::new(samples, tokenizer, options).map_err(TrainError::of_key(split))
        };
        let train = loader("data (train)", train, &training)?;
        if train.batches() == 0 {
            let (samples, batch_size) = (train.len(), config.train.batch_size);
            return Err(TrainError::TooFewSamples { split: "train", samples, batch_size });
        }
        let plain = LoaderConfig { shuffle: false, drop_last: false, transform: Transform::Clip, ..training };
        let is_pretraining = config.task.kind == TaskKind::Pretraining;
        let most = if is_pretraining { PRETRAINING_VALIDATION } else { usize::MAX };
        let shown = val.len().min(config.log.validation_samples.unwrap_or(most));
        let val = loader("data (val)", &val[..shown], &plain)?;
        let is_tested = !is_pretraining && !test.is_empty();
        let test = is_tested.then(|| loader("data (test)", test, &plain)).transpose()?;
        Ok(Self { train, val, test })
    }
}

fn training(config: &RunConfig, image_size: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: config.train.batch_size,
        workers: config.data.workers,
        seed: config.run.seed,
        side: image_size,
        transform: config.data.transform,
        max_length: config.text.max_length,
        cache_mib: config.data.cache_mib,
        false_images: config.task.kind == TaskKind::Pretraining
            && config.objectives.itm > 0.0
            && config.objectives.false_images == FalseImages::DataSet,
        false_texts: if config.task.kind == TaskKind::Retrieval { config.task.false_texts } else { 0 },
        ..LoaderConfig::default()
    }
}
