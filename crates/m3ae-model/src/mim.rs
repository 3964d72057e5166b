//! Masked image modelling: patches, their order, the light decoder and its target (paper, section 3.2; docs/spec.md,
//! sections 1.5 and 2).

use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::TensorData;
use m3ae_nn::{Precision, linear};

use crate::config::MimConfig;
use crate::init::Init;
use crate::layers::{BlockInit, ClipTransformer, LayerNorm, NORM_EPSILON, take_rows};

/// Added to the patch variance before the square root (docs/spec.md, section 2).
const PATCH_EPSILON: f64 = 1e-6;

/// `[B, 3, H, W]` -> `[B, N, P·P·3]`, P = `patch`; pixels of a patch in the order row, column, channel.
///
/// # Panics
/// The patch's side does not divide the image's sides.
#[must_use]
pub fn patchify(image: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, height, width] = image.dims();
    assert!(
        patch > 0 && height.is_multiple_of(patch) && width.is_multiple_of(patch),
        "images of {height}x{width} pixels cannot be cut into patches of {patch}x{patch}"
    );
    let (rows, columns) = (height / patch, width / patch);
    image
        .reshape([batch, channels, rows, patch, columns, patch])
        .permute([0, 2, 4, 3, 5, 1]) // [B, rows, columns, P, P, 3]
        .reshape([batch, rows * columns, patch * patch * channels])
}

/// The inverse of [`patchify`] for square images: `[B, N, P·P·3]` -> `[B, 3, S, S]`, P = `patch`.
///
/// # Panics
/// N patches do not make a square, or their values are no pixels of P·P places.
#[must_use]
pub fn unpatchify(patches: Tensor<3>, patch: usize) -> Tensor<4> {
    let [batch, count, values] = patches.dims();
    let (grid, pixels) = (count.isqrt(), patch * patch);
    assert_eq!(grid * grid, count, "{count} patches do not make a square image");
    assert!(
        pixels > 0 && values.is_multiple_of(pixels),
        "patches of {values} values are no patches of {patch}x{patch} pixels"
    );
    let channels = values / pixels;
    patches
        .reshape([batch, grid, grid, patch, patch, channels])
        .permute([0, 5, 1, 3, 2, 4]) // [B, 3, rows, P, columns, P]
        .reshape([batch, channels, grid * patch, grid * patch])
}

/// Mean and (biased by +1e-6) standard deviation of each patch: both `[B, N, 1]`.
#[must_use]
pub fn patch_moments(patches: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    // Unbiased variance, as the reference computes it.
    let (variance, mean) = patches.var_mean(2);
    (mean, (variance + PATCH_EPSILON).sqrt())
}

/// What the decoder has to predict for every patch, `[B, N, P·P·3]`: pixels, normalised per patch if `norm_pix_loss`.
#[must_use]
pub fn mim_target(image: Tensor<4>, patch: usize, norm_pix_loss: bool) -> Tensor<3> {
    let patches = patchify(image, patch);
    if !norm_pix_loss {
        return patches;
    }
    let (mean, deviation) = patch_moments(patches.clone());
    (patches - mean) / deviation
}

/// The fixed 2-D sine-cosine table with a class row of zeros, `[1, 1 + grid², width]`: the first half of the channels
/// from the column index, the second half from the row index; each half is [sin, cos] of pos · 10000^(-2i/half).
pub(crate) fn sin_cos_positions(width: usize, grid: usize, device: &Device) -> Tensor<3> {
    let half = width / 2;
    let axis = |position: usize, channel: usize| {
        let i = channel % (half / 2);
        let angle = position as f64 / 10_000_f64.powf(2.0 * i as f64 / half as f64);
        (if channel < half / 2 { angle.sin() } else { angle.cos() }) as f32
    };
    let mut table = vec![0.0_f32; width];
    for row in 0..grid {
        for column in 0..grid {
            table.extend((0..half).map(|channel| axis(column, channel)));
            table.extend((0..half).map(|channel| axis(row, channel)));
        }
    }
    Tensor::from_data(TensorData::new(table, [1, 1 + grid * grid, width]), device)
}

/// The decoder that turns an image state of the fusion into pixels.
#[derive(Module, Debug)]
pub struct MimHead {
    /// Stands for every removed patch, `[1, 1, d]`.
    pub mask_token: Param<Tensor<3>>,
    /// Fixed positions, `[1, 1+N, d]`; stored, not trained.
    pub decoder_pos_embed: Param<Tensor<3>>,
    /// `D -> d`.
    pub decoder_embed: Linear,
    /// CLIP-style pre-norm blocks.
    pub decoder: ClipTransformer,
    /// Norm after the blocks.
    pub decoder_norm: LayerNorm,
    /// `d -> P·P·3`.
    pub decoder_pred: Linear,
}

