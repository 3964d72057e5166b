//! The loaders of a run's three splits.

use m3ae_data::{CaptionSample, Loader, LoaderConfig};
use m3ae_image::Transform;
use m3ae_text::Tokenizer;

use crate::error::TrainError;
use crate::recipe::RunConfig;
use crate::source::Source;

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
        source: &Source,
    ) -> Result<Self, TrainError> {
        let training = training(config, image_size, source);
        let loader = |split: &'static str, samples: &[CaptionSample], options: &LoaderConfig| {
            Loader::new(samples, tokenizer, options).map_err(TrainError::of_key(split))
        };
        let train = loader("data (train)", &source.train, &training)?;
        if train.batches() == 0 {
            let (samples, batch_size) = (train.len(), config.train.batch_size);
            return Err(TrainError::TooFewSamples { split: "train", samples, batch_size });
        }
        let plain = LoaderConfig { shuffle: false, drop_last: false, transform: Transform::Clip, ..training };
        let is_pretraining = config.task.is_pretraining();
        let most = if is_pretraining { PRETRAINING_VALIDATION } else { usize::MAX };
        let shown = source.val.len().min(config.log.validation_samples.unwrap_or(most));
        let val = loader("data (val)", &source.val[..shown], &plain)?;
        let is_tested = !source.test.is_empty();
        let test = is_tested.then(|| loader("data (test)", &source.test, &plain)).transpose()?;
        Ok(Self { train, val, test })
    }
}

fn training(config: &RunConfig, image_size: usize, source: &Source) -> LoaderConfig {
    LoaderConfig {
        batch_size: config.train.batch_size,
        workers: config.data.workers,
        seed: config.run.seed,
        side: image_size,
        transform: config.data.transform,
        max_length: config.text.max_length,
        cache_mib: config.data.cache_mib,
        false_images: source.false_images,
        false_texts: source.false_texts,
        ..LoaderConfig::default()
    }
}
