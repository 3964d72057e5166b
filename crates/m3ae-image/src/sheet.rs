//! Pictures of what a model saw, side by side.

use image::{Rgb, RgbImage, imageops};

use crate::transform::{MEAN, STD};

/// Gap between pictures, in pixels.
const GAP: u32 = 4;
/// Gap between the two groups of a row, in pixels.
const GROUP_GAP: u32 = 16;
/// Small pictures are enlarged by a whole factor, to at least this side in pixels.
const LEAST_SIDE: u32 = 160;

/// Draws `columns` of pictures of `side` × `side` pixels: one group per image, with a picture from each column, and two
/// groups to a row. Each column has `[n, 3, side, side]` values, normalised as [`ClipTransform`](crate::ClipTransform)
/// does it; as many images are drawn as the shortest column has.
#[must_use]
pub fn side_by_side(columns: &[Vec<f32>], side: usize) -> RgbImage {
    let side = side.max(1);
    let values = 3 * side * side;
    let count = columns.iter().map(|column| column.len() / values).min().unwrap_or(0);
    let shown = side as u32 * LEAST_SIDE.div_ceil(side as u32);
    let group = columns.len() as u32 * (shown + GAP) + GROUP_GAP - GAP;
    let (groups, rows) = (count.clamp(1, 2) as u32, count.div_ceil(2) as u32);
    let (width, height) = (2 * GAP + groups * group - GROUP_GAP, GAP + rows * (shown + GAP));
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([255, 255, 255]));
    for index in 0..count {
        let (left, top) = (GAP + (index % 2) as u32 * group, GAP + (index / 2) as u32 * (shown + GAP));
        for (c, column) in columns.iter().enumerate() {
            let picture = picture(&column[index * values..][..values], side);
            let picture = imageops::resize(&picture, shown, shown, imageops::FilterType::Nearest);
            imageops::replace(&mut sheet, &picture, (left + c as u32 * (shown + GAP)).into(), top.into());
        }
    }
    sheet
}

/// An image in 8 bits from its normalised values, `[3, side, side]`.
fn picture(values: &[f32], side: usize) -> RgbImage {
    RgbImage::from_fn(side as u32, side as u32, |x, y| {
        Rgb([0, 1, 2].map(|channel| {
            let value = values[(channel * side + y as usize) * side + x as usize];
            ((value * STD[channel] + MEAN[channel]) * 255.0).round() as u8 // Saturates.
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three images of one colour each, `[3, 3, 2, 2]`.
    fn column(shade: u8) -> Vec<f32> {
        let value = |image: usize, channel: usize| {
            let shade = f32::from(shade) + 10.0 * image as f32;
            (shade / 255.0 - MEAN[channel]) / STD[channel]
        };
        (0..3).flat_map(|image| (0..12).map(move |i| value(image, i / 4))).collect()
    }

    #[test]
    fn each_picture_stands_in_its_column_and_two_images_share_a_row() {
        let sheet = side_by_side(&[column(20), column(120)], 2);
        // Two groups of two pictures of 160 pixels; two rows.
        assert_eq!((sheet.width(), sheet.height()), (2 * (2 * 164 - 4) + 16 + 2 * 4, 4 + 2 * 164));
        let group = 2 * 164 + 12;
        for (image, (x, y)) in [(0, 0), (group, 0), (0, 164)].into_iter().enumerate() {
            for (column, shade) in [20, 120].into_iter().enumerate() {
                let pixel = sheet.get_pixel(4 + x + 164 * column as u32, 4 + y).0;
                assert_eq!(pixel, [shade + 10 * image as u8; 3], "image {image}, column {column}");
            }
        }
        assert_eq!(sheet.get_pixel(0, 0).0, [255; 3]);
    }

    #[test]
    fn nothing_to_draw_is_an_empty_sheet() {
        assert_eq!(side_by_side(&[], 0).height(), 4);
        assert_eq!(side_by_side(&[vec![0.0; 5]], 2).height(), 4);
    }
}
