//! The loaders of a run's three splits.

use m3ae_data::{CaptionSample, DataError, Loader, LoaderConfig};
use m3ae_image::Transform;
use m3ae_text::Tokenizer;

use crate::error::TrainError;
use crate::recipe::{RunConfig, RunConfigError};
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
        let is_pretraining = config.task.is_pretraining();
        let most = if is_pretraining { PRETRAINING_VALIDATION } else { usize::MAX };
        let shown = source.val.len().min(config.log.validation_samples.unwrap_or(most));
        let cache = Cache::share(config.data.cache_mib, shown, image_size);
        let training = LoaderConfig { cache_mib: cache.train_mib, ..training(config, image_size, source) };
        let loader = |split: &str, samples: &[CaptionSample], options: &LoaderConfig| {
            Loader::new(samples, tokenizer, options).map_err(|error| unusable(error, split, config))
        };
        let train = loader("train", &source.train, &training)?;
        if train.batches() == 0 {
            let (samples, batch_size) = (train.len(), config.train.batch_size);
            return Err(TrainError::TooFewSamples { split: "train", samples, batch_size });
        }
        let plain = LoaderConfig { shuffle: false, drop_last: false, transform: Transform::Clip, ..training };
        let plain = LoaderConfig { cache_mib: cache.val_mib, ..plain };
        let val = loader("val", &source.val[..shown], &plain)?;
        let plain = LoaderConfig { cache_mib: cache.test_mib, ..plain };
        let is_tested = !source.test.is_empty();
        let test = is_tested.then(|| loader("test", &source.test, &plain)).transpose()?;
        Ok(Self { train, val, test })
    }
}

/// How `data.cache_mib` is shared between the splits, in MiB.
#[derive(Debug, PartialEq)]
struct Cache {
    train_mib: usize,
    val_mib: usize,
    test_mib: usize,
}

impl Cache {
    /// Validation gets what its images take, at most half, and training the rest. The test split is read once, at the
    /// end: nothing of it would be read from memory.
    fn share(cache_mib: usize, val_images: usize, image_size: usize) -> Self {
        // A transformed image takes 3 · S² bytes.
        let pixels = image_size.saturating_mul(image_size);
        let bytes = pixels.saturating_mul(3).saturating_mul(val_images);
        let val_mib = bytes.div_ceil(1 << 20).min(cache_mib / 2);
        Self { train_mib: cache_mib - val_mib, val_mib, test_mib: 0 }
    }
}

/// What is wrong with a split, by the recipe's keys.
fn unusable(error: DataError, split: &str, config: &RunConfig) -> TrainError {
    match error {
        DataError::NoOtherImage { path } => {
            let more = match (split, config.log.validation_samples, &config.data.phantom) {
                ("val", Some(_), _) => "raise log.validation_samples".to_owned(),
                (_, _, Some(_)) => format!("raise phantom.{split}"),
                _ => "add images".to_owned(),
            };
            let problem = format!(
                "the {split} split has a single image, {}, and image-text matching needs another: {more}, or set \
                 objectives.itm = 0",
                path.display()
            );
            RunConfigError::value("objectives.false_images", problem).into()
        }
        DataError::Config { field: "false_texts", problem } => {
            RunConfigError::value("task.false_texts", format!("in the {split} split it is {problem}")).into()
        }
        error => TrainError::of_key("data")(error),
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
        false_images: source.false_images,
        false_texts: source.false_texts,
        ..LoaderConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_spent_once() {
        let share = |cache, images, size| {
            let Cache { train_mib, val_mib, test_mib } = Cache::share(cache, images, size);
            assert_eq!(train_mib + val_mib + test_mib, cache);
            (train_mib, val_mib)
        };
        // 1000 images of 288 pixels take 237.3 MiB, and 150 of 64 pixels 1.8.
        assert_eq!(share(512, 1000, 288), (274, 238));
        assert_eq!(share(512, 150, 64), (510, 2));
        assert_eq!(share(512, 100_000, 384), (256, 256));
        assert_eq!(share(1, 1000, 288), (1, 0));
        assert_eq!(share(0, 1000, 288), (0, 0));
        assert_eq!(share(512, usize::MAX, usize::MAX), (256, 256));
    }
}
