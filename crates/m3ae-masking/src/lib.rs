//! Patch masks and token masks of masked pre-training: seeded, no I/O.
//!
//! The three objectives of M3AE each need something random per sample or per step:
//!
//! | objective | what is drawn | here |
//! |---|---|---|
//! | masked image modelling | which patches the encoder sees | [`PatchMask`], [`PatchMaskBatch`] |
//! | masked language modelling | which tokens are hidden, and by what | [`TextMasker`] |
//! | image-text matching | which pairs keep their own image | [`matched_pairs`] |
//!
//! Every draw is a function of its [`Key`](m3ae_random::Key) alone, so the number of workers, the composition of a
//! batch and the point at which a run resumes cannot change it. Nothing here knows tensors: results are plain vectors
//! in row-major order.
//!
//! ```
//! use m3ae_masking::PatchMask;
//! use m3ae_random::{Key, Stream};
//!
//! let key = Key { seed: 7, epoch: 0, sample: "ROCO_00001#0", stream: Stream::PatchNoise };
//! let mask = PatchMask::draw(324, 0.75, key)?;
//! assert_eq!((mask.keep, mask.ids_keep.len(), mask.mask.len()), (81, 81, 324));
//! # Ok::<(), m3ae_masking::PatchMaskError>(())
//! ```

mod itm;
mod patch;
mod text;

pub use itm::matched_pairs;
pub use patch::{PatchMask, PatchMaskBatch, PatchMaskError, kept_patches};
pub use text::{
    IGNORED, MAX_PREDICTIONS, MaskedText, TextMaskConfig, TextMaskError, TextMasker, Unit, Vocabulary, VocabularyError,
};
