//! The images of a data set, each once, with a memory of those already transformed.

use crate::{ClipTransform, Crop, DecodeOptions, ImageError, decode};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Images by number. A crop from memory is the crop that decoding would give.
pub(crate) struct ImageStore {
    paths: Vec<PathBuf>,
    transform: ClipTransform,
    options: DecodeOptions,
    memory: Mutex<Memory>,
}

/// Keeps crops until it is full, and then those it has: epochs visit every image once, so that whatever were
/// kept instead would be asked for no sooner.
struct Memory {
    crops: HashMap<usize, Arc<Crop>>,
    free_bytes: usize,
}

impl ImageStore {
    pub fn new(paths: Vec<PathBuf>, transform: ClipTransform, options: DecodeOptions, memory_bytes: usize) -> Self {
        let memory = Mutex::new(Memory { crops: HashMap::new(), free_bytes: memory_bytes });
        Self { paths, transform, options, memory }
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// The file of an image.
    pub fn path(&self, image: usize) -> &Path {
        &self.paths[image]
    }

    /// An image, transformed up to normalisation.
    pub fn crop(&self, image: usize) -> Result<Arc<Crop>, ImageError> {
        if let Some(crop) = self.memory().crops.get(&image) {
            return Ok(Arc::clone(crop));
        }
        let crop = Arc::new(self.transform.crop(&decode(&self.paths[image], &self.options)?));
        let mut memory = self.memory();
        if let Some(free) = memory.free_bytes.checked_sub(crop.bytes().len()) {
            // Another worker may have been here meanwhile: its crop is the same, and must be paid for once.
            if memory.crops.insert(image, Arc::clone(&crop)).is_none() {
                memory.free_bytes = free;
            }
        }
        Ok(crop)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // Nothing panics while it holds the lock, and a map of finished crops would be sound even then.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::GrayImage;

    #[test]
    fn memory_is_bounded_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..3).map(|i| folder.path().join(format!("{i}.png"))).collect();
        for (i, path) in paths.iter().enumerate() {
            GrayImage::from_fn(9, 7, |x, y| [(x * 20 + y * 3) as u8 + i as u8].into()).save(path).unwrap();
        }
        let store =
            |bytes| ImageStore::new(paths.clone(), ClipTransform::new(4).unwrap(), DecodeOptions::default(), bytes);
        let (without, with) = (store(0), store(2 * 48 + 47));
        for image in [0, 1, 2, 0, 1, 2] {
            assert_eq!(without.crop(image).unwrap(), with.crop(image).unwrap());
        }
        // Two fit; those need no file any more.
        paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        assert!([0, 1].into_iter().all(|image| with.crop(image).is_ok() && without.crop(image).is_err()));
        assert!(matches!(with.crop(2), Err(ImageError::Read(_))));
    }
}
