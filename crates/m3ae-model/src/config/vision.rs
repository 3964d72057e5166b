//! The vision encoder: CLIP's transformer or Swin.

use burn::config::Config;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::check::{at_least_one, multiples};
use super::swin::{SWIN_STAGES, SwinConfig};
use crate::error::ConfigError;

/// Width of one CLIP attention head; CLIP's head count is always width / 64 (docs/spec.md, section 1.1).
pub const CLIP_HEAD_WIDTH: usize = 64;

/// Which vision encoder a model has, and its sizes.
///
/// In JSON and TOML the sizes stand beside the key `encoder`, which is `clip` or `swin`:
///
/// ```toml
/// [model.vision]
/// encoder = "swin"
/// image_size = 384
/// patch_size = 4
/// width = 128
/// depths = [2, 2, 18, 2]
/// heads = [4, 8, 16, 32]
/// window = 12
/// mlp_ratio = 4
/// ```
///
/// Without the key it is CLIP's. A key of the other encoder is an error.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "encoder", rename_all = "lowercase")]
pub enum VisionConfig {
    /// CLIP's vision transformer.
    Clip(ClipVisionConfig),
    /// Swin: whole images only, so no masked image modelling.
    Swin(SwinConfig),
}

impl From<ClipVisionConfig> for VisionConfig {
    fn from(clip: ClipVisionConfig) -> Self {
        Self::Clip(clip)
    }
}

impl From<SwinConfig> for VisionConfig {
    fn from(swin: SwinConfig) -> Self {
        Self::Swin(swin)
    }
}

impl VisionConfig {
    /// CLIP's sizes, if that is what the model has.
    #[must_use]
    pub fn clip(&self) -> Option<&ClipVisionConfig> {
        match self {
            Self::Clip(clip) => Some(clip),
            Self::Swin(_) => None,
        }
    }

    /// Swin's sizes, if that is what the model has.
    #[must_use]
    pub fn swin(&self) -> Option<&SwinConfig> {
        match self {
            Self::Clip(_) => None,
            Self::Swin(swin) => Some(swin),
        }
    }

    /// Side S, in pixels, of the images that the encoder reads.
    #[must_use]
    pub fn image_size(&self) -> usize {
        match self {
            Self::Clip(clip) => clip.image_size,
            Self::Swin(swin) => swin.image_size,
        }
    }

    /// Side P, in pixels, of the patches into which an image is cut; Swin's are those of its first stage.
    #[must_use]
    pub fn patch_size(&self) -> usize {
        match self {
            Self::Clip(clip) => clip.patch_size,
            Self::Swin(swin) => swin.patch_size,
        }
    }

    /// Patches per side.
    #[must_use]
    pub fn grid(&self) -> usize {
        match self {
            Self::Clip(clip) => clip.grid(),
            Self::Swin(swin) => swin.grid(0),
        }
    }

    /// Patches per image, N = (S / P)².
    #[must_use]
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Width of the tokens that the encoder gives.
    #[must_use]
    pub fn output_width(&self) -> usize {
        match self {
            Self::Clip(clip) => clip.width,
            Self::Swin(swin) => swin.output_width(),
        }
    }

    /// Whether the first token stands for the whole image. Swin has no such token: there the mean over all tokens does.
    #[must_use]
    pub fn class_token(&self) -> bool {
        matches!(self, Self::Clip(_))
    }

    /// The same encoder for images of another side. CLIP's position table then has another number of rows; Swin's
    /// windows follow the side, see [`SwinConfig::at`].
    #[must_use]
    pub fn at(self, image_size: usize) -> Self {
        match self {
            Self::Clip(clip) => Self::Clip(clip.with_image_size(image_size)),
            Self::Swin(swin) => Self::Swin(swin.at(image_size)),
        }
    }

    /// Checks that an encoder can be built.
    ///
    /// # Errors
    /// The first field that is wrong, by its path.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Clip(clip) => clip.validate(),
            Self::Swin(swin) => swin.validate(),
        }
    }
}

/// The keys of both encoders.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    encoder: Encoder,
    image_size: usize,
    patch_size: usize,
    width: usize,
    layers: Option<usize>,
    depths: Option<[usize; SWIN_STAGES]>,
    heads: Option<[usize; SWIN_STAGES]>,
    window: Option<usize>,
    mlp_ratio: Option<usize>,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Encoder {
    #[default]
    Clip,
    Swin,
}

