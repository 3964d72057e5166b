//! The data of a run: which sets, which tokenizer, what could not be used.

use m3ae_data::{CaptionSet, DataError, Loader, LoaderConfig, Skipped, phantom, read_roco};

use m3ae_text::Tokenizer;

use crate::config::RunConfig;
use crate::error::TrainError;
use crate::run_folder::RunFolder;

/// Captioned images to train and to validate on, and the tokenizer of their captions.
pub struct Corpus {
    /// To train on.
    pub train: CaptionSet,
    /// To validate on.
    pub val: CaptionSet,
    /// Their tokenizer.
    pub tokenizer: Tokenizer,
}

impl Corpus {
    /// Opens what the recipe names; makes the synthetic set if that is wanted and absent.
    ///
    /// # Errors
    /// A missing folder or file, or a synthetic set of another configuration.
    pub fn open(config: &RunConfig) -> Result<Self, TrainError> {
        let (root, own_tokenizer) = match (&config.data.phantom, &config.data.roco) {
            (Some(folder), _) => {
                let set = phantom::ensure(folder, &config.phantom)?;
                (set.roco, Some(set.tokenizer))
            }
            (None, Some(root)) => (root.clone(), None),
            (None, None) => return Err(DataError::NoSamples.into()), // Excluded by the recipe's validation.
        };
        let tokenizer = match (&config.text.tokenizer, own_tokenizer) {
            (Some(path), _) => Tokenizer::load(path)?,
            (None, Some(path)) => Tokenizer::load(&path)?,
            (None, None) => return Err(DataError::NoSamples.into()), // Likewise.
        };
        Ok(Self { train: read_roco(&root, "train")?, val: read_roco(&root, "val")?, tokenizer })
    }

    /// A loader of the training split: every epoch in its own order, false images drawn.
    ///
    /// # Errors
    /// Fewer samples than one batch.
    pub fn train_loader(&self, config: &RunConfig, image_size: usize) -> Result<Loader, TrainError> {
        let loader = Loader::new(&self.train.samples, &self.tokenizer, &loader_config(config, image_size))?;
        if loader.batches() == 0 {
            let (samples, batch_size) = (loader.len(), config.train.batch_size);
            return Err(TrainError::TooFewSamples { split: "train", samples, batch_size });
        }
        Ok(loader)
    }

    /// A loader of the validation split, in the file's order.
    ///
    /// # Errors
    /// No sample.
    pub fn val_loader(&self, config: &RunConfig, image_size: usize) -> Result<Loader, TrainError> {
        let samples = &self.val.samples[..self.val.samples.len().min(config.log.validation_samples)];
        let plain = LoaderConfig { shuffle: false, drop_last: false, ..loader_config(config, image_size) };
        Ok(Loader::new(samples, &self.tokenizer, &plain)?)
    }
}

fn loader_config(config: &RunConfig, image_size: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: config.train.batch_size,
        workers: config.data.workers,
        seed: config.run.seed,
        side: image_size,
        max_length: config.text.max_length,
        cache_mib: config.data.cache_mib,
        ..LoaderConfig::default()
    }
}

/// Counts what could not be used, and says when it is too much.
#[derive(Debug, Default)]
pub struct SkipBudget {
    allowed: f64,
    skipped: Vec<Skipped>,
    keys: std::collections::BTreeSet<String>,
    total: usize,
}

impl SkipBudget {
    /// A budget for `total` samples, of which this share may be missing.
    #[must_use]
    pub fn new(allowed: f64, total: usize) -> Self {
        Self { allowed, total, ..Self::default() }
    }

    /// Notes what was skipped, each sample once.
    ///
    /// # Errors
    /// More than the allowed share is missing now; or the list cannot be written.
    pub fn note(&mut self, skipped: &[Skipped], folder: &RunFolder) -> Result<(), TrainError> {
        let keys = &mut self.keys;
        let new: Vec<Skipped> = skipped.iter().filter(|skipped| keys.insert(skipped.to_string())).cloned().collect();
        folder.list_skipped(&new)?;
        for skipped in &new {
            tracing::info!("left out: {skipped}");
        }
        self.skipped.extend(new);
        match self.skipped.first() {
            Some(first) if self.skipped.len() as f64 > self.allowed * self.total as f64 => {
                Err(TrainError::TooManySkipped {
                    skipped: self.skipped.len(),
                    total: self.total,
                    allowed: self.allowed,
                    first: first.to_string(),
                    list: folder.file("skipped.txt"),
                })
            }
            _ => Ok(()),
        }
    }

    /// What was left out so far.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}
