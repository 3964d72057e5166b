//! Encoded images on disk, each in a file of its own.
//!
//! ```text
//! <cache>/<weights' BLAKE3>-<image size>/<image's BLAKE3>.safetensors    tokens [1+N, D], features [Dv]
//! ```
//!
//! Names follow from content: another model or a changed image is another file, and a renamed image is found again.
//! Files appear whole or not at all, so an interrupted run continues where it stopped.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use burn::tensor::TensorData;
use m3ae::{EncodedImages, Model, open_image};
use m3ae_files::hash_file;
use safetensors::SafeTensors;

use crate::error::BenchmarkError;
use crate::event::{Event, Observer};
use crate::matrices::write_matrices;

/// Images that can be searched.
#[derive(Debug)]
pub struct Index {
    images: Vec<PathBuf>,
    /// The encoded images' files.
    files: Vec<PathBuf>,
    folder: PathBuf,
    encoded: usize,
}

impl Index {
    /// Encodes the images that are not in the cache yet. An image that cannot be read is left out, and the observer
    /// told.
    ///
    /// # Errors
    /// No image can be read, or the cache cannot be written.
    pub fn open(
        cache: &Path,
        model: &Model,
        paths: &[PathBuf],
        observer: Observer<'_>,
    ) -> Result<Self, BenchmarkError> {
        let weights = hash_file(model.path())?.blake3;
        let folder = cache.join(format!("{}-{}", &weights[..32], model.config().vision.image_size()));
        fs::create_dir_all(&folder).map_err(BenchmarkError::io(&folder))?;
        observer(Event::Begin { total: paths.len() as u64, done: 0, unit: "images" });
        let mut index = Self { images: Vec::new(), files: Vec::new(), folder, encoded: 0 };
        for path in paths {
            index.add(path, model, observer)?;
            observer(Event::Advance(1));
        }
        observer(Event::End);
        match index.images.is_empty() {
            true => Err(BenchmarkError::NoImages { count: paths.len() }),
            false => Ok(index),
        }
    }

    fn add(&mut self, path: &Path, model: &Model, observer: Observer<'_>) -> Result<(), BenchmarkError> {
        let file = self.folder.join(format!("{}.safetensors", hash_file(path)?.blake3));
        if !file.is_file() {
            let (crop, image) = match open_image(path).and_then(|image| Ok((model.crop(&image)?, image))) {
                Ok(read) => read,
                Err(error) => {
                    observer(Event::LeftOut { path, error: &error });
                    return Ok(());
                }
            };
            let tokens = model.encode_crops(&[crop])?.tokens();
            let [_, _, width] = tokens.dims();
            let values: Vec<f32> = tokens.try_into_vec_as()?;
            let tokens: Vec<Vec<f32>> = values.chunks_exact(width).map(<[f32]>::to_vec).collect();
            let features = [model.embed_image(&image)?];
            write_matrices(&file, &[("tokens", &tokens), ("features", &features)], HashMap::new())?;
            self.encoded += 1;
        }
        self.images.push(path.to_owned());
        self.files.push(file);
        Ok(())
    }

    /// The folder of the encoded images.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many images [`open`](Self::open) encoded; the others were in the cache.
    #[must_use]
    pub fn encoded(&self) -> usize {
        self.encoded
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are none; never so after [`open`](Self::open).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// An image's name.
    #[must_use]
    pub fn name(&self, place: usize) -> String {
        self.images[place].display().to_string()
    }

    /// Places in runs of at most `most`.
    pub fn blocks(&self, most: usize) -> impl Iterator<Item = Range<usize>> {
        let (count, most) = (self.len(), most.max(1));
        (0..count).step_by(most).map(move |from| from..(from + most).min(count))
    }

    /// The images' tokens, `[images, 1+N, D]`.
    ///
    /// # Errors
    /// A file of the cache is missing or damaged.
    pub fn tokens(&self, places: Range<usize>, model: &Model) -> Result<EncodedImages, BenchmarkError> {
        let (mut values, mut shape) = (Vec::new(), vec![places.len()]);
        for place in places {
            let (read, own) = self.read(place, "tokens")?;
            values.extend(read);
            shape.truncate(1);
            shape.extend(own);
        }
        let tokens = Tensor::<3>::from_data(TensorData::new(values, shape), model.device());
        Ok(EncodedImages::from_tokens(tokens))
    }

    /// An image's features, `[Dv]`.
    ///
    /// # Errors
    /// A file of the cache is missing or damaged.
    pub fn features(&self, place: usize) -> Result<Vec<f32>, BenchmarkError> {
        Ok(self.read(place, "features")?.0)
    }

    fn read(&self, place: usize, name: &str) -> Result<(Vec<f32>, Vec<usize>), BenchmarkError> {
        let path = &self.files[place];
        let damaged = |problem: String| BenchmarkError::Damaged { path: path.clone(), problem };
        let bytes = fs::read(path).map_err(BenchmarkError::io(path))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let tensor = tensors.tensor(name).map_err(|error| damaged(error.to_string()))?;
        let values = tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok((values, tensor.shape().to_vec()))
    }
}
