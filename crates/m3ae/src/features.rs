//! Features and matches.

use burn::prelude::*;
use m3ae_image::Image;

use crate::error::ModelError;
use crate::model::{EncodedImages, Model, read_rows};

/// How well a text matches an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchScore {
    /// For ranking: the retrieval head's score, or the matching head's "matched" logit if the model has no retrieval
    /// head.
    pub score: f32,
    /// Probability that image and text belong together, in `0..=1`; `None` if the model has no matching head.
    pub probability: Option<f64>,
}

impl Model {
    /// Features of images alone: the vision encoder's class token (for Swin, the mean over tokens), `[n][Dv]`.
    ///
    /// # Errors
    /// An image has too few pixels, or a feature is not finite.
    pub fn embed_images(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut rows = Vec::with_capacity(images.len());
        for batch in images.chunks(self.batch_size) {
            let crops = batch.iter().map(|image| self.crop(image)).collect::<Result<Vec<_>, _>>()?;
            let tokens = self.network.encode_image(self.pixels(&crops)); // [n, 1+N, Dv]
            let pooled = match self.config.vision.class_token() {
                true => tokens.narrow(1, 0, 1),
                false => tokens.mean_dim(1),
            };
            rows.extend(read_rows(pooled.squeeze_dim::<2>(1), "image features")?);
        }
        Ok(rows)
    }

    /// Features of an image alone, `[Dv]`.
    ///
    /// # Errors
    /// As [`embed_images`](Self::embed_images).
    pub fn embed_image(&self, image: &Image) -> Result<Vec<f32>, ModelError> {
        Ok(self.embed_images(std::slice::from_ref(image))?.pop().unwrap_or_default())
    }

    /// Features of texts alone: the text encoder's first token, `[n][Dt]`.
    ///
    /// # Errors
    /// A text is empty, or a feature is not finite.
    pub fn embed_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut rows = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch_size) {
            let ids = batch.iter().map(|text| Ok(self.tokens(text)?.ids)).collect::<Result<Vec<_>, ModelError>>()?;
            let tokens = self.network.encode_text(self.texts(&ids)); // [n, L, Dt]
            rows.extend(read_rows(tokens.narrow(1, 0, 1).squeeze_dim::<2>(1), "text features")?);
        }
        Ok(rows)
    }

    /// Features of a text alone, `[Dt]`.
    ///
    /// # Errors
    /// As [`embed_texts`](Self::embed_texts).
    pub fn embed_text(&self, text: &str) -> Result<Vec<f32>, ModelError> {
        Ok(self.embed_texts(&[text])?.pop().unwrap_or_default())
    }

    /// Features of pairs of an image's index and a text: pooled text and pooled image after the fusion, `[n][2D]`.
    ///
    /// # Errors
    /// A text is empty, there is no such image, or a feature is not finite.
    pub fn embed_pairs(&self, images: &EncodedImages, pairs: &[(usize, &str)]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.in_batches(images, &self.pair_tokens(pairs)?, "pair's features", |cls| cls)
    }

    /// Features of an image with a text, `[2D]`.
    ///
    /// # Errors
    /// As [`embed_pairs`](Self::embed_pairs), or the image has too few pixels.
    pub fn embed_pair(&self, image: &Image, text: &str) -> Result<Vec<f32>, ModelError> {
        let images = self.encode_images(std::slice::from_ref(image))?;
        Ok(self.embed_pairs(&images, &[(0, text)])?.pop().unwrap_or_default())
    }

    /// How well texts match images, for pairs of an image's index and a text.
    ///
    /// # Errors
    /// The model has neither a retrieval nor a matching head, a text is empty, there is no such image, or a score is
    /// not finite.
    pub fn match_scores(&self, images: &EncodedImages, pairs: &[(usize, &str)]) -> Result<Vec<MatchScore>, ModelError> {
        self.check_match_head()?;
        let columns =
            self.in_batches(images, &self.pair_tokens(pairs)?, "matching score", |cls| self.match_logits(cls))?;
        Ok(columns.iter().map(|row| self.match_of(row)).collect())
    }

    /// How well a text matches an image.
    ///
    /// # Errors
    /// As [`match_scores`](Self::match_scores), or the image has too few pixels.
    pub fn match_score(&self, image: &Image, text: &str) -> Result<MatchScore, ModelError> {
        let images = self.encode_images(std::slice::from_ref(image))?;
        self.match_scores(&images, &[(0, text)])?.pop().ok_or(ModelError::EmptyText)
    }

    fn pair_tokens(&self, pairs: &[(usize, &str)]) -> Result<Vec<(usize, Vec<u32>)>, ModelError> {
        pairs.iter().map(|&(image, text)| Ok((image, self.tokens(text)?.ids))).collect()
    }

    /// # Errors
    /// The model has neither a retrieval nor a matching head.
    pub(crate) fn check_match_head(&self) -> Result<(), ModelError> {
        match (&self.network.irtr_head, &self.network.itm_head) {
            (None, None) => {
                Err(self
                    .missing("retrieval or matching", "a pre-trained model has one, and one fine-tuned for retrieval"))
            }
            _ => Ok(()),
        }
    }

    /// `[B, 2D]` -> the heads' outputs side by side: retrieval `[B, 1]` and matching `[B, 2]`, those that the model
    /// has.
    pub(crate) fn match_logits(&self, cls: Tensor<2>) -> Tensor<2> {
        let retrieval = self.network.irtr_head.as_ref().map(|head| head.forward(cls.clone()));
        let matching = self.network.itm_head.as_ref().map(|head| head.forward(cls.clone(), self.network.precision()));
        let columns: Vec<Tensor<2>> = [retrieval, matching].into_iter().flatten().collect();
        if columns.is_empty() { cls } else { Tensor::cat(columns, 1) }
    }

    /// One row of [`match_logits`](Self::match_logits).
    pub(crate) fn match_of(&self, row: &[f32]) -> MatchScore {
        let matching = match self.network.itm_head {
            Some(_) => &row[row.len() - 2..],
            None => &[],
        };
        let probability = match *matching {
            [other, matched] => Some(1.0 / (1.0 + f64::from(other - matched).exp())),
            _ => None,
        };
        let score = match self.network.irtr_head {
            Some(_) => row[0],
            // The retrieval head of a fine-tuned model starts from this row (docs/spec.md, section 1.5).
            None => matching[1],
        };
        MatchScore { score, probability }
    }
}
