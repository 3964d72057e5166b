//! What to generate: [`PhantomConfig`].

use serde::{Deserialize, Serialize};

use crate::PhantomError;

/// The largest number of images one split may have.
pub const MAX_IMAGES_PER_SPLIT: usize = 1_000_000;
/// The smallest image side, in pixels: the phantoms' smallest findings would vanish below it.
pub const MIN_SIDE: u32 = 32;
/// The largest image side, in pixels.
pub const MAX_SIDE: u32 = 1024;
/// The largest number of captions per image; the caption grammar has many more phrasings of every truth.
pub const MAX_CAPTIONS_PER_IMAGE: usize = 8;

/// What to generate. Missing fields take their default; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhantomConfig {
    /// Seed of every draw.
    pub seed: u64,
    /// Width and height of every image, in pixels, [`MIN_SIDE`]`..=`[`MAX_SIDE`].
    pub side: u32,
    /// Captioned images to train on.
    pub train: usize,
    /// Captioned images to validate on.
    pub val: usize,
    /// Captioned images to test on.
    pub test: usize,
    /// Images with questions to train on.
    pub vqa_train: usize,
    /// Images with questions to validate on.
    pub vqa_val: usize,
    /// Images with questions to test on.
    pub vqa_test: usize,
    /// Captions of each captioned image, `1..=`[`MAX_CAPTIONS_PER_IMAGE`]; each is a line of `captions.txt`.
    pub captions_per_image: usize,
}

impl Default for PhantomConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            side: 96,
            train: 1200,
            val: 150,
            test: 150,
            vqa_train: 400,
            vqa_val: 60,
            vqa_test: 100,
            captions_per_image: 1,
        }
    }
}

impl PhantomConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`PhantomError::Config`] names the first field whose value is out of its range.
    pub fn validate(&self) -> Result<(), PhantomError> {
        let within = |field, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(PhantomError::Config { field, value, low, high }) }
        };
        within("side", self.side as usize, MIN_SIDE as usize, MAX_SIDE as usize)?;
        for (field, value) in [
            ("train", self.train),
            ("val", self.val),
            ("test", self.test),
            ("vqa_train", self.vqa_train),
            ("vqa_val", self.vqa_val),
            ("vqa_test", self.vqa_test),
        ] {
            within(field, value, 1, MAX_IMAGES_PER_SPLIT)?;
        }
        within("captions_per_image", self.captions_per_image, 1, MAX_CAPTIONS_PER_IMAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        PhantomConfig::default().validate().unwrap();
    }

    #[test]
    fn every_field_out_of_range_is_named() {
        let good = PhantomConfig::default();
        let bad = [
            ("side", PhantomConfig { side: 31, ..good.clone() }),
            ("side", PhantomConfig { side: 1025, ..good.clone() }),
            ("train", PhantomConfig { train: 0, ..good.clone() }),
            ("val", PhantomConfig { val: 0, ..good.clone() }),
            ("test", PhantomConfig { test: MAX_IMAGES_PER_SPLIT + 1, ..good.clone() }),
            ("vqa_train", PhantomConfig { vqa_train: 0, ..good.clone() }),
            ("vqa_val", PhantomConfig { vqa_val: 0, ..good.clone() }),
            ("vqa_test", PhantomConfig { vqa_test: 0, ..good.clone() }),
            ("captions_per_image", PhantomConfig { captions_per_image: 9, ..good }),
        ];
        for (expected, config) in bad {
            match config.validate() {
                Err(PhantomError::Config { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_missing_ones_take_their_default() {
        assert!(serde_json::from_str::<PhantomConfig>(r#"{"sides": 96}"#).is_err());
        let config: PhantomConfig = serde_json::from_str(r#"{"train": 7}"#).unwrap();
        assert_eq!(config, PhantomConfig { train: 7, ..PhantomConfig::default() });
    }
}
