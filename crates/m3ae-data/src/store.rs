//! The images of a data set, each once, with a memory of those already read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use m3ae_image::{ClipTransform, Crop, DecodeOptions, Image, ImageError, Transform};
use m3ae_random::Generator;

use crate::source::ImageSources;

/// Images by number. A crop from memory is the crop that reading the file would give.
pub(crate) struct ImageStore {
    paths: Vec<PathBuf>,
    sources: ImageSources,
    transform: Transform,
    clip: ClipTransform,
    options: DecodeOptions,
    memory: Mutex<Memory>,
}

/// Keeps what is read until it is full, and then what it has: epochs visit every image once, so that whatever were
/// kept instead would be asked for no sooner.
struct Memory {
    kept: HashMap<usize, Kept>,
    free_bytes: usize,
}

/// As much of the work as is the same every time.
#[derive(Clone)]
enum Kept {
    /// All of it, for a transform that draws nothing.
    Crop(Arc<Crop>),
    /// Decoding, for a random one.
    Image(Arc<Image>),
}

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Crop(crop) => crop.bytes().len(),
            Self::Image(image) => image.bytes().len(),
        }
    }
}

impl ImageStore {
    pub fn new(
        paths: Vec<PathBuf>,
        transform: Transform,
        clip: ClipTransform,
        options: DecodeOptions,
        memory_bytes: usize,
    ) -> Self {
        let memory = Mutex::new(Memory { kept: HashMap::new(), free_bytes: memory_bytes });
        Self { paths, sources: ImageSources::default(), transform, clip, options, memory }
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// The file of an image.
    pub fn path(&self, image: usize) -> &Path {
        &self.paths[image]
    }

    /// An image, transformed up to normalisation. A transform that is not random leaves the generator alone, and so
    /// does an image that cannot be read.
    pub fn crop(&self, image: usize, generator: &mut Generator) -> Result<Arc<Crop>, ImageError> {
        let known = self.memory().kept.get(&image).cloned();
        let kept = match known {
            Some(kept) => kept,
            None => self.read(image, generator)?,
        };
        Ok(match kept {
            Kept::Crop(crop) => crop,
            Kept::Image(image) => Arc::new(self.transform.crop(&self.clip, &image, generator)),
        })
    }

    /// Reads an image, and keeps it where there is room.
    fn read(&self, number: usize, generator: &mut Generator) -> Result<Kept, ImageError> {
        let image = self.sources.decode(&self.paths[number], &self.options)?;
        let kept = match self.transform.is_random() {
            true => Kept::Image(Arc::new(image)),
            false => Kept::Crop(Arc::new(self.transform.crop(&self.clip, &image, generator))),
        };
        let mut memory = self.memory();
        if let Some(free) = memory.free_bytes.checked_sub(kept.bytes()) {
            // Another worker may have been here meanwhile: what it kept is the same, and must be paid for once.
            if memory.kept.insert(number, kept.clone()).is_none() {
                memory.free_bytes = free;
            }
        }
        Ok(kept)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it holds the lock, and a map of finished images would be sound even then.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use image::GrayImage;
    use m3ae_random::{Key, Stream};

    use super::*;

    #[test]
    fn memory_is_bounded_and_changes_nothing() {
        // Of 9×7 grey pixels, a crop takes 3·4·4 bytes, and what a random transform needs 63.
        for (transform, bytes) in [(Transform::Clip, 48), (Transform::ResizedCrop, 63), (Transform::RandAugment, 63)] {
            let folder = tempfile::tempdir().unwrap();
            let paths: Vec<PathBuf> = (0..3).map(|i| folder.path().join(format!("{i}.png"))).collect();
            for (i, path) in paths.iter().enumerate() {
                GrayImage::from_fn(9, 7, |x, y| [(x * 20 + y * 3) as u8 + i as u8].into()).save(path).unwrap();
            }
            let clip = ClipTransform::new(4).unwrap();
            let store = |bytes| ImageStore::new(paths.clone(), transform, clip, DecodeOptions::default(), bytes);
            let (without, with) = (store(0), store(3 * bytes - 1));
            let crop = |store: &ImageStore, image: usize| {
                let sample = format!("{image}");
                let key = Key { seed: 3, epoch: 0, sample: &sample, stream: Stream::Augmentation };
                store.crop(image, &mut key.generator())
            };
            for image in [0, 1, 2, 0, 1, 2] {
                assert_eq!(crop(&without, image).unwrap(), crop(&with, image).unwrap(), "{transform}");
            }
            // Two fit; those need no file any more.
            paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
            assert!([0, 1].into_iter().all(|image| crop(&with, image).is_ok() && crop(&without, image).is_err()));
            assert!(matches!(crop(&with, 2), Err(ImageError::Read(_))));
        }
    }
}
