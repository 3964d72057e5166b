//! Text-to-image attention of the last fusion layer, as numbers and as a heat map.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage, imageops};
use m3ae_image::Crop;
use m3ae_model::FusionRequest;

use crate::error::ModelError;
use crate::model::{EncodedImages, Model};

/// How much a text's tokens attend to each patch of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMap {
    /// Patches per side.
    pub grid: usize,
    /// A weight per patch, row by row from the top, `[grid · grid]`: the mean over heads and over the text's tokens
    /// (without start and end). The weight of the class token is not included, so the sum is less than 1.
    pub weights: Vec<f32>,
}

impl Model {
    /// The last fusion layer's text-to-image attention for each pair of an image's index and a text.
    ///
    /// Attention shows which patches contributed, not why an answer was given.
    ///
    /// # Errors
    /// A text is empty, there is no such image, the image's tokens do not form a square grid, or a weight is not
    /// finite.
    pub fn attention(&self, images: &EncodedImages, pairs: &[(usize, &str)]) -> Result<Vec<AttentionMap>, ModelError> {
        let mut maps = Vec::with_capacity(pairs.len());
        for &(image, text) in pairs {
            // One pair at a time, because the maps of all layers are large.
            let ids = self.tokens(text)?.ids;
            let length = ids.len();
            let input = self.fusion_input(images, &[image], &[ids])?;
            let mut fused = self.network.fuse(input, FusionRequest::new().attention());
            let last = fused.attention.pop().and_then(|maps| maps.text_to_image).ok_or(ModelError::NoGrid)?;
            let [_, heads, _, tokens] = last.dims();
            // A text of start and end token alone keeps both.
            let (first, count) = if length > 2 { (1, length - 2) } else { (0, length) };
            let mean = last.narrow(2, first, count).reshape([heads * count, tokens]).mean_dim(0); // [1, 1+N]
            let weights: Vec<f32> = mean.try_into_vec_as()?;
            let class = usize::from(self.config.vision.class_token());
            let weights = weights[class.min(weights.len())..].to_vec();
            if weights.iter().any(|weight| !weight.is_finite()) {
                return Err(ModelError::NotFinite { what: "attention" });
            }
            let grid = weights.len().isqrt();
            if grid * grid != weights.len() || grid == 0 {
                return Err(ModelError::NoGrid);
            }
            maps.push(AttentionMap { grid, weights });
        }
        Ok(maps)
    }
}

/// Least side of a picture in pixels. Small images are enlarged by a whole factor.
const SHOWN: u32 = 224;
/// Opacity of the heat map at the largest weight.
const OPACITY: f32 = 0.6;

/// An image as the model saw it, as a PNG file. With `map`, a heat map covers it: transparent for the smallest weight,
/// then orange, then yellow for the largest.
///
/// # Errors
/// Encoding fails.
pub fn draw(crop: &Crop, map: Option<&AttentionMap>) -> Result<Vec<u8>, ModelError> {
    let picture = enlarged(crop);
    let picture = match map {
        Some(map) => overlaid(&picture, map),
        None => picture,
    };
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}

fn enlarged(crop: &Crop) -> RgbImage {
    let plane = crop.bytes().len() / 3;
    let side = plane.isqrt();
    let pixel = |x: u32, y: u32| {
        let place = y as usize * side + x as usize;
        Rgb([0, 1, 2].map(|channel| crop.bytes()[channel * plane + place]))
    };
    let picture = RgbImage::from_fn(side as u32, side as u32, pixel);
    let factor = SHOWN.div_ceil(side.max(1) as u32);
    let shown = side as u32 * factor;
    if factor == 1 { picture } else { imageops::resize(&picture, shown, shown, imageops::FilterType::Nearest) }
}

fn overlaid(picture: &RgbImage, map: &AttentionMap) -> RgbImage {
    let (low, high) = map.weights.iter().fold((f32::MAX, f32::MIN), |(low, high), &w| (low.min(w), high.max(w)));
    let range = (high - low).max(f32::MIN_POSITIVE);
    let at = |row: usize, column: usize| (map.weights[row * map.grid + column] - low) / range;
    let place = |pixel: u32, side: u32| {
        // Patch centres carry the weights; between them they are interpolated.
        let along = ((pixel as f32 + 0.5) * map.grid as f32 / side as f32 - 0.5).clamp(0.0, map.grid as f32 - 1.0);
        (along as usize, (along as usize + 1).min(map.grid - 1), along.fract())
    };
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let ((left, right, dx), (top, bottom, dy)) = (place(x, picture.width()), place(y, picture.height()));
        let blend = |a: f32, b: f32, share: f32| a + (b - a) * share;
        let heat = blend(blend(at(top, left), at(top, right), dx), blend(at(bottom, left), at(bottom, right), dx), dy);
        // Vermilion and yellow of the colour-blind safe palette of Okabe and Ito.
        let colour = [blend(213.0, 240.0, heat), blend(94.0, 228.0, heat), blend(0.0, 66.0, heat)];
        let Rgb(under) = *picture.get_pixel(x, y);
        let opacity = OPACITY * heat;
        Rgb([0, 1, 2].map(|channel| blend(f32::from(under[channel]), colour[channel], opacity).round() as u8))
    })
}

#[cfg(test)]
mod tests {
    use m3ae_image::{ClipTransform, Image, Layout};

    use super::*;

    #[test]
    fn the_warmest_place_of_the_picture_is_the_largest_weight_and_the_coldest_is_the_image() {
        let image = Image::new(8, 8, Layout::Grey, vec![40; 64]).unwrap();
        let crop = ClipTransform::new(8).unwrap().crop(&image);
        let map = AttentionMap { grid: 2, weights: vec![0.1, 0.1, 0.1, 0.4] };
        let png = draw(&crop, Some(&map)).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!((picture.width(), picture.height()), (224, 224));
        assert_eq!(picture.get_pixel(0, 0).0, [40, 40, 40]);
        let warm = picture.get_pixel(223, 223).0;
        assert!(warm[0] > 150 && warm[0] > warm[2], "{warm:?}");
        let plain = image::load_from_memory(&draw(&crop, None).unwrap()).unwrap().into_rgb8();
        assert!(plain.pixels().all(|pixel| pixel.0 == [40, 40, 40]));
    }

    #[test]
    fn equal_weights_leave_the_image_as_it_is() {
        let image = Image::new(8, 8, Layout::Grey, vec![7; 64]).unwrap();
        let crop = ClipTransform::new(8).unwrap().crop(&image);
        let map = AttentionMap { grid: 2, weights: vec![0.25; 4] };
        assert_eq!(draw(&crop, Some(&map)).unwrap(), draw(&crop, None).unwrap());
    }
}
