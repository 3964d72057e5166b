//! Batches of captioned images: the same for every number of workers and after every resume.

use crate::{
    CaptionBatch, CaptionSample, ClipTransform, Crop, DataError, DecodeOptions, ImageError, SkipReason, Skipped,
    prefetch::{Make, Prefetch},
    store::ImageStore,
};
use m3ae_random::{Key, Stream};
use m3ae_text::Tokenizer;
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How many random images are tried for a false one, before its sample is skipped.
const FALSE_IMAGE_TRIES: usize = 8;

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
    /// Tokens of a text with its start and end; longer texts are cut.
    pub max_length: usize,
    /// Whether every epoch has its own random order; else the samples' order.
    pub shuffle: bool,
    /// Whether each sample gets another image of the data set too, drawn uniformly (for image-text matching).
    pub false_images: bool,
    /// Whether an epoch's last batch is left out where it is not full.
    pub drop_last: bool,
    /// MiB of transformed images to keep, so that they are decoded once; 0 keeps none. Changes no batch.
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
            max_length: 64,
            shuffle: true,
            false_images: true,
            drop_last: true,
            cache_mib: 512,
            decode: DecodeOptions::default(),
        }
    }
}

/// A data set ready to be loaded in batches.
///
/// A batch is a function of the samples, the seed, the epoch and the batch's number. An image that cannot be read
/// takes its samples out of their batches, which then are smaller and name the reason in
/// [`skipped`](CaptionBatch::skipped); the caller decides how many of these it bears.
pub struct Loader {
    shared: Arc<Shared>,
    workers: usize,
    prefetch: usize,
    truncated: usize,
}

/// What the workers read.
struct Shared {
    samples: Vec<Sample>,
    images: ImageStore,
    seed: u64,
    side: usize,
    batch_size: usize,
    batches: usize,
    shuffle: bool,
    false_images: bool,
}

struct Sample {
    id: String,
    /// Its image's number in the store.
    image: usize,
    text_ids: Vec<u32>,
}

impl Loader {
    /// Tokenizes the captions, and finds which samples share an image (by path). No image is read yet.
    ///
    /// # Errors
    /// When a setting is impossible, there is no sample, two have the same id, or false images are wanted of a single image.
    pub fn new(samples: &[CaptionSample], tokenizer: &Tokenizer, config: &LoaderConfig) -> Result<Self, DataError> {
        let transform = ClipTransform::new(config.side)?;
        for (field, value) in [("batch_size", config.batch_size), ("prefetch", config.prefetch)] {
            if value == 0 {
                return Err(DataError::config(field, "0: choose 1 or more"));
            }
        }
        let mut numbers: HashMap<&Path, usize> = HashMap::new();
        let mut ids = HashSet::with_capacity(samples.len());
        let mut truncated = 0;
        let mut loaded = Vec::with_capacity(samples.len());
        for sample in samples {
            if !ids.insert(sample.id.as_str()) {
                return Err(DataError::DuplicateSample { id: sample.id.clone() });
            }
            let encoding = tokenizer.encode(&sample.caption, config.max_length)?;
            truncated += usize::from(encoding.truncated);
            let next = numbers.len();
            let image = *numbers.entry(&sample.image).or_insert(next);
            loaded.push(Sample { id: sample.id.clone(), image, text_ids: encoding.ids });
        }
        let mut paths: Vec<(usize, &Path)> = numbers.into_iter().map(|(path, number)| (number, path)).collect();
        paths.sort_unstable();
        match paths.as_slice() {
            [] => return Err(DataError::NoSamples),
            [(_, path)] if config.false_images => return Err(DataError::NoOtherImage { path: path.to_path_buf() }),
            _ => {}
        }
        let batches = match config.drop_last {
            true => loaded.len() / config.batch_size,
            false => loaded.len().div_ceil(config.batch_size),
        };
        let paths = paths.into_iter().map(|(_, path)| path.to_owned()).collect();
        let memory_bytes = config.cache_mib.saturating_mul(1 << 20);
        let shared = Shared {
            samples: loaded,
            images: ImageStore::new(paths, transform, config.decode, memory_bytes),
            seed: config.seed,
            side: config.side,
            batch_size: config.batch_size,
            batches,
            shuffle: config.shuffle,
            false_images: config.false_images,
        };
        Ok(Self { shared: Arc::new(shared), workers: config.workers, prefetch: config.prefetch, truncated })
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.samples.len()
    }

