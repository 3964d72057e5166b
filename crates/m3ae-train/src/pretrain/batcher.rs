//! From samples to tensors: padding, masking, pairing. Every random draw is keyed by (seed, epoch, sample id), or by
//! the step.

use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_masking::{IGNORED, PatchMaskBatch, TextMaskConfig, TextMasker, Vocabulary, matched_pairs};
use m3ae_model::{Texts, VisiblePatches, images};
use m3ae_random::{Key, Stream};
use m3ae_text::Tokenizer;

use super::batch::{MaskedTokens, Matching, PretrainBatch};
use super::output::ObjectiveWeights;
use crate::error::TrainError;

/// Turns loaded samples into pre-training batches.
#[derive(Debug)]
pub struct Batcher {
    masker: TextMasker,
    /// Whether each token of the vocabulary begins a word.
    starts_word: Vec<bool>,
    pad_id: u32,
    seed: u64,
    image_size: usize,
    patches: usize,
    mask_ratio: f64,
    objectives: ObjectiveWeights,
}

/// The part of a run's configuration that a [`Batcher`] needs.
#[derive(Debug, Clone, Copy)]
pub struct BatcherConfig {
    /// The run's seed.
    pub seed: u64,
    /// Image side S in pixels.
    pub image_size: usize,
    /// Patches per image, N.
    pub patches: usize,
    /// Share of patches removed.
    pub mask_ratio: f64,
    /// How captions are masked.
    pub text: TextMaskConfig,
    /// Objectives of weight 0 are left out of the batches.
    pub objectives: ObjectiveWeights,
}

impl Batcher {
    /// A batcher for texts of this tokenizer.
    ///
    /// # Errors
    /// Shares outside [0, 1], a ratio that removes no patch or all of them, special tokens outside the vocabulary, or
    /// no objective.
    pub fn new(config: BatcherConfig, tokenizer: &Tokenizer) -> Result<Self, TrainError> {
        let specials = tokenizer.specials();
        let size = tokenizer.vocab_size() as u32;
        let never = [specials.start, specials.end, specials.unknown];
        let vocabulary = Vocabulary::new(size, specials.mask, specials.pad, &never)?;
        let ObjectiveWeights { mlm, mim, itm } = config.objectives;
        if mlm <= 0.0 && mim <= 0.0 && itm <= 0.0 {
            return Err(TrainError::NoObjective);
        }
        let kept = m3ae_masking::kept_patches(config.patches, config.mask_ratio)?;
        if mim > 0.0 && kept == config.patches {
            return Err(TrainError::NothingRemoved { ratio: config.mask_ratio, patches: config.patches });
        }
        Ok(Self {
            masker: TextMasker::new(config.text, vocabulary)?,
            starts_word: (0..size).map(|id| tokenizer.starts_word(id)).collect(),
            pad_id: specials.pad,
            seed: config.seed,
            image_size: config.image_size,
            patches: config.patches,
            mask_ratio: config.mask_ratio,
            objectives: config.objectives,
        })
    }

    /// Masks and pads a batch and puts it on `device`. `step` keys the matching; masks are keyed by epoch and sample.
    ///
    /// # Errors
    /// Never for a batcher that was built: the patch masking's own checks are repeated.
    pub fn batch(&self, samples: &CaptionBatch, step: u64, device: &Device) -> Result<PretrainBatch, TrainError> {
        let ObjectiveWeights { mlm, mim, itm } = self.objectives;
        let texts = Texts::new(&samples.text_ids, self.pad_id, device);
        let [_, length] = texts.ids.dims();
        Ok(PretrainBatch {
            image: images(&samples.images, self.image_size, device),
            text_ids: texts.ids,
            text_mask: texts.mask,
            mlm: (mlm > 0.0).then(|| self.masked_tokens(samples, length, device)),
            mim: (mim > 0.0).then(|| self.visible_patches(samples, device)).transpose()?,
            itm: (itm > 0.0).then(|| self.matching(samples, step, device)),
        })
    }

    /// Masked captions, padded to `length`.
    fn masked_tokens(&self, samples: &CaptionBatch, length: usize, device: &Device) -> MaskedTokens {
        let mut masked = Vec::with_capacity(samples.len());
        let (mut positions, mut targets) = (Vec::new(), Vec::new());
        for (row, (ids, sample)) in samples.text_ids.iter().zip(&samples.sample_ids).enumerate() {
            let key = self.key(samples.epoch, sample, Stream::TextMask);
            let starts_word = |position: usize| self.starts_word.get(ids[position] as usize).copied().unwrap_or(true);
            let text = self.masker.mask(ids, starts_word, key);
            for (column, label) in text.labels.iter().enumerate().filter(|&(_, &label)| label != IGNORED) {
                positions.push((row * length + column) as i64);
                targets.push(*label);
            }
            masked.push(text.ids);
        }
        MaskedTokens {
            ids: Texts::new(&masked, self.pad_id, device).ids,
            positions: Tensor::from_data(positions.as_slice(), device),
            targets: Tensor::from_data(targets.as_slice(), device),
        }
    }

    fn visible_patches(&self, samples: &CaptionBatch, device: &Device) -> Result<VisiblePatches, TrainError> {
        let keys = samples.sample_ids.iter().map(|sample| self.key(samples.epoch, sample, Stream::PatchNoise));
        Ok(VisiblePatches::new(&PatchMaskBatch::draw(self.patches, self.mask_ratio, keys)?, device))
    }

