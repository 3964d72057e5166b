//! RandAugment(2, 9): two operations out of sixteen, drawn with replacement, each with 9/30 of its range.
//!
//! The reference's `clip_randaug` applies them to the RGB image (alpha dropped) at its own size, before the CLIP
//! transform. The specification names RandAugment(2, 9) and no ranges. **Our reading**, from RandAugment's widely used
//! PyTorch form:
//!
//! | operation | range | at 9 of 30 |
//! |---|---|---|
//! | AutoContrast, Equalize, Invert | none | |
//! | Rotate | 0–30°, either way | 9° |
//! | Posterize | 0–4 bits kept, at least 1 | 1 bit |
//! | Solarize | threshold 0–256 | 76.8 |
//! | SolarizeAdd | 0–110, threshold 128 | 33 |
//! | Color, Contrast, Brightness, Sharpness | factor 0.1–1.9 | 0.64 |
//! | ShearX, ShearY | 0–0.3, either way | 0.09 |
//! | CutoutAbs | 0–40 pixels, anywhere, colour (125, 123, 114) | 12 |
//! | TranslateXRel, TranslateYRel | 0–0.33 of the side, either way | 0.099 |
//!
//! So low a magnitude posterises to one bit and inverts most of a solarised image: that is how this form of RandAugment
//! counts, and not what its name suggests. Pixels agree with Pillow's 8-bit operations; the random numbers are ours.

use m3ae_random::Generator;

use super::pixels::Rgb;
use crate::{Image, Layout};

/// Operations per image.
const COUNT: usize = 2;
/// The cut-out's colour.
const CUTOUT: [u8; 3] = [125, 123, 114];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Color,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    CutoutAbs,
    TranslateXRel,
    TranslateYRel,
}

const OPERATIONS: [Operation; 16] = [
    Operation::AutoContrast,
    Operation::Equalize,
    Operation::Invert,
    Operation::Rotate,
    Operation::Posterize,
    Operation::Solarize,
    Operation::SolarizeAdd,
    Operation::Color,
    Operation::Contrast,
    Operation::Brightness,
    Operation::Sharpness,
    Operation::ShearX,
    Operation::ShearY,
    Operation::CutoutAbs,
    Operation::TranslateXRel,
    Operation::TranslateYRel,
];

/// The image after two random operations: of the same size, opaque.
pub(super) fn apply(image: &Image, generator: &mut Generator) -> Image {
    let pixels = image.to_rgb().as_chunks().0.to_vec();
    let mut rgb = Rgb { width: image.width(), height: image.height(), pixels };
    for _ in 0..COUNT {
        OPERATIONS[generator.below(OPERATIONS.len())].apply(&mut rgb, generator);
    }
    // The size is the image's own: there is always such an image.
    Image::new(rgb.width, rgb.height, Layout::Rgb, rgb.pixels.into_flattened()).unwrap_or_else(|| image.clone())
}

impl Operation {
    fn apply(self, image: &mut Rgb, generator: &mut Generator) {
        let (width, height) = (image.width, image.height);
        // Either way: all operations that have a direction draw it first.
        let mut signed = |value: f64| if generator.chance(0.5) { -value } else { value };
        match self {
            Self::AutoContrast => image.auto_contrast(),
            Self::Equalize => image.equalize(),
            Self::Invert => image.invert(),
            Self::Rotate => image.rotate(signed(9.0)),
            Self::Posterize => image.posterize(1),
            Self::Solarize => image.solarize(76.8),
            Self::SolarizeAdd => image.solarize_add(33),
            Self::Color => image.color(0.64),
            Self::Contrast => image.contrast(0.64),
            Self::Brightness => image.brightness(0.64),
            Self::Sharpness => image.sharpness(0.64),
            Self::ShearX => image.affine([1.0, signed(0.09), 0.0, 0.0, 1.0, 0.0]),
            Self::ShearY => image.affine([1.0, 0.0, 0.0, signed(0.09), 1.0, 0.0]),
            Self::CutoutAbs => {
                const SIDE: usize = 12;
                // Its centre is anywhere in the image; what would begin outside begins at the border instead.
                let left = generator.below(width).saturating_sub(SIDE / 2);
                let top = generator.below(height).saturating_sub(SIDE / 2);
                image.rectangle((left, top), (left + SIDE, top + SIDE), CUTOUT);
            }
            Self::TranslateXRel => image.affine([1.0, 0.0, signed(0.099) * width as f64, 0.0, 1.0, 0.0]),
            Self::TranslateYRel => image.affine([1.0, 0.0, 0.0, 0.0, 1.0, signed(0.099) * height as f64]),
        }
    }
}

#[cfg(test)]
mod tests {
    use m3ae_random::{Key, Stream};

    use super::*;

    fn generator(seed: u64) -> Generator {
        Key { seed, epoch: 0, sample: "a", stream: Stream::Augmentation }.generator()
    }

    fn colours(width: usize, height: usize) -> Image {
        let bytes = (0..width * height * 3).map(|i| (i * 37 % 251) as u8).collect();
        Image::new(width, height, Layout::Rgb, bytes).unwrap()
    }

    #[test]
    fn every_operation_keeps_the_size_of_every_shape() {
        for (width, height) in [(1, 1), (1, 40), (40, 1), (2, 3), (31, 17)] {
            let image = colours(width, height);
            for operation in OPERATIONS {
                let pixels = image.bytes().as_chunks().0.to_vec();
                let mut rgb = Rgb { width, height, pixels };
                operation.apply(&mut rgb, &mut generator(5));
                assert_eq!((rgb.width, rgb.height, rgb.pixels.len()), (width, height, width * height), "{operation:?}");
            }
        }
    }

    #[test]
    fn every_operation_changes_a_picture_and_all_are_drawn() {
        let image = colours(64, 48);
        for operation in OPERATIONS {
            let pixels: Vec<[u8; 3]> = image.bytes().as_chunks().0.to_vec();
            // A picture that does not span all values yet, so that stretching them shows.
            let dull: Vec<[u8; 3]> = pixels.iter().map(|pixel| pixel.map(|value| 40 + value / 4)).collect();
            let mut rgb = Rgb { width: 64, height: 48, pixels: dull.clone() };
            operation.apply(&mut rgb, &mut generator(1));
            assert_ne!(rgb.pixels, dull, "{operation:?}");
        }
        let results: std::collections::BTreeSet<Vec<u8>> =
            (0..300).map(|seed| apply(&image, &mut generator(seed)).bytes().to_vec()).collect();
        assert!(results.len() > 100, "{}", results.len());
    }

    #[test]
    fn equal_generators_give_equal_images_without_alpha() {
        let image = Image::new(9, 5, Layout::Rgba, (0..180).collect()).unwrap();
        let changed = apply(&image, &mut generator(8));
        assert_eq!(changed, apply(&image, &mut generator(8)));
        assert_eq!((changed.width(), changed.height(), changed.layout()), (9, 5, Layout::Rgb));
    }
}
