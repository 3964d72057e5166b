//! Masked image modelling: which patches of an image the encoder sees.
//!
//! Each patch gets a number, the patches with the smallest numbers are kept, in the order of their numbers:
//!
//! ```text
//! noise        0.9  0.1  0.7  0.4      one number per patch
//! shuffle       1    3    2    0       argsort(noise)
//! ids_keep      1    3                 the first `keep` of the shuffle
//! ids_restore   3    0    2    1       argsort(shuffle): where each patch stands in the shuffle
//! mask          1    0    1    0       1 = removed
//! ```
//!
//! The decoder appends its mask token for the removed patches to the kept ones and gathers by `ids_restore`: that
//! puts every patch back where it was.

use m3ae_random::{Key, Stream};

/// Why a patch mask cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PatchMaskError {
    /// The share of removed patches is not a number in `[0, 1)`.
    #[error("mask ratio {0} is not in [0, 1)")]
    Ratio(f64),
    /// The ratio leaves nothing for the encoder to see.
    #[error("mask ratio {ratio} keeps none of {patches} patches")]
    NothingKept {
        /// Patches per image.
        patches: usize,
        /// Share of removed patches.
        ratio: f64,
    },
    /// A noise value cannot be ordered.
    #[error("the noise of patch {0} is not a number")]
    Noise(usize),
    /// The noise of a batch does not consist of whole images.
    #[error("{noise} noise values are not a whole number of images of {patches} patches")]
    Shape {
        /// Noise values given.
        noise: usize,
        /// Patches per image.
        patches: usize,
    },
}

/// How many of `patches` an image keeps: `patches * (1 - mask_ratio)` in float64, rounded down, as the reference
/// computes it.
///
/// # Errors
/// Where the ratio is outside `[0, 1)` or no patch would be kept.
pub fn kept_patches(patches: usize, mask_ratio: f64) -> Result<usize, PatchMaskError> {
    if !(0.0..1.0).contains(&mask_ratio) {
        return Err(PatchMaskError::Ratio(mask_ratio));
    }
    match (patches as f64 * (1.0 - mask_ratio)) as usize {
        0 => Err(PatchMaskError::NothingKept { patches, ratio: mask_ratio }),
        keep => Ok(keep),
    }
}

/// The patch mask of one image. Patches count from 0 in row-major order; the class token is not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchMask {
    /// How many patches are kept.
    pub keep: usize,
    /// How many patches the image has.
    pub patches: usize,
    /// The kept patches, smallest noise first: `[keep]`.
    pub ids_keep: Vec<usize>,
    /// Where each patch stands in "kept, then removed": `[patches]`.
    pub ids_restore: Vec<usize>,
    /// True (1) where a patch is removed: `[patches]`.
    pub mask: Vec<bool>,
}

impl PatchMask {
    /// The mask that `noise`, one number per patch, gives. Equal numbers keep the order of their patches.
    ///
    /// # Errors
    /// Where a noise value is NaN, the ratio is outside `[0, 1)` or no patch would be kept.
    pub fn from_noise(noise: &[f32], mask_ratio: f64) -> Result<Self, PatchMaskError> {
        let patches = noise.len();
        let keep = kept_patches(patches, mask_ratio)?;
        if let Some(patch) = noise.iter().position(|value| value.is_nan()) {
            return Err(PatchMaskError::Noise(patch));
        }
        let mut shuffle: Vec<usize> = (0..patches).collect();
        shuffle.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
        let mut ids_restore = vec![0; patches];
        for (place, &patch) in shuffle.iter().enumerate() {
            ids_restore[patch] = place;
        }
        let mask = ids_restore.iter().map(|&place| place >= keep).collect();
        shuffle.truncate(keep);
        Ok(Self { keep, patches, ids_keep: shuffle, ids_restore, mask })
    }

    /// A random mask, uniform among all: the noise is drawn from `[0, 1)` by `key`, whose stream is taken to be
    /// [`Stream::PatchNoise`] whatever it says.
    ///
    /// # Errors
    /// Where the ratio is outside `[0, 1)` or no patch would be kept.
    pub fn draw(patches: usize, mask_ratio: f64, key: Key<'_>) -> Result<Self, PatchMaskError> {
        let mut generator = Key { stream: Stream::PatchNoise, ..key }.generator();
        let noise: Vec<f32> = (0..patches).map(|_| generator.uniform()).collect();
        Self::from_noise(&noise, mask_ratio)
    }
}

/// The patch masks of a batch, flat and row-major, ready to become tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchMaskBatch {
    /// How many images.
    pub batch: usize,
    /// How many patches each image keeps.
    pub keep: usize,
    /// How many patches each image has.
    pub patches: usize,
    /// The kept patches of each image, smallest noise first: `[batch, keep]`.
    pub ids_keep: Vec<usize>,
    /// Where each patch stands in "kept, then removed": `[batch, patches]`.
    pub ids_restore: Vec<usize>,
    /// True (1) where a patch is removed: `[batch, patches]`.
    pub mask: Vec<bool>,
}

impl PatchMaskBatch {
    /// The masks that given `noise`, `[batch, patches]`, makes: [`PatchMask::from_noise`] per row.
    ///
    /// # Errors
    /// Where the noise is not whole rows, and where a row's mask cannot be made.
    pub fn from_noise(noise: &[f32], patches: usize, mask_ratio: f64) -> Result<Self, PatchMaskError> {
        let mut batch = Self::empty(patches, mask_ratio)?;
        if !noise.len().is_multiple_of(patches) {
            return Err(PatchMaskError::Shape { noise: noise.len(), patches });
        }
        for row in noise.chunks_exact(patches) {
            batch.push(PatchMask::from_noise(row, mask_ratio)?);
        }
        Ok(batch)
    }

    /// Random masks, one per key: [`PatchMask::draw`] per sample, so that a sample's mask is the same in every batch.
    ///
    /// # Errors
    /// Where the ratio is outside `[0, 1)` or no patch would be kept.
    pub fn draw<'a>(
        patches: usize,
        mask_ratio: f64,
        keys: impl IntoIterator<Item = Key<'a>>,
    ) -> Result<Self, PatchMaskError> {
        let mut batch = Self::empty(patches, mask_ratio)?;
        for key in keys {
            batch.push(PatchMask::draw(patches, mask_ratio, key)?);
        }
        Ok(batch)
    }

    fn empty(patches: usize, mask_ratio: f64) -> Result<Self, PatchMaskError> {
        let keep = kept_patches(patches, mask_ratio)?;
        Ok(Self { batch: 0, keep, patches, ids_keep: Vec::new(), ids_restore: Vec::new(), mask: Vec::new() })
    }

    fn push(&mut self, image: PatchMask) {
        self.batch += 1;
        self.ids_keep.extend(image.ids_keep);
        self.ids_restore.extend(image.ids_restore);
        self.mask.extend(image.mask);
    }
}