    /// Half of the pairs keep their image (rounded down). The others get the false images that were loaded with them,
    /// which alone become a tensor; where none were loaded, they get other images of the batch.
    fn matching(&self, samples: &CaptionBatch, step: u64, device: &Device) -> Matching {
        let size = samples.len();
        let matched = matched_pairs(size, self.seed, step);
        let values = 3 * self.image_size * self.image_size;
        let (mut rows, mut false_images) = (Vec::with_capacity(size), Vec::new());
        for (row, &matched) in matched.iter().enumerate() {
            rows.push(match &samples.false_images {
                _ if matched => row,
                Some(all) => {
                    let place = size + false_images.len() / values;
                    false_images.extend_from_slice(&all[row * values..(row + 1) * values]);
                    place
                }
                None => self.other_image(samples, row, step),
            });
        }
        let labels: Vec<i64> = rows.iter().enumerate().map(|(row, &image)| i64::from(row == image)).collect();
        let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
        Matching {
            false_image: images(&false_images, self.image_size, device),
            rows: Tensor::from_data(rows.as_slice(), device),
            labels: Tensor::from_data(labels.as_slice(), device),
        }
    }

    /// A row of the batch with another image than `row`'s; `row` itself where there is none.
    fn other_image(&self, samples: &CaptionBatch, row: usize, step: u64) -> usize {
        let ids = &samples.sample_ids;
        let others: Vec<usize> = (0..ids.len()).filter(|&other| image_id(&ids[other]) != image_id(&ids[row])).collect();
        match others.len() {
            0 => row,
            count => others[self.key(step, &ids[row], Stream::FalseImage).generator().below(count)],
        }
    }

    fn key<'a>(&self, epoch: u64, sample: &'a str, stream: Stream) -> Key<'a> {
        Key { seed: self.seed, epoch, sample, stream }
    }
}

/// The image of a sample, whose id is `<image id>#<n>`.
fn image_id(sample: &str) -> &str {
    sample.rsplit_once('#').map_or(sample, |(image, _)| image)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six samples of four images, as a loader gives them without false images.
    fn samples() -> CaptionBatch {
        let ids = ["a#0", "b#0", "a#1", "c#0", "d#0", "d#1"];
        CaptionBatch {
            epoch: 0,
            index: 0,
            sample_ids: ids.map(String::from).to_vec(),
            images: vec![0.5; ids.len() * 3],
            false_images: None,
            text_ids: vec![vec![0, 5, 2]; ids.len()],
            false_texts: None,
            skipped: vec![],
        }
    }

    fn batcher() -> Batcher {
        let vocabulary = Vocabulary::new(10, 4, 1, &[0, 2, 3]).unwrap();
        Batcher {
            masker: TextMasker::new(TextMaskConfig::default(), vocabulary).unwrap(),
            starts_word: vec![true; 10],
            pad_id: 1,
            seed: 3,
            image_size: 1,
            patches: 1,
            mask_ratio: 0.0,
            objectives: ObjectiveWeights::default(),
        }
    }

    #[test]
    fn without_loaded_false_images_unmatched_pairs_take_another_image_of_the_batch() {
        let (batcher, samples, device) = (batcher(), samples(), Device::default());
        let mut drawn = [0; 6];
        for step in 0..200 {
            let matching = batcher.matching(&samples, step, &device);
            assert_eq!(matching.false_image.dims()[0], 0);
            let rows: Vec<i64> = matching.rows.try_into_vec_as().unwrap();
            let labels: Vec<i64> = matching.labels.try_into_vec_as().unwrap();
            assert_eq!(labels.iter().sum::<i64>(), 3);
            for (row, (&image, &label)) in rows.iter().zip(&labels).enumerate() {
                let same = image_id(&samples.sample_ids[row]) == image_id(&samples.sample_ids[image as usize]);
                assert_eq!((same, image as usize == row), (label == 1, label == 1), "pair {row} has image {image}");
                drawn[image as usize] += 1;
            }
        }
        assert!(drawn.iter().all(|&times| times > 100), "{drawn:?}");
    }

    #[test]
    fn a_batch_of_one_image_has_matched_pairs_only() {
        let mut samples = samples();
        samples.sample_ids = (0..6).map(|caption| format!("a#{caption}")).collect();
        let labels: Vec<i64> = batcher().matching(&samples, 0, &Device::default()).labels.try_into_vec_as().unwrap();
        assert_eq!(labels, [1; 6]);
    }

    fn config(mask_ratio: f64, objectives: ObjectiveWeights) -> BatcherConfig {
        BatcherConfig { seed: 3, image_size: 1, patches: 16, mask_ratio, text: TextMaskConfig::default(), objectives }
    }

    #[test]
    fn an_objective_of_weight_0_is_not_in_the_batch() {
        let tokenizer = Tokenizer::train(["a caption of words"], 300).unwrap();
        let weights = ObjectiveWeights { mlm: 0.0, mim: 0.0, itm: 0.5 };
        // A ratio that removes nothing concerns masked image modelling alone.
        let batcher = Batcher::new(config(0.0, weights), &tokenizer).unwrap();
        let batch = batcher.batch(&samples(), 0, &Device::default()).unwrap();
        assert!(batch.mlm.is_none() && batch.mim.is_none() && batch.itm.is_some());
        let none = ObjectiveWeights { itm: 0.0, ..weights };
        assert!(matches!(Batcher::new(config(0.75, none), &tokenizer), Err(TrainError::NoObjective)));
    }

    #[test]
    fn a_ratio_that_removes_no_patch_is_refused_with_its_key() {
        let tokenizer = Tokenizer::train(["a caption of words"], 300).unwrap();
        for ratio in [0.0, 1e-18] {
            let error = Batcher::new(config(ratio, ObjectiveWeights::default()), &tokenizer).unwrap_err().to_string();
            assert!(error.starts_with("masking.image_ratio: ") && error.contains("none of an image's 16"), "{error}");
        }
        assert!(Batcher::new(config(0.001, ObjectiveWeights::default()), &tokenizer).is_ok());
    }
}