impl<'de> Deserialize<'de> for VisionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A key that the encoder has, or that it must not have.
        fn one<T, E: Error>(key: &'static str, value: Option<T>) -> Result<T, E> {
            value.ok_or_else(|| E::missing_field(key))
        }
        let stored = Stored::deserialize(deserializer)?;
        let Stored { encoder, image_size, patch_size, width, layers, depths, heads, window, mlp_ratio } = stored;
        let foreign = match encoder {
            Encoder::Clip => [
                depths.map(|_| "depths"),
                heads.map(|_| "heads"),
                window.map(|_| "window"),
                mlp_ratio.map(|_| "mlp_ratio"),
            ],
            Encoder::Swin => [layers.map(|_| "layers"), None, None, None],
        };
        if let Some(key) = foreign.into_iter().flatten().next() {
            let (has, lacks) = if encoder == Encoder::Clip { ("Swin", "clip") } else { ("CLIP", "swin") };
            return Err(D::Error::custom(format!("`{key}` is a key of {has}, but encoder is `{lacks}`")));
        }
        Ok(match encoder {
            Encoder::Clip => ClipVisionConfig { image_size, patch_size, width, layers: one("layers", layers)? }.into(),
            Encoder::Swin => SwinConfig {
                image_size,
                patch_size,
                width,
                depths: one("depths", depths)?,
                heads: one("heads", heads)?,
                window: one("window", window)?,
                mlp_ratio: one("mlp_ratio", mlp_ratio)?,
            }
            .into(),
        })
    }
}

/// CLIP's vision transformer (docs/spec.md, section 1.1). Defaults: ViT-B/16 at the pre-training resolution.
#[derive(Config, Debug, PartialEq)]
pub struct ClipVisionConfig {
    /// Image side S in pixels; a multiple of `patch_size`.
    #[config(default = 288)]
    pub image_size: usize,
    /// Patch side P in pixels.
    #[config(default = 16)]
    pub patch_size: usize,
    /// Token width; heads are `width / 64`.
    #[config(default = 768)]
    pub width: usize,
    /// Blocks used. The published model drops the last of CLIP's twelve stored blocks.
    #[config(default = 11)]
    pub layers: usize,
}

impl ClipVisionConfig {
    /// Attention heads, width / 64.
    #[must_use]
    pub fn heads(&self) -> usize {
        (self.width / CLIP_HEAD_WIDTH).max(1)
    }

    /// Patches per side; 0 where patches have no side.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size.checked_div(self.patch_size).unwrap_or(0)
    }

    /// Patches per image, N = (S / P)².
    #[must_use]
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    fn validate(&self) -> Result<(), ConfigError> {
        at_least_one([
            ("vision.image_size", self.image_size),
            ("vision.patch_size", self.patch_size),
            ("vision.width", self.width),
            ("vision.layers", self.layers),
        ])?;
        multiples([
            ("vision.image_size", self.image_size, self.patch_size, "vision.patch_size"),
            ("vision.width", self.width, self.heads(), "its heads (width / 64)"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(config: &VisionConfig) -> String {
        burn::config::config_to_json(config)
    }

    impl Config for VisionConfig {}

    #[test]
    fn both_encoders_are_written_and_read() {
        for config in [VisionConfig::from(ClipVisionConfig::new()), SwinConfig::large_384().into()] {
            let text = json(&config);
            assert!(text.contains("\"encoder\""), "{text}");
            assert_eq!(VisionConfig::load_binary(text.as_bytes()).unwrap(), config);
        }
    }

    #[test]
    fn sizes_without_an_encoder_are_clips() {
        let text = json(&ClipVisionConfig::new().into()).replace("\"encoder\": \"clip\",", "");
        assert!(!text.contains("encoder"));
        assert_eq!(VisionConfig::load_binary(text.as_bytes()).unwrap(), ClipVisionConfig::new().into());
    }

    #[test]
    fn keys_of_the_other_encoder_missing_and_unknown_keys_are_errors() {
        let sizes = r#""image_size": 32, "patch_size": 4, "width": 64"#;
        for (keys, expected) in [
            (r#""layers": 2, "window": 7"#, "`window` is a key of Swin, but encoder is `clip`"),
            (r#""encoder": "swin", "layers": 2"#, "`layers` is a key of CLIP, but encoder is `swin`"),
            (r#""encoder": "clip""#, "missing field `layers`"),
            (r#""encoder": "swin", "depths": [1, 1, 1, 1]"#, "missing field `heads`"),
            (r#""layers": 2, "tiles": 3"#, "unknown field `tiles`"),
            (r#""encoder": "resnet""#, "unknown variant `resnet`"),
        ] {
            let error = VisionConfig::load_binary(format!("{{{sizes}, {keys}}}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{keys}: {error}");
        }
    }

    #[test]
    fn patches_without_a_side_are_none_and_no_panic() {
        assert_eq!(ClipVisionConfig::new().with_patch_size(0).patches(), 0);
        assert_eq!(
            VisionConfig::from(SwinConfig::new().with_patch_size(0)).at(64).validate().unwrap_err().field,
            "vision.patch_size"
        );
    }

    #[test]
    fn another_image_size_keeps_swins_windows() {
        let swin = VisionConfig::from(SwinConfig::base_384()).at(288);
        assert_eq!(swin.validate(), Ok(()));
        assert_eq!((swin.image_size(), swin.swin().unwrap().window), (288, 9));
    }
}
