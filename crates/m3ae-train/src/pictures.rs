//! What a reconstruction looks like, as a PNG: a row per image; original, what the model saw, what it made of it.

use std::path::Path;

use burn::prelude::*;
use image::{Rgb, RgbImage, imageops};
use m3ae_data::{MEAN, STD};
use m3ae_model::{M3ae, patch_moments, patchify, unpatchify};

use crate::error::TrainError;
use crate::objectives::PretrainBatch;

/// Gap between pictures, in pixels.
const GAP: u32 = 4;
/// Small images are enlarged to at least this side, in pixels.
const LEAST_SIDE: u32 = 160;

/// `[rows, 3, S, S]` of CLIP-normalised pixels.
struct Column(Vec<f32>);

/// Draws the first `rows` images of a batch, with the patches that were predicted for it (`[B, N, P·P·3]`).
///
/// The third picture shows the prediction where patches were removed and the original where they were visible. Where the
/// model predicts patches normalised by their own mean and deviation, these two numbers are taken from the original, as
/// is usual for masked auto-encoders: the picture then shows only the structure within patches to be the model's.
///
/// # Errors
/// The device cannot be read or the file not written.
pub fn draw_reconstructions(
    model: &M3ae,
    batch: &PretrainBatch,
    predicted: Tensor<3>,
    rows: usize,
    path: &Path,
) -> Result<(), TrainError> {
    let patch = model.patch_size();
    let [batch_size, _, side, _] = batch.image.dims();
    let rows = rows.min(batch_size);
    let first = |x: Tensor<3>| x.narrow(0, 0, rows);

    let original = first(patchify(batch.image.clone(), patch)); // [rows, N, P·P·3]
    let [_, patches, _] = original.dims();
    let removed = batch.visible.mask.clone().narrow(0, 0, rows).reshape([rows, patches, 1]);
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
    let place = |index: usize| GAP + index as u32 * (shown + GAP);
    let mut sheet = RgbImage::from_pixel(place(columns.len()), place(rows), Rgb([255, 255, 255]));
    for (c, column) in columns.iter().enumerate() {
        for row in 0..rows {
            let picture = imageops::resize(&column.picture(row, side), shown, shown, imageops::FilterType::Nearest);
            imageops::replace(&mut sheet, &picture, place(c).into(), place(row).into());
        }
    }
    sheet.save(path).map_err(|source| TrainError::Picture { path: path.to_owned(), source })
}

impl Column {
    /// Image number `row` in 8 bits.
    fn picture(&self, row: usize, side: u32) -> RgbImage {
        let plane = (side * side) as usize;
        RgbImage::from_fn(side, side, |x, y| {
            Rgb([0, 1, 2].map(|channel| {
                let value = self.0[(row * 3 + channel) * plane + (y * side + x) as usize];
                ((value * STD[channel] + MEAN[channel]) * 255.0).round() as u8 // Saturates.
            }))
        })
    }
}
