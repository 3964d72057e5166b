//! Encoded images on disk, each in a file of its own.
//!
//! ```text
//! <cache>/<weights' BLAKE3>-<image size>/<image's BLAKE3>.safetensors    tokens [1+N, D], features [Dv]
//! ```
//!
//! Names follow from content: another model or a changed image is another file, and a renamed image is found again. Files appear
//! whole or not at all, so that an interrupted run goes on where it was.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use burn::prelude::*;
use burn::tensor::TensorData;
use indicatif::{ProgressBar, ProgressStyle};
use m3ae::{EncodedImages, Model, open_image};
use safetensors::SafeTensors;

use crate::embed::save;
use crate::files;

/// Images that can be searched.
pub struct Index {
    images: Vec<PathBuf>,
    /// The encoded images' files.
    files: Vec<PathBuf>,
}

impl Index {
    /// Encodes the images that are not in the cache yet. What is no readable image is left out with a notice.
    pub fn open(cache: &Path, model: &Model, paths: &[PathBuf]) -> Result<Self> {
        let weights = files::hash(model.path())?.to_hex();
        let folder = cache.join(format!("{}-{}", &weights[..32], model.config().vision.image_size()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let bar = ProgressBar::new(paths.len() as u64);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
        let mut index = Self { images: Vec::new(), files: Vec::new() };
        let (mut encoded, mut left_out) = (0, 0);
        for path in bar.wrap_iter(paths.iter()) {
            let file = folder.join(format!("{}.safetensors", files::hash(path)?.to_hex()));
            if !file.is_file() {
                let crop = open_image(path).and_then(|image| Ok((model.crop(&image)?, image)));
                let (crop, image) = match crop {
                    Ok(read) => read,
                    Err(error) => {
                        bar.suspend(|| eprintln!("left out: {}: {error}", path.display()));
                        left_out += 1;
                        continue;
                    }
                };
                let tokens = model.encode_crops(&[crop])?.tokens();
                let [_, _, width] = tokens.dims();
                let values: Vec<f32> = tokens.try_into_vec_as()?;
                let tokens = values.chunks_exact(width).map(<[f32]>::to_vec).collect();
                save(&file, &[("tokens", tokens), ("features", vec![model.embed_image(&image)?])], HashMap::new())?;
                encoded += 1;
            }
            index.images.push(path.clone());
            index.files.push(file);
        }
        bar.finish_and_clear();
        eprintln!(
            "{} images: {encoded} encoded now, {left_out} left out, the rest from {}",
            paths.len(),
            folder.display()
        );
        match index.images.is_empty() {
            true => Err(anyhow!("none of the {} images can be read", paths.len())),
            false => Ok(index),
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// An image's name.
    pub fn name(&self, place: usize) -> String {
        self.images[place].display().to_string()
    }

    /// Places in runs of at most `most`.
    pub fn blocks(&self, most: usize) -> impl Iterator<Item = Range<usize>> {
        let (count, most) = (self.len(), most.max(1));
        (0..count).step_by(most).map(move |from| from..(from + most).min(count))
    }

    /// The images' tokens.
    pub fn tokens(&self, places: Range<usize>, model: &Model) -> Result<EncodedImages> {
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

    /// An image's features.
    pub fn features(&self, place: usize) -> Result<Vec<f32>> {
        Ok(self.read(place, "features")?.0)
    }

    fn read(&self, place: usize, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let path = &self.files[place];
        let damaged = |error: String| anyhow!("{}: {error}; remove this file, it is made anew", path.display());
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let tensor = tensors.tensor(name).map_err(|error| damaged(error.to_string()))?;
        let values = tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok((values, tensor.shape().to_vec()))
    }
}
