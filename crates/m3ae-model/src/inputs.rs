//! From host data to what the model reads: padded texts, images, the patches that stay visible.

use burn::prelude::*;
use burn::tensor::TensorData;
use m3ae_masking::PatchMaskBatch;

/// A bias this low makes a softmax weight exactly zero in float32, and is finite in half precision.
pub(crate) const MASKED: f64 = -1e4;

/// Padded texts on a device.
#[derive(Debug, Clone)]
pub struct Texts {
    /// Token ids, `[B, L]`.
    pub ids: Tensor<2, Int>,
    /// 1 = token, 0 = padding, `[B, L]`.
    pub mask: Tensor<2, Int>,
}

impl Texts {
    /// Pads texts, given as token ids, with `pad_id` to the longest among them.
    #[must_use]
    pub fn new(texts: &[impl AsRef<[u32]>], pad_id: u32, device: &Device) -> Self {
        let length = texts.iter().map(|text| text.as_ref().len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(texts.len() * length);
        let mut mask = Vec::with_capacity(texts.len() * length);
        for text in texts.iter().map(AsRef::as_ref) {
            let padding = length - text.len();
            ids.extend(text.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(i64::from(pad_id), padding));
            mask.extend(std::iter::repeat_n(1, text.len()));
            mask.extend(std::iter::repeat_n(0, padding));
        }
        let shape = [texts.len(), length];
        Self { ids: int_matrix(ids, shape, device), mask: int_matrix(mask, shape, device) }
    }
}

/// Images whose pixels are `values`, `[B, 3, S, S]` with S = `side`, normalised as CLIP's.
///
/// # Panics
/// `values` is not a whole number of images.
#[must_use]
pub fn images(values: &[f32], side: usize, device: &Device) -> Tensor<4> {
    let image = 3 * side * side;
    assert!(
        image > 0 && values.len().is_multiple_of(image),
        "{} values are not a whole number of images of 3·{side}·{side}",
        values.len()
    );
    Tensor::<1>::from_data(values, device).reshape([values.len() / image, 3, side, side])
}

/// The patches of a batch of images that stay visible.
#[derive(Debug, Clone)]
pub struct VisiblePatches {
    /// Kept patches of each image, `[B, K]`, in the order in which the encoder reads them.
    pub ids_keep: Tensor<2, Int>,
    /// For each patch, its place among kept-then-removed patches, `[B, N]`.
    pub ids_restore: Tensor<2, Int>,
    /// 1 where a patch was removed, `[B, N]`.
    pub mask: Tensor<2>,
}

impl VisiblePatches {
    /// Patch masks as tensors.
    #[must_use]
    pub fn new(patches: &PatchMaskBatch, device: &Device) -> Self {
        let ids = |ids: &[usize], columns| {
            int_matrix(ids.iter().map(|&id| id as i64).collect(), [patches.batch, columns], device)
        };
        let mask: Vec<f32> = patches.mask.iter().map(|&removed| f32::from(u8::from(removed))).collect();
        Self {
            ids_keep: ids(&patches.ids_keep, patches.keep),
            ids_restore: ids(&patches.ids_restore, patches.patches),
            mask: Tensor::<1>::from_data(mask.as_slice(), device).reshape([patches.batch, patches.patches]),
        }
    }
}

/// The bias that hides padding from a softmax: 0 where `mask` is 1, very low where it is 0.
/// `[B, L]` -> `[B, 1, 1, L]`.
#[must_use]
pub fn padding_bias(mask: Tensor<2, Int>) -> Tensor<4> {
    let [batch, length] = mask.dims();
    mask.equal_elem(0).float().mul_scalar(MASKED).reshape([batch, 1, 1, length])
}

/// `[rows, columns]`
fn int_matrix(values: Vec<i64>, shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use m3ae_random::{Key, Stream};

    use super::*;

    fn is(found: Tensor<2, Int>, expected: TensorData) {
        found.into_data_dtype(DType::I64).assert_eq(&expected, true);
    }

    #[test]
    fn texts_are_padded_to_the_longest() {
        let device = Device::default();
        let texts = Texts::new(&[vec![0, 5, 2], vec![0, 2]], 1, &device);
        is(texts.ids, TensorData::from([[0_i64, 5, 2], [0, 2, 1]]));
        is(texts.mask, TensorData::from([[1_i64, 1, 1], [1, 1, 0]]));
        assert_eq!(Texts::new(&Vec::<Vec<u32>>::new(), 1, &device).ids.dims(), [0, 0]);
    }

    #[test]
    #[should_panic(expected = "13 values are not a whole number of images of 3·2·2")]
    fn pixels_that_are_not_whole_images_are_refused() {
        let _ = images(&[0.0; 13], 2, &Device::default());
    }

    #[test]
    fn every_patch_is_visible_or_masked() {
        let keys = ["a", "b"].map(|sample| Key { seed: 1, epoch: 0, sample, stream: Stream::PatchNoise });
        let visible = VisiblePatches::new(&PatchMaskBatch::draw(8, 0.75, keys).unwrap(), &Device::default());
        assert_eq!(visible.ids_keep.dims(), [2, 2]);
        assert_eq!(visible.ids_restore.dims(), [2, 8]);
        // The kept patches are those that the mask does not remove.
        let kept = visible.mask.clone().gather(1, visible.ids_keep);
        assert_eq!(kept.sum().into_scalar::<f32>(), 0.0);
        assert_eq!(visible.mask.sum().into_scalar::<f32>(), 12.0);
    }

    #[test]
    fn padding_is_hidden_and_tokens_are_not() {
        let bias = padding_bias(Tensor::from_data([[1, 0]], &Device::default()));
        bias.into_data().assert_eq(&TensorData::from([[[[0.0_f32, MASKED as f32]]]]), true);
    }
}
