//! How batches are made.

use m3ae_image::{DecodeOptions, Transform};

use crate::DataError;

/// How batches are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Samples per batch, at least 1.
    pub batch_size: usize,
    /// Threads that make batches; with 0 the caller's thread makes each when it asks for it. Changes no batch.
    pub workers: usize,
    /// How many batches may be begun or finished before they are asked for, at least 1. Changes no batch.
    pub prefetch: usize,
    /// The run's seed.
    pub seed: u64,
    /// Image side S, in pixels.
    pub side: usize,
    /// What is done to each image. A sample's random changes are keyed by (seed, epoch, sample id), and so are those of
    /// its false image.
    pub transform: Transform,
    /// Tokens of a text with its start and end; longer texts are cut.
    pub max_length: usize,
    /// Whether every epoch has its own random order; else the samples' order.
    pub shuffle: bool,
    /// Whether each sample gets another image of the data set too, drawn uniformly (for image-text matching).
    pub false_images: bool,
    /// How many texts of other images each sample gets too, drawn uniformly and independently (for retrieval).
    pub false_texts: usize,
    /// Whether an epoch's last batch is left out where it is not full.
    pub drop_last: bool,
    /// MiB of images to keep, so that they are decoded once; 0 keeps none. Kept are transformed images where the
    /// transform draws nothing, else decoded ones, which are often larger. Changes no batch.
    pub cache_mib: usize,
    /// Limits for image files.
    pub decode: DecodeOptions,
}

impl Default for LoaderConfig {
    /// Pre-training at S = 288 and 64 tokens, on one machine.
    fn default() -> Self {
        Self {
            batch_size: 32,
            workers: 2,
            prefetch: 4,
            seed: 0,
            side: 288,
            transform: Transform::Clip,
            max_length: 64,
            shuffle: true,
            false_images: true,
            false_texts: 0,
            drop_last: true,
            cache_mib: 512,
            decode: DecodeOptions::default(),
        }
    }
}

impl LoaderConfig {
    /// What no data set could satisfy.
    pub(super) fn validate(&self) -> Result<(), DataError> {
        for (field, value) in [("batch_size", self.batch_size), ("prefetch", self.prefetch)] {
            if value == 0 {
                return Err(DataError::config(field, "0: choose 1 or more"));
            }
        }
        Ok(())
    }
}