impl MimConfig {
    /// A decoder for `grid`² patches of side `patch`, reading states of width `input`.
    pub(crate) fn init(&self, input: usize, grid: usize, patch: usize, init: &Init, device: &Device) -> MimHead {
        // The table carries no gradient: it is created off the autodiff device's graph and frozen.
        let positions = Param::from_tensor(sin_cos_positions(self.width, grid, device)).set_require_grad(false);
        MimHead {
            mask_token: init.parameter([1, 1, self.width], device),
            decoder_pos_embed: positions,
            decoder_embed: init.linear(input, self.width, device),
            decoder: ClipTransformer::new(
                self.width,
                self.heads,
                self.layers,
                &BlockInit::fresh(self.width, init),
                device,
            ),
            decoder_norm: LayerNorm::new(self.width, NORM_EPSILON, device),
            decoder_pred: init.linear(self.width, patch * patch * 3, device),
        }
    }
}

impl MimHead {
    /// `[B, 1+K, D]` and `ids_restore` `[B, N]` -> predicted patches `[B, N, P·P·3]`.
    pub fn forward(&self, image_state: Tensor<3>, ids_restore: Tensor<2, Int>, precision: Precision) -> Tensor<3> {
        let x = linear(image_state, &self.decoder_embed, precision); // [B, 1+K, d]
        let [batch, visible, width] = x.dims();
        let [_, patches] = ids_restore.dims();
        let removed = patches + 1 - visible;
        let class = x.clone().narrow(1, 0, 1);
        let kept = x.narrow(1, 1, visible - 1);
        let shuffled = match removed {
            0 => kept,
            _ => Tensor::cat(vec![kept, self.mask_token.val().expand([batch, removed, width])], 1),
        };
        let all = take_rows(shuffled, ids_restore); // [B, N, d], in image order
        let x = Tensor::cat(vec![class, all], 1) + self.decoder_pos_embed.val();
        let x = self.decoder_norm.forward(self.decoder.forward(x, precision));
        linear(x.narrow(1, 1, patches), &self.decoder_pred, precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpatchify_inverts_patchify() {
        let device = Device::default();
        let image = Tensor::<1, Int>::arange(0..2 * 3 * 8 * 8, &device).float().reshape([2, 3, 8, 8]);
        let patches = patchify(image.clone(), 4);
        assert_eq!(patches.dims(), [2, 4, 48]);
        // Second value of the first patch: same pixel, next channel.
        assert_eq!(patches.clone().narrow(2, 1, 1).narrow(1, 0, 1).narrow(0, 0, 1).into_scalar::<f32>(), 64.0);
        unpatchify(patches, 4).into_data().assert_eq(&image.into_data(), true);
    }

    #[test]
    #[should_panic(expected = "images of 8x6 pixels cannot be cut into patches of 4x4")]
    fn patches_that_leave_a_rest_are_refused() {
        let _ = patchify(Tensor::zeros([1, 3, 8, 6], &Device::default()), 4);
    }

    #[test]
    #[should_panic(expected = "5 patches do not make a square image")]
    fn patches_that_make_no_square_are_refused() {
        let _ = unpatchify(Tensor::zeros([1, 5, 48], &Device::default()), 4);
    }

    #[test]
    #[should_panic(expected = "patches of 47 values are no patches of 4x4 pixels")]
    fn patches_of_another_size_are_refused() {
        let _ = unpatchify(Tensor::zeros([1, 4, 47], &Device::default()), 4);
    }

    #[test]
    fn targets_have_zero_mean_and_unit_unbiased_variance() {
        let device = Device::default();
        let image = Tensor::<4>::random([2, 3, 8, 8], burn::tensor::Distribution::Default, &device);
        let (mean, deviation) = patch_moments(mim_target(image, 4, true));
        assert!(mean.abs().max().into_scalar::<f32>() < 1e-5);
        assert!((deviation - 1.0).abs().max().into_scalar::<f32>() < 1e-3);
    }

    #[test]
    fn positions_start_with_a_zero_class_row_and_use_columns_first() {
        let table = sin_cos_positions(8, 2, &Device::default()).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(&table[..8], &[0.0; 8]);
        // Patch (row 0, column 1): column half is sin/cos of 1, row half of 0.
        let patch = &table[16..24];
        let expected = [1_f32.sin(), 0.01_f32.sin(), 1_f32.cos(), 0.01_f32.cos(), 0.0, 0.0, 1.0, 1.0];
        assert!(patch.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{patch:?}");
    }

    #[test]
    fn an_image_of_which_no_patch_is_removed_is_decoded_too() {
        let device = Device::default();
        let head = MimConfig::new().with_width(16).with_layers(1).with_heads(2);
        let head = head.init(6, 2, 2, &Init::normal(0.02), &device);
        let restore = Tensor::<2, Int>::from_data([[3, 1, 0, 2]], &device);
        let patches = head.forward(Tensor::ones([1, 5, 6], &device), restore, Precision::F32);
        assert_eq!(patches.dims(), [1, 4, 12]);
    }
}
