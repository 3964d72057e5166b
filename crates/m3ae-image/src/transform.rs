//! The image transform of CLIP: what the vision encoder sees.

use std::ops::Range;

use m3ae_random::Generator;
use serde::{Deserialize, Serialize};

use crate::{
    Image, Layout, TransformError,
    resample::{premultiply, resample, unpremultiply},
};

mod pixels;
mod rand_augment;
mod resized_crop;

/// CLIP's mean of red, green and blue, of values in `[0, 1]`.
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// CLIP's standard deviation of red, green and blue.
pub const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Sides above are refused.
const MAX_SIDE: usize = 4096;

/// The normalised value of each byte, for each colour.
const NORMALISED: [[f32; 256]; 3] = {
    let mut table = [[0.0; 256]; 3];
    let mut colour = 0;
    while colour < 3 {
        let mut byte = 0;
        while byte < 256 {
            table[colour][byte] = (byte as f32 / 255.0 - MEAN[colour]) / STD[colour];
            byte += 1;
        }
        colour += 1;
    }
    table
};

/// How an image becomes S×S pixels. All end with the same resampling and normalisation; the random ones are for
/// training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transform {
    /// CLIP's own: shorter side to S, the middle S×S. Draws nothing.
    #[default]
    #[serde(rename = "clip")]
    Clip,
    /// A random part of 0.9 to 1.0 of the area and 3:4 to 4:3 in shape, resampled to S×S without keeping its shape.
    #[serde(rename = "clip_resizedcrop")]
    ResizedCrop,
    /// Two random changes of colour or geometry (RandAugment of magnitude 9 of 30), then [`Clip`](Transform::Clip).
    #[serde(rename = "clip_randaug")]
    RandAugment,
}

impl Transform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clip, Self::ResizedCrop, Self::RandAugment];

    /// The reference's name, which configurations use too.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::ResizedCrop => "clip_resizedcrop",
            Self::RandAugment => "clip_randaug",
        }
    }

    /// Whether the result depends on the generator.
    #[must_use]
    pub fn is_random(self) -> bool {
        self != Self::Clip
    }

    /// The image at the side of `clip`, before normalisation. All randomness comes from `generator`; equal generators
    /// give equal crops.
    #[must_use]
    pub fn crop(self, clip: &ClipTransform, image: &Image, generator: &mut Generator) -> Crop {
        match self {
            Self::Clip => clip.crop(image),
            Self::ResizedCrop => {
                let part = resized_crop::draw((image.width(), image.height()), generator);
                clip.stretch(&image.part(part.columns, part.rows))
            }
            Self::RandAugment => clip.crop(&rand_augment::apply(image, generator)),
        }
    }
}

impl std::str::FromStr for Transform {
    type Err = TransformError;

    fn from_str(name: &str) -> Result<Self, TransformError> {
        let found = Self::ALL.into_iter().find(|transform| transform.name() == name);
        found.ok_or_else(|| TransformError::Name { name: name.to_owned() })
    }
}

impl std::fmt::Display for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// CLIP's transform: shorter side to S (bicubic, as Pillow), the middle S×S, RGB, normalised by mean and deviation.
///
/// Transparency works as in the reference: the resize weighs colours by alpha, then alpha is dropped, so that
/// transparent pixels show their colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipTransform {
    side: usize,
}

/// A transformed image before normalisation: `[3, S, S]` bytes, a quarter of what the numbers take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crop {
    bytes: Box<[u8]>,
}

impl Crop {
    /// Red, green and blue plane, `[3, S, S]`.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The normalised values, `[3, S, S]`, appended to `out`.
    pub fn normalise_into(&self, out: &mut Vec<f32>) {
        for (plane, table) in self.bytes.chunks_exact(self.bytes.len() / 3).zip(&NORMALISED) {
            out.extend(plane.iter().map(|&byte| table[usize::from(byte)]));
        }
    }
}

