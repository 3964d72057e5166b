//! What a training step receives.

use crate::Skipped;

/// Samples of one training step. B is the number of samples whose images could be read: at most the batch size, and 0
/// where none could, or where other ranks share the rest of the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionBatch {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The batch's number within its epoch and rank, from 0.
    pub index: usize,
    /// The samples' ids, `[B]`.
    pub sample_ids: Vec<String>,
    /// The samples' images, normalised, `[B, 3, S, S]`.
    pub images: Vec<f32>,
    /// Another image for each sample, `[B, 3, S, S]`, where they were asked for.
    pub false_images: Option<Vec<f32>>,
    /// The captions' ids with start and end token, `[B]` texts of different lengths.
    pub text_ids: Vec<Vec<u32>>,
    /// Texts of other images for each sample, `[B][n]`, where they were asked for.
    pub false_texts: Option<Vec<Vec<Vec<u32>>>>,
    /// Samples that should be here, and why they are not.
    pub skipped: Vec<Skipped>,
}

impl CaptionBatch {
    /// B, the number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sample_ids.len()
    }

    /// Whether no sample could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sample_ids.is_empty()
    }
}

/// Texts of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaddedText {
    /// Token ids, `[B, L]`.
    pub ids: Vec<i64>,
    /// Whether a position holds a token (true) or padding, `[B, L]`.
    pub mask: Vec<bool>,
    /// L, the longest text's length.
    pub length: usize,
}

/// Pads texts with `pad_id` to the longest among them.
#[must_use]
pub fn pad(texts: &[Vec<u32>], pad_id: u32) -> PaddedText {
    let length = texts.iter().map(Vec::len).max().unwrap_or(0);
    let mut padded = PaddedText {
        ids: Vec::with_capacity(texts.len() * length),
        mask: Vec::with_capacity(texts.len() * length),
        length,
    };
    for text in texts {
        let padding = length - text.len();
        padded.ids.extend(text.iter().map(|&id| i64::from(id)));
        padded.ids.extend(std::iter::repeat_n(i64::from(pad_id), padding));
        padded.mask.extend(std::iter::repeat_n(true, text.len()));
        padded.mask.extend(std::iter::repeat_n(false, padding));
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_padded_to_the_longest() {
        let padded = pad(&[vec![0, 5, 2], vec![0, 2]], 1);
        assert_eq!(padded.ids, [0, 5, 2, 0, 2, 1]);
        assert_eq!(padded.mask, [true, true, true, true, true, false]);
        assert_eq!(padded.length, 3);
        assert_eq!(pad(&[], 1), PaddedText { ids: vec![], mask: vec![], length: 0 });
    }
}
