//! The known truth of one image: [`Truth`]. It is drawn in [`sampling`](crate::sampling).

use m3ae_random::{Generator, Key, Stream};
use serde::{Deserialize, Serialize};

use crate::finding::{Density, FindingKind, Region, Side, Size, Study};

/// The share of images without a finding.
pub const NORMAL_SHARE: f32 = 0.2;

/// Everything there is to know about one image. [`render`](crate::render), [`captions`](crate::captions) and
/// [`questions`](crate::questions) are functions of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The image's name without extension, unique in a data set.
    pub id: String,
    /// The seed of the data set.
    pub seed: u64,
    /// What was imaged.
    pub study: Study,
    /// What is abnormal; `None` where the image is normal.
    pub finding: Option<Finding>,
    /// The patient and the exposure.
    pub anatomy: Anatomy,
}

/// What is abnormal, and where. Positions are in the patient's frame: millimetres of an average patient, origin at the
/// centre of the organs' drawing, x to the image's right (the patient's left), y down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The patient's side; `None` for a finding of the midline.
    pub side: Option<Side>,
    /// The part of the organ; `None` where the organ is not divided.
    pub region: Option<Region>,
    /// How large, in words.
    pub size: Size,
    /// How large, in true millimetres; [`FindingKind`] says which measure it is.
    pub extent: f32,
    /// Brighter or darker than the tissue around it; `None` for an enlarged organ.
    pub density: Option<Density>,
    /// Its centre in the patient's frame, in millimetres.
    pub centre: [f32; 2],
    /// Width over height of a round finding before it is turned, 0.85..1.18.
    pub aspect: f32,
    /// The tangent of half the angle by which it is turned.
    pub turn: f32,
    /// How far its outline departs from an ellipse: relative amplitudes of the second and third harmonic, -0.1..0.1.
    pub lobes: [f32; 2],
}

/// How this patient and this exposure differ from the average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anatomy {
    /// Size of the patient relative to the average.
    pub scale: f32,
    /// Offset of the patient's centre from the image's, in millimetres.
    pub offset: [f32; 2],
    /// The tangent of half the angle by which the patient is turned, clockwise where positive. Sine and cosine follow
    /// from it by exact arithmetic, so that an image has the same pixels on every machine.
    pub tilt: f32,
    /// Four deviations of organs from their average, each in -1..1; which ones is said where each study is drawn.
    pub build: [f32; 4],
    /// Grey levels added everywhere, as a fraction of the full range.
    pub brightness: f32,
    /// Factor on the distance from mid-grey.
    pub contrast: f32,
    /// Standard deviation of the noise, as a fraction of the full range.
    pub noise: f32,
}

impl Truth {
    /// The generator of one purpose of this image, such as its noise.
    pub(crate) fn generator(&self, purpose: &str) -> Generator {
        generator(self.seed, &format!("{}#{purpose}", self.id))
    }
}

pub(crate) fn generator(seed: u64, sample: &str) -> Generator {
    Key { seed, epoch: 0, sample, stream: Stream::Phantom }.generator()
}

/// One of `items`, which are not empty.
pub(crate) fn pick<T: Copy>(generator: &mut Generator, items: &[T]) -> T {
    items[generator.below(items.len())]
}