impl ClipTransform {
    /// The transform to `side` × `side` pixels.
    ///
    /// # Errors
    /// When `side` is 0 or above 4096.
    pub fn new(side: usize) -> Result<Self, TransformError> {
        if (1..=MAX_SIDE).contains(&side) {
            Ok(Self { side })
        } else {
            Err(TransformError::Side { side, largest: MAX_SIDE })
        }
    }

    /// Pixels along one side of the result.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// The whole transform: `[3, S, S]`.
    #[must_use]
    pub fn apply(&self, image: &Image) -> Vec<f32> {
        let mut out = Vec::with_capacity(3 * self.side * self.side);
        self.crop(image).normalise_into(&mut out);
        out
    }

    /// The transform up to normalisation.
    #[must_use]
    pub fn crop(&self, image: &Image) -> Crop {
        self.resample(image, self.resized((image.width(), image.height())))
    }

    /// The whole image at S×S, whatever its shape.
    fn stretch(&self, image: &Image) -> Crop {
        self.resample(image, (self.side, self.side))
    }

    /// The image at size `to`, and its middle.
    fn resample(&self, image: &Image, to: (usize, usize)) -> Crop {
        let bytes = image.bytes();
        // Opaque and colourless images, most of radiology, need not pay for channels that repeat.
        match image.layout() {
            Layout::Grey => self.planes(image, to, pixels::<1>(bytes)),
            Layout::Rgb => self.rgb(image, to, pixels::<3>(bytes)),
            Layout::GreyAlpha => match opaque(pixels::<2>(bytes), |p| [p[0]]) {
                Some(grey) => self.planes(image, to, &grey),
                None => self.planes(image, to, pixels::<2>(bytes)),
            },
            Layout::Rgba => match opaque(pixels::<4>(bytes), |p| [p[0], p[1], p[2]]) {
                Some(rgb) => self.rgb(image, to, &rgb),
                None => self.planes(image, to, pixels::<4>(bytes)),
            },
        }
    }

    fn rgb(&self, image: &Image, to: (usize, usize), pixels: &[[u8; 3]]) -> Crop {
        if pixels.iter().all(|[red, green, blue]| red == green && green == blue) {
            let grey: Vec<[u8; 1]> = pixels.iter().map(|pixel| [pixel[0]]).collect();
            self.planes(image, to, &grey)
        } else {
            self.planes(image, to, pixels)
        }
    }

    /// Resizes, crops, and lays the colours out one after the other. With 2 or 4 channels the last is alpha.
    fn planes<const N: usize>(&self, image: &Image, to: (usize, usize), pixels: &[[u8; N]]) -> Crop {
        let from = (image.width(), image.height());
        let (columns, rows) = (self.middle(to.0), self.middle(to.1));
        let cropped: Vec<[u8; N]> = if from == to {
            // Not even the rounding of alpha happens to an image of the right size.
            let rows = pixels.chunks_exact(from.0).skip(rows.start).take(rows.len());
            rows.flat_map(|row| &row[columns.clone()]).copied().collect()
        } else if N.is_multiple_of(2) {
            let mut weighed = pixels.to_vec();
            premultiply(&mut weighed);
            let mut cropped = resample(&weighed, from, to, columns, rows);
            unpremultiply(&mut cropped);
            cropped
        } else {
            resample(pixels, from, to, columns, rows)
        };
        let plane = |channel: usize| cropped.iter().map(move |pixel| pixel[channel]);
        let bytes = match N {
            // One colour, with or without alpha: the same plane three times.
            1 | 2 => plane(0).chain(plane(0)).chain(plane(0)).collect(),
            _ => plane(0).chain(plane(1)).chain(plane(2)).collect(),
        };
        Crop { bytes }
    }

    /// Width and height after the resize: the longer side is cut to whole pixels, as torchvision does.
    fn resized(&self, (width, height): (usize, usize)) -> (usize, usize) {
        if width <= height { (self.side, self.side * height / width) } else { (self.side * width / height, self.side) }
    }

