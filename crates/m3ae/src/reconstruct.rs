//! Predictions of what the model does not see: removed patches and masked words.

use burn::prelude::*;
use burn::tensor::activation::softmax;
use image::RgbImage;
use m3ae_image::{Image, side_by_side};
use m3ae_masking::PatchMaskBatch;
use m3ae_model::{FusionInput, FusionRequest, VisiblePatches};
use m3ae_random::{Key, Stream};

use crate::error::ModelError;
use crate::model::{EncodedImages, Model, read_rows};

/// A word that the model predicts for a masked place.
#[derive(Clone, Debug, PartialEq)]
pub struct Filling {
    /// The token, as text.
    pub word: String,
    /// Its probability among all tokens, in `0..=1`.
    pub probability: f64,
}

impl Model {
    /// Removes a random share of an image's patches and draws three pictures: the image, the remaining patches, and the
    /// image with the model's predictions in the removed places. The model also reads `caption`, which may be empty.
    /// The same seed removes the same patches.
    ///
    /// # Errors
    /// The model has no head for it, `ratio` is outside `[0, 1)` or removes everything, or the image has too few
    /// pixels.
    pub fn reconstruct(&self, image: &Image, caption: &str, ratio: f64, seed: u64) -> Result<RgbImage, ModelError> {
        let head = self.network.mim_head.as_ref().ok_or_else(|| self.missing("masked-image", PRETRAINED))?;
        let key = Key { seed, epoch: 0, sample: "reconstruct", stream: Stream::PatchNoise };
        let patches = PatchMaskBatch::draw(self.config.vision.patches(), ratio, [key])?;
        let visible = VisiblePatches::new(&patches, &self.device);
        let pixels = self.pixels(&[self.crop(image)?]);
        let ids = self.tokenizer.encode(caption, self.max_length)?.ids;
        let text = self.network.fusion_text(self.texts(&[ids]));
        let seen = self.network.encode_visible(pixels.clone(), visible.ids_keep)?;
        let input = FusionInput { text, image: self.network.project_image(seen) };
        let state = self.network.fuse(input, FusionRequest::new().depth(self.network.mim_layer()).image(..)).image;
        let predicted = head.forward(state, visible.ids_restore, self.network.precision());
        let reconstruction = self.network.reconstruction(pixels, visible.mask, predicted);
        Ok(side_by_side(&reconstruction.into_values()?, self.config.vision.image_size()))
    }

    /// Fills the masked places of a text about an image: for each, the `k` most probable tokens, best first. A place is
    /// masked by the tokenizer's own mask token, [`mask_token`](Self::mask_token).
    ///
    /// # Errors
    /// The model has no head for it, the text has no mask, there is no such image, or a score is not finite.
    pub fn fill_masks(
        &self,
        images: &EncodedImages,
        image: usize,
        text: &str,
        k: usize,
    ) -> Result<Vec<Vec<Filling>>, ModelError> {
        let head = self.network.mlm_head.as_ref().ok_or_else(|| self.missing("masked-language", PRETRAINED))?;
        let ids = self.tokens(text)?.ids;
        let mask = self.tokenizer.specials().mask;
        let places: Vec<i64> = (0_i64..).zip(&ids).filter(|&(_, &id)| id == mask).map(|(place, _)| place).collect();
        if places.is_empty() {
            return Err(ModelError::NoMask { mask: self.mask_token() });
        }
        let input = self.fusion_input(images, &[image], &[ids])?;
        let state = self.network.fuse(input, FusionRequest::new().text(..)).text.squeeze_dim::<2>(0); // [L, D]
        let masked = state.select(0, Tensor::from_data(places.as_slice(), &self.device)); // [M, D]
        let logits = head.forward(masked, self.network.precision()); // [M, V]
        let rows = read_rows(softmax(logits, 1), "words' score")?;
        let fill = |row: &Vec<f32>| {
            let mut best: Vec<usize> = (0..row.len().min(self.tokenizer.vocab_size())).collect();
            best.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let word = |&token: &usize| Filling {
                word: self.tokenizer.decode(&[token as u32], false).trim().to_owned(),
                probability: row[token].into(),
            };
            best.iter().take(k).map(word).collect()
        };
        Ok(rows.iter().map(fill).collect())
    }

    /// How the tokenizer spells its mask: `<mask>` or `[MASK]`.
    #[must_use]
    pub fn mask_token(&self) -> String {
        self.tokenizer.token(self.tokenizer.specials().mask).unwrap_or_default()
    }
}

/// Which models have these heads.
const PRETRAINED: &str = "a pre-trained model has one, a fine-tuned one does not";
