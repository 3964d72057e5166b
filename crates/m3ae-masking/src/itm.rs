//! Image-text matching: which pairs of a batch keep their own image.

use m3ae_random::{Key, Stream};

/// For each pair of a batch, whether it keeps its own image (the label: true is 1, matched). The others are to be
/// given another image of the data set.
///
/// Exactly `batch / 2`, rounded down, are matched, in an order that is random per step. A batch of one is therefore
/// never matched.
#[must_use]
pub fn matched_pairs(batch: usize, seed: u64, step: u64) -> Vec<bool> {
    let mut matched: Vec<bool> = (0..batch).map(|pair| pair < batch / 2).collect();
    Key { seed, epoch: step, sample: "", stream: Stream::ItmAssignment }.generator().shuffle(&mut matched);
    matched
}