    /// The middle of a line of `length` pixels. An odd rest is halved to the even number, as Python's `round` does.
    fn middle(&self, length: usize) -> Range<usize> {
        let rest = length - self.side;
        let start = if rest % 4 == 3 { rest / 2 + 1 } else { rest / 2 };
        start..start + self.side
    }
}

/// Bytes as pixels.
fn pixels<const N: usize>(bytes: &[u8]) -> &[[u8; N]] {
    bytes.as_chunks().0
}

/// Opaque pixels without their alpha, the last channel; `None` where one is not opaque.
fn opaque<const N: usize, const M: usize>(
    pixels: &[[u8; N]],
    colours: fn(&[u8; N]) -> [u8; M],
) -> Option<Vec<[u8; M]>> {
    pixels.iter().all(|pixel| pixel[N - 1] == 255).then(|| pixels.iter().map(colours).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(side: usize) -> ClipTransform {
        ClipTransform::new(side).unwrap()
    }

    #[test]
    fn sizes_are_torchvisions() {
        // int(64 · 421 / 250) = 107.
        assert_eq!(transform(64).resized((421, 250)), (107, 64));
        assert_eq!(transform(64).resized((250, 421)), (64, 107));
        assert_eq!(transform(64).resized((9, 9)), (64, 64));
        // round(0.5) = 0, round(1.5) = 2, round(2.5) = 2, round(3.5) = 4.
        let starts = [64, 65, 66, 67, 68, 69, 70, 71].map(|length| transform(64).middle(length).start);
        assert_eq!(starts, [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn channels_that_repeat_change_nothing() {
        let grey: Vec<u8> = (0..23 * 17).map(|i| (i * 31 % 256) as u8).collect();
        let expected = transform(11).crop(&Image::new(23, 17, Layout::Grey, grey.clone()).unwrap());
        let spread = |pixel: fn(u8) -> Vec<u8>| grey.iter().flat_map(|&v| pixel(v)).collect::<Vec<u8>>();
        for (layout, bytes) in [
            (Layout::GreyAlpha, spread(|v| vec![v, 255])),
            (Layout::Rgb, spread(|v| vec![v, v, v])),
            (Layout::Rgba, spread(|v| vec![v, v, v, 255])),
        ] {
            assert_eq!(transform(11).crop(&Image::new(23, 17, layout, bytes).unwrap()), expected, "{layout:?}");
        }
    }

    #[test]
    fn an_image_of_the_right_size_keeps_its_transparent_colours() {
        let image = Image::new(2, 2, Layout::Rgba, [[10, 20, 30, 0]; 4].concat()).unwrap();
        assert_eq!(transform(2).crop(&image).bytes(), [10, 10, 10, 10, 20, 20, 20, 20, 30, 30, 30, 30]);
        // Any other size weighs by alpha, and nothing is left.
        assert_eq!(transform(1).crop(&image).bytes(), [0, 0, 0]);
    }

    #[test]
    fn colours_are_normalised_plane_by_plane() {
        let image = Image::new(1, 1, Layout::Rgb, vec![255, 0, 51]).unwrap();
        let expected = [(1.0 - MEAN[0]) / STD[0], -MEAN[1] / STD[1], (0.2 - MEAN[2]) / STD[2]];
        for (value, expected) in transform(1).apply(&image).into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        }
    }

    #[test]
    fn impossible_sides_are_refused() {
        for side in [0, MAX_SIDE + 1, usize::MAX] {
            assert!(ClipTransform::new(side).unwrap_err().to_string().contains("side"));
        }
    }

    #[test]
    fn names_are_the_references_and_others_are_refused() {
        assert!("clip_mixup".parse::<Transform>().unwrap_err().to_string().contains("clip_resizedcrop"));
        for transform in Transform::ALL {
            assert_eq!(transform.name().parse::<Transform>().unwrap(), transform);
            assert_eq!(serde_json::to_string(&transform).unwrap(), format!("{:?}", transform.name()));
        }
    }
}
