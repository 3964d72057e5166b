//! Batches of captioned images: the same for every number of workers and after every resume.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use m3ae_image::{ClipTransform, Crop, ImageError};
use m3ae_random::{Generator, Key, Stream};
use m3ae_text::Tokenizer;

use crate::{
    CaptionBatch, CaptionSample, DataError, SkipReason, Skipped,
    prefetch::{Make, Prefetch},
    store::ImageStore,
};

mod config;
mod false_texts;
mod order;

pub use config::LoaderConfig;
use false_texts::FalseTexts;
use order::Order;

/// How many random images are tried for a false one, before its sample is skipped.
const FALSE_IMAGE_TRIES: usize = 8;

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
    order: Order,
    seed: u64,
    side: usize,
    false_images: bool,
    /// How many, and where from.
    false_texts: Option<(usize, FalseTexts)>,
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
    /// When a setting is impossible, there is no sample, two have the same id, false images are wanted of a single
    /// image, or false texts where a sample can have none.
    pub fn new(samples: &[CaptionSample], tokenizer: &Tokenizer, config: &LoaderConfig) -> Result<Self, DataError> {
        let clip = ClipTransform::new(config.side)?;
        config.validate()?;
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
        let false_texts = match config.false_texts {
            0 => None,
            count => Some((count, FalseTexts::new(&loaded, paths.len())?)),
        };
        let paths = paths.into_iter().map(|(_, path)| path.to_owned()).collect();
        let memory_bytes = config.cache_mib.saturating_mul(1 << 20);
        let shared = Shared {
            images: ImageStore::new(paths, config.transform, clip, config.decode, memory_bytes),
            order: Order::new(config, loaded.len()),
            samples: loaded,
            seed: config.seed,
            side: config.side,
            false_images: config.false_images,
            false_texts,
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

    /// Number of batches in every epoch, 0 where `drop_last` leaves none.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.shared.order.batches()
    }

    /// How many captions lost their end to `max_length`.
    #[must_use]
    pub fn truncated(&self) -> usize {
        self.truncated
    }

    /// The batches of an epoch in order, from `first_batch` on: 0 for a whole epoch, the number of batches already seen
    /// to resume one. Work begins at once, in threads of its own; dropping the iterator ends them. It ends after an
    /// error.
    pub fn epoch(
        &self,
        epoch: u64,
        first_batch: usize,
    ) -> impl Iterator<Item = Result<CaptionBatch, DataError>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let order = shared.order.of(epoch, shared.samples.len());
        let make: Make<CaptionBatch> = Arc::new(move |index, stop| Ok(shared.batch(epoch, index, &order, stop)));
        Prefetch::new(make, first_batch..self.shared.order.batches(), self.workers, self.prefetch)
    }
}

impl Shared {
    /// One batch. When `stop` turns true nobody will see it, and it is left unfinished.
    fn batch(&self, epoch: u64, index: usize, order: &[usize], stop: &AtomicBool) -> CaptionBatch {
        let members = &order[self.order.members(index, order.len())];
        let values = members.len() * 3 * self.side * self.side;
        let mut batch = CaptionBatch {
            epoch,
            index,
            sample_ids: Vec::with_capacity(members.len()),
            images: Vec::with_capacity(values),
            false_images: self.false_images.then(|| Vec::with_capacity(values)),
            text_ids: Vec::with_capacity(members.len()),
            false_texts: self.false_texts.as_ref().map(|_| Vec::with_capacity(members.len())),
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
        let mut generator = self.generator(epoch, sample, Stream::Augmentation);
        let image = self.images.crop(sample.image, &mut generator);
        let image = image.map_err(|error| SkipReason::UnreadableImage(error.to_string()))?;
        if let Some(false_images) = &mut batch.false_images {
            self.false_image(epoch, sample)?.normalise_into(false_images);
        }
        image.normalise_into(&mut batch.images);
        batch.sample_ids.push(sample.id.clone());
        batch.text_ids.push(sample.text_ids.clone());
        if let (Some(all), Some((count, texts))) = (&mut batch.false_texts, &self.false_texts) {
            let mut generator = self.generator(epoch, sample, Stream::FalseText);
            all.push(texts.draw(&self.samples, sample, *count, &mut generator));
        }
        Ok(())
    }

    /// What is drawn for a sample.
    fn generator(&self, epoch: u64, sample: &Sample, stream: Stream) -> Generator {
        Key { seed: self.seed, epoch, sample: &sample.id, stream }.generator()
    }

    /// A random image that is not the sample's own. One that cannot be read is drawn anew. Its random changes follow
    /// from the same generator.
    fn false_image(&self, epoch: u64, sample: &Sample) -> Result<Arc<Crop>, SkipReason> {
        let mut generator = self.generator(epoch, sample, Stream::FalseImage);
        let mut last = String::new();
        for _ in 0..FALSE_IMAGE_TRIES {
            // Of the other images, those behind its own have moved up by one.
            let drawn = generator.below(self.images.len() - 1);
            let image = if drawn < sample.image { drawn } else { drawn + 1 };
            match self.images.crop(image, &mut generator) {
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
mod option_tests;
#[cfg(test)]
mod tests;
