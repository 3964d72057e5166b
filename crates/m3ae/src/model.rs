//! An open model: its parts, and the forward passes that all tasks share.

use std::path::{Path, PathBuf};

use burn::prelude::*;
use m3ae_image::{ClipTransform, Crop, Image};
use m3ae_model::{FusionInput, FusionRequest, M3ae, M3aeConfig, Texts, images};
use m3ae_text::{Encoding, Tokenizer};
use m3ae_weights::LoadReport;

use crate::error::ModelError;

/// Images with a side below this, in pixels, are refused: nothing can be recognised in them.
const LEAST_SIDE: usize = 8;

/// A trained model with its tokenizer and answers. Threads may share it; no call changes it.
#[derive(Debug)]
pub struct Model {
    pub(crate) path: PathBuf,
    pub(crate) network: M3ae,
    pub(crate) config: M3aeConfig,
    pub(crate) report: LoadReport,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) answers: Option<Vec<String>>,
    pub(crate) max_length: usize,
    pub(crate) batch_size: usize,
    pub(crate) transform: ClipTransform,
    pub(crate) device: Device,
}

/// Images encoded for the fusion, for any number of questions and texts.
#[derive(Clone, Debug)]
pub struct EncodedImages {
    /// `[n, 1+N, D]`; for Swin, `[n, N, D]`.
    pub(crate) tokens: Tensor<3>,
}

impl EncodedImages {
    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.dims()[0]
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens: projected, with the image's modality embedding, `[n, 1+N, D]` (for Swin, `[n, N, D]`).
    #[must_use]
    pub fn tokens(&self) -> Tensor<3> {
        self.tokens.clone()
    }

    /// Images from their tokens, `[n, 1+N, D]`, as [`tokens`](Self::tokens) returns them.
    #[must_use]
    pub fn from_tokens(tokens: Tensor<3>) -> Self {
        Self { tokens }
    }
}

impl Model {
    /// The weights' file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sizes, depths and heads.
    #[must_use]
    pub fn config(&self) -> &M3aeConfig {
        &self.config
    }

    /// The network, for computations that this crate does not offer.
    #[must_use]
    pub fn network(&self) -> &M3ae {
        &self.network
    }

    /// Which parameters were loaded, resized and left out.
    #[must_use]
    pub fn load_report(&self) -> &LoadReport {
        &self.report
    }

    /// The texts' tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The answers of the question-answering head, in the order of its classes, if they are known.
    #[must_use]
    pub fn answers(&self) -> Option<&[String]> {
        self.answers.as_deref()
    }

    /// Longest text in tokens, start and end included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Images, and image-text pairs, per pass.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The device that it computes on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// An image as the model sees it: the shorter side is resized to S, then the central S×S pixels are cropped.
    ///
    /// # Errors
    /// The image has too few pixels.
    pub fn crop(&self, image: &Image) -> Result<Crop, ModelError> {
        let (width, height) = (image.width(), image.height());
        if width.min(height) < LEAST_SIDE {
            return Err(ModelError::ImageTooSmall { width, height, least: LEAST_SIDE });
        }
        Ok(self.transform.crop(image))
    }

    /// A text's token ids, between start and end token. A text beyond the longest length is cut off, and
    /// [`truncated`](Encoding::truncated) is set.
    ///
    /// # Errors
    /// The text is empty, or the tokenizer cannot read it.
    pub fn tokens(&self, text: &str) -> Result<Encoding, ModelError> {
        if text.trim().is_empty() {
            return Err(ModelError::EmptyText);
        }
        Ok(self.tokenizer.encode(text, self.max_length)?)
    }

    /// Crops as a tensor, `[n, 3, S, S]`.
    #[must_use]
    pub fn pixels(&self, crops: &[Crop]) -> Tensor<4> {
        let mut values = Vec::with_capacity(crops.iter().map(|crop| crop.bytes().len()).sum());
        crops.iter().for_each(|crop| crop.normalise_into(&mut values));
        images(&values, self.transform.side(), &self.device)
    }

    /// Encodes images for the fusion, in batches.
    ///
    /// # Errors
    /// There is no image, or one has too few pixels.
    pub fn encode_images(&self, images: &[Image]) -> Result<EncodedImages, ModelError> {
        let crops = images.iter().map(|image| self.crop(image)).collect::<Result<Vec<_>, _>>()?;
        self.encode_crops(&crops)
    }

    /// As [`encode_images`](Self::encode_images), for images already cropped by [`crop`](Self::crop).
    ///
    /// # Errors
    /// There is no image.
    pub fn encode_crops(&self, crops: &[Crop]) -> Result<EncodedImages, ModelError> {
        if crops.is_empty() {
            return Err(ModelError::NoSuchImage { index: 0, count: 0 });
        }
        let encode = |crops: &[Crop]| self.network.fusion_image(self.pixels(crops));
        let batches = crops.chunks(self.batch_size).map(encode).collect();
        Ok(EncodedImages { tokens: Tensor::cat(batches, 0) })
    }

    /// Texts, padded to the longest, on the device.
    pub(crate) fn texts(&self, texts: &[Vec<u32>]) -> Texts {
        Texts::new(texts, self.tokenizer.specials().pad, &self.device)
    }

    /// The input of the fusion: text number i with image `rows[i]`.
    pub(crate) fn fusion_input(
        &self,
        images: &EncodedImages,
        rows: &[usize],
        texts: &[Vec<u32>],
    ) -> Result<FusionInput, ModelError> {
        let count = images.len();
        if let Some(&index) = rows.iter().find(|&&row| row >= count) {
            return Err(ModelError::NoSuchImage { index, count });
        }
        let text = self.network.fusion_text(self.texts(texts)); // [B, L, D]
        Ok(FusionInput { text, image: images.rows(rows, &self.device) })
    }

    /// Applies `pass` to the pooled features of the pairs, in batches: `[B, 2D]` -> `[B, C]`. Returns a row per pair.
    pub(crate) fn in_batches(
        &self,
        images: &EncodedImages,
        pairs: &[(usize, Vec<u32>)],
        what: &'static str,
        mut pass: impl FnMut(Tensor<2>) -> Tensor<2>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut rows = Vec::with_capacity(pairs.len());
        for batch in pairs.chunks(self.batch_size) {
            let (images_of, texts): (Vec<usize>, Vec<Vec<u32>>) = batch.iter().cloned().unzip();
            let input = self.fusion_input(images, &images_of, &texts)?;
            let values = pass(self.network.fuse(input, FusionRequest::new().pooled(..)).pooled);
            rows.extend(read_rows(values, what)?);
        }
        Ok(rows)
    }
}

impl EncodedImages {
    /// The images with the indices `rows`, `[B, 1+N, D]`.
    pub(crate) fn rows(&self, rows: &[usize], device: &Device) -> Tensor<3> {
        let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        self.tokens.clone().select(0, Tensor::from_data(rows.as_slice(), device))
    }
}

/// A matrix's rows, all finite.
pub(crate) fn read_rows(values: Tensor<2>, what: &'static str) -> Result<Vec<Vec<f32>>, ModelError> {
    let [_, columns] = values.dims();
    let values: Vec<f32> = values.try_into_vec_as()?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(ModelError::NotFinite { what });
    }
    Ok(values.chunks_exact(columns.max(1)).map(<[f32]>::to_vec).collect())
}