    /// Whether there is no sample: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.samples.is_empty()
    }

    /// Number of different images.
    #[must_use]
    pub fn images(&self) -> usize {
        self.shared.images.len()
    }

    /// Number of batches in every epoch; 0 where `drop_last` leaves none.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.shared.batches
    }

    /// How many captions lost their end to `max_length`.
    #[must_use]
    pub fn truncated(&self) -> usize {
        self.truncated
    }

    /// The batches of an epoch in order, from `first_batch` on: 0 for a whole epoch, the number of batches already seen to
    /// resume one. Work begins at once, in threads of its own; dropping the iterator ends them. It ends after an error.
    pub fn epoch(
        &self,
        epoch: u64,
        first_batch: usize,
    ) -> impl Iterator<Item = Result<CaptionBatch, DataError>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let order = shared.order(epoch);
        let make: Make<CaptionBatch> = Arc::new(move |index, stop| Ok(shared.batch(epoch, index, &order, stop)));
        Prefetch::new(make, first_batch..self.shared.batches, self.workers, self.prefetch)
    }
}

impl Shared {
    /// In which order an epoch visits the samples.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        if self.shuffle {
            Key { seed: self.seed, epoch, sample: "", stream: Stream::Order }.generator().shuffle(&mut order);
        }
        order
    }

    /// One batch. When `stop` turns true nobody will see it, and it is left unfinished.
    fn batch(&self, epoch: u64, index: usize, order: &[usize], stop: &AtomicBool) -> CaptionBatch {
        let start = index * self.batch_size;
        let members = &order[start..(start + self.batch_size).min(order.len())];
        let values = members.len() * 3 * self.side * self.side;
        let mut batch = CaptionBatch {
            epoch,
            index,
            sample_ids: Vec::with_capacity(members.len()),
            images: Vec::with_capacity(values),
            false_images: self.false_images.then(|| Vec::with_capacity(values)),
            text_ids: Vec::with_capacity(members.len()),
            skipped: Vec::new(),
        };
        for &member in members {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let sample = &self.samples[member];
            if let Err(reason) = self.add(epoch, sample, &mut batch) {
                let file = self.images.path(sample.image).to_owned();
                batch.skipped.push(Skipped { file, line: None, key: sample.id.clone(), reason });
            }
        }
        batch
    }

    /// Adds a sample to a batch, all of it or nothing.
    fn add(&self, epoch: u64, sample: &Sample, batch: &mut CaptionBatch) -> Result<(), SkipReason> {
        let image = self.images.crop(sample.image).map_err(|e| SkipReason::UnreadableImage(e.to_string()))?;
        if let Some(false_images) = &mut batch.false_images {
            self.false_image(epoch, sample)?.normalise_into(false_images);
        }
        image.normalise_into(&mut batch.images);
        batch.sample_ids.push(sample.id.clone());
        batch.text_ids.push(sample.text_ids.clone());
        Ok(())
    }

    /// A random image that is not the sample's own. One that cannot be read is drawn anew.
    fn false_image(&self, epoch: u64, sample: &Sample) -> Result<Arc<Crop>, SkipReason> {
        let mut generator = Key { seed: self.seed, epoch, sample: &sample.id, stream: Stream::FalseImage }.generator();
        let mut last = String::new();
        for _ in 0..FALSE_IMAGE_TRIES {
            // Of the other images, those behind its own have moved up by one.
            let drawn = generator.below(self.images.len() - 1);
            let image = if drawn < sample.image { drawn } else { drawn + 1 };
            match self.images.crop(image) {
                Ok(crop) => return Ok(crop),
                Err(error) => last = describe(self.images.path(image), &error),
            }
        }
        Err(SkipReason::NoFalseImage { tries: FALSE_IMAGE_TRIES, last })
    }
}

fn describe(path: &Path, error: &ImageError) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests;
