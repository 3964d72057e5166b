//! What masked image modelling made of an image, as images again.

use burn::prelude::*;
use burn::tensor::TensorReadError;

use crate::m3ae::M3ae;
use crate::mim::{patch_moments, patchify, unpatchify};

/// Images before and after removing patches, all `[B, 3, S, S]` and normalised as the input was.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// The input.
    pub original: Tensor<4>,
    /// The input with 0 in the removed patches, which is mid-grey under CLIP's normalisation.
    pub visible: Tensor<4>,
    /// The prediction in the removed patches, the input elsewhere.
    pub completed: Tensor<4>,
}

impl Reconstruction {
    /// The values of the three, in the order of the fields.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn into_values(self) -> Result<[Vec<f32>; 3], TensorReadError> {
        let Self { original, visible, completed } = self;
        Ok([original.try_into_vec_as()?, visible.try_into_vec_as()?, completed.try_into_vec_as()?])
    }
}

impl M3ae {
    /// Puts predicted patches into the images they were removed from. `image` is `[B, 3, S, S]`, `removed` is `[B, N]`
    /// with 1 where a patch was removed, and `predicted` is what the decoder gives, `[B, N, P·P·3]`.
    ///
    /// A model with `norm_pix_loss` predicts patches normalised by their own mean and deviation. Both are then taken
    /// from the original, as is usual for masked auto-encoders, so the model contributes only the structure within a
    /// patch.
    #[must_use]
    pub fn reconstruction(&self, image: Tensor<4>, removed: Tensor<2>, mut predicted: Tensor<3>) -> Reconstruction {
        let patch = self.patch_size();
        let original = patchify(image, patch); // [B, N, P·P·3]
        let [batch, patches, _] = original.dims();
        let removed = removed.reshape([batch, patches, 1]);
        let kept = removed.clone().neg() + 1.0;
        if self.norm_pix_loss() {
            let (mean, deviation) = patch_moments(original.clone());
            predicted = predicted * deviation + mean;
        }
        let visible = original.clone() * kept.clone();
        let completed = original.clone() * kept + predicted * removed;
        let [original, visible, completed] = [original, visible, completed].map(|x| unpatchify(x, patch));
        Reconstruction { original, visible, completed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClipVisionConfig, M3aeConfig};

    #[test]
    fn removed_patches_are_predicted_and_the_others_are_the_images() {
        let device = Device::default();
        let mut config = M3aeConfig::small();
        config.vision =
            ClipVisionConfig::new().with_image_size(4).with_patch_size(2).with_width(64).with_layers(1).into();
        config.mim.norm_pix_loss = false;
        let image = Tensor::<1, Int>::arange(1..49, &device).float().reshape([1, 3, 4, 4]);
        // The decoder gives the target itself: the completed image is the original.
        let removed = Tensor::<2>::from_data([[0.0, 1.0, 0.0, 0.0]], &device);
        for norm_pix_loss in [false, true] {
            config.mim.norm_pix_loss = norm_pix_loss;
            let model = config.init(&device).unwrap();
            let target = crate::mim_target(image.clone(), 2, norm_pix_loss);
            let values = model.reconstruction(image.clone(), removed.clone(), target).into_values().unwrap();
            let [original, visible, completed] = values;
            for (pixel, (x, y)) in original.iter().zip(&completed).enumerate() {
                assert!((x - y).abs() < 1e-4, "pixel {pixel}: {x} {y}");
                let (row, column) = (pixel / 4 % 4, pixel % 4);
                let expected = if row < 2 && column >= 2 { 0.0 } else { *x };
                assert_eq!(visible[pixel], expected, "pixel {pixel}");
            }
            let zero = Tensor::zeros([1, 4, 12], &device);
            let [original, _, completed] =
                model.reconstruction(image.clone(), removed.clone(), zero).into_values().unwrap();
            // Nothing predicted: 0, or the patch's mean.
            let mean = (original[2] + original[3] + original[6] + original[7]) / 4.0;
            let mean_of_all = (0..3).map(|c| mean + 16.0 * c as f32).sum::<f32>() / 3.0;
            assert!((completed[2] - if norm_pix_loss { mean_of_all } else { 0.0 }).abs() < 1e-4, "{completed:?}");
        }
    }
}
