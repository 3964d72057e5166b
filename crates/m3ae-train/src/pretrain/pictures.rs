//! What a reconstruction looks like, as a PNG: for each image the original, what the model saw, what it made of it; two images
//! to a row.

use burn::prelude::*;
use burn::tensor::TensorReadError;
use image::{Rgb, RgbImage, imageops};
use m3ae_image::{MEAN, STD};
use m3ae_model::{M3ae, patch_moments, patchify, unpatchify};

/// Gap between pictures, in pixels.
const GAP: u32 = 4;
/// Gap between the two images of a row.
const GROUP_GAP: u32 = 16;
/// Small images are enlarged to at least this side, in pixels.
const LEAST_SIDE: u32 = 160;

/// `[count, 3, S, S]` of CLIP-normalised pixels.
struct Column(Vec<f32>);

/// Draws the first `count` images of a batch, `[B, 3, S, S]`, of which the patches `removed` (`[B, N]`, 1 where one was) were
/// predicted (`[B, N, P·P·3]`).
///
/// The third picture shows the prediction where patches were removed and the original where they were visible. Where the
/// model predicts patches normalised by their own mean and deviation, these two numbers are taken from the original, as
/// is usual for masked auto-encoders: the picture then shows only the structure within patches to be the model's.
///
/// # Errors
/// The device cannot be read.
pub fn draw_reconstructions(
    model: &M3ae,
    image: &Tensor<4>,
    removed: &Tensor<2>,
    predicted: Tensor<3>,
    count: usize,
) -> Result<RgbImage, TensorReadError> {
    let patch = model.patch_size();
    let [batch_size, _, side, _] = image.dims();
    let count = count.min(batch_size);
    let first = |x: Tensor<3>| x.narrow(0, 0, count);

    let original = first(patchify(image.clone(), patch)); // [count, N, P·P·3]
    let [_, patches, _] = original.dims();
    let removed = removed.clone().narrow(0, 0, count).reshape([count, patches, 1]);
    let kept = removed.clone().neg() + 1.0;
    let mut predicted = first(predicted);
    if model.norm_pix_loss() {
        let (mean, deviation) = patch_moments(original.clone());
        predicted = predicted * deviation + mean;
    }
    let seen = original.clone() * kept.clone(); // 0 is mid-grey after CLIP's normalisation.
    let reconstruction = original.clone() * kept + predicted * removed;

    let columns = [original, seen, reconstruction]
        .map(|patches| unpatchify(patches, patch).try_into_vec_as::<f32>())
        .into_iter()
        .map(|pixels| pixels.map(Column))
        .collect::<Result<Vec<_>, _>>()?;

    let side = side as u32;
    let shown = side * LEAST_SIDE.div_ceil(side);
    let group = columns.len() as u32 * (shown + GAP) + GROUP_GAP - GAP;
    let (groups, rows) = (count.clamp(1, 2) as u32, count.div_ceil(2) as u32);
    let (width, height) = (2 * GAP + groups * group - GROUP_GAP, GAP + rows * (shown + GAP));
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([255, 255, 255]));
    for index in 0..count {
        let (left, top) = (GAP + (index % 2) as u32 * group, GAP + (index / 2) as u32 * (shown + GAP));
        for (c, column) in columns.iter().enumerate() {
            let picture = imageops::resize(&column.picture(index, side), shown, shown, imageops::FilterType::Nearest);
            imageops::replace(&mut sheet, &picture, (left + c as u32 * (shown + GAP)).into(), top.into());
        }
    }
    Ok(sheet)
}

impl Column {
    /// Image number `index` in 8 bits.
    fn picture(&self, index: usize, side: u32) -> RgbImage {
        let plane = (side * side) as usize;
        RgbImage::from_fn(side, side, |x, y| {
            Rgb([0, 1, 2].map(|channel| {
                let value = self.0[(index * 3 + channel) * plane + (y * side + x) as usize];
                ((value * STD[channel] + MEAN[channel]) * 255.0).round() as u8 // Saturates.
            }))
        })
    }
}
