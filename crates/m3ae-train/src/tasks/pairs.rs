//! Images and texts as tensors.

use burn::prelude::*;
use m3ae_data::pad;
use m3ae_model::M3ae;

/// Padded texts on a device.
#[derive(Debug, Clone)]
pub struct Texts {
    /// `[B, L]`
    pub ids: Tensor<2, Int>,
    /// `[B, L]`, 1 = a token, 0 = padding.
    pub mask: Tensor<2, Int>,
}

impl Texts {
    /// Pads to the longest.
    #[must_use]
    pub fn new(texts: &[Vec<u32>], pad_id: u32, device: &Device) -> Self {
        let text = pad(texts, pad_id);
        let mask = text.mask.iter().map(|&token| i64::from(token)).collect();
        Self { ids: matrix(text.ids, text.length, device), mask: matrix(mask, text.length, device) }
    }
}

/// `[B, columns]`
pub(crate) fn matrix(values: Vec<i64>, columns: usize, device: &Device) -> Tensor<2, Int> {
    let rows = values.len() / columns.max(1);
    Tensor::<1, Int>::from_data(values.as_slice(), device).reshape([rows, columns])
}

/// `[B, 3, S, S]`
#[must_use]
pub fn images(values: &[f32], side: usize, device: &Device) -> Tensor<4> {
    Tensor::<1>::from_data(values, device).reshape([values.len() / (3 * side * side), 3, side, side])
}

/// One full pass over pairs, to the pooled features `[B, 2D]`.
pub(crate) fn features(model: &M3ae, image: Tensor<4>, texts: Texts) -> Tensor<2> {
    model.forward_pooled(image, texts.ids, texts.mask)
}
