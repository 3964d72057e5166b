//! Sizes of a Swin encoder, its presets, and what makes a set of sizes impossible.

use burn::config::Config;

use super::check::at_least_one;
use crate::error::ConfigError;

/// Stages of every Swin; between two of them the token grid is halved and the width doubled.
pub const SWIN_STAGES: usize = 4;

/// How much coarser the last stage's grid is than the first's: three halvings.
const COARSENING: usize = 1 << (SWIN_STAGES - 1);

/// A Swin vision encoder (docs/spec.md, section 1.2). Defaults: `swin_base_patch4_window7_224`.
///
/// What no published Swin varies is not a field: query, key and value have biases, the patch embedding has a norm,
/// there is no absolute position embedding, and every layer norm has epsilon 1e-5.
#[derive(Config, Debug, PartialEq)]
pub struct SwinConfig {
    /// Image side S in pixels; a multiple of `8 · patch_size`.
    #[config(default = 224)]
    pub image_size: usize,
    /// Side of the first stage's patches in pixels.
    #[config(default = 4)]
    pub patch_size: usize,
    /// Token width of the first stage; it doubles with every stage.
    #[config(default = 128)]
    pub width: usize,
    /// Blocks of each stage. Odd ones (counted from 0) shift their windows by half a window.
    #[config(default = "[2, 2, 18, 2]")]
    pub depths: [usize; SWIN_STAGES],
    /// Attention heads of each stage.
    #[config(default = "[4, 8, 16, 32]")]
    pub heads: [usize; SWIN_STAGES],
    /// Window side in tokens. A stage whose whole grid is no larger is one window, and is not shifted.
    #[config(default = 7)]
    pub window: usize,
    /// Feed-forward width as a multiple of the stage's width.
    #[config(default = 4)]
    pub mlp_ratio: usize,
}

impl SwinConfig {
    /// `swin_base_patch4_window7_224`: 86.7 M parameters, 49 tokens of width 1024.
    #[must_use]
    pub fn base_224() -> Self {
        Self::new()
    }

    /// `swin_base_patch4_window12_384`: 86.9 M parameters, 144 tokens of width 1024.
    #[must_use]
    pub fn base_384() -> Self {
        Self::new().at(384)
    }

    /// `swin_large_patch4_window12_384`: 195.2 M parameters, 144 tokens of width 1536.
    #[must_use]
    pub fn large_384() -> Self {
        Self::new().with_width(192).with_heads([6, 12, 24, 48]).at(384)
    }

    /// The preset that the reference's `vit` setting and timm call by this name; `_in22k` names the training data of
    /// the published weights and changes no size.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name.strip_suffix("_in22k").unwrap_or(name) {
            "swin_base_patch4_window7_224" => Some(Self::base_224()),
            "swin_base_patch4_window12_384" => Some(Self::base_384()),
            "swin_large_patch4_window12_384" => Some(Self::large_384()),
            _ => None,
        }
    }

    /// The same network for images of another side, as the reference builds it: the window is a 32nd of the side (for
    /// patches of 4), so that every stage has as many windows as before and the last stage is one window. Bias tables
    /// of published weights then have to be resized to `(2 · window - 1)²` rows.
    #[must_use]
    pub fn at(mut self, image_size: usize) -> Self {
        self.image_size = image_size;
        self.window = image_size / self.patch_size.saturating_mul(COARSENING).max(1);
        self
    }

    /// Tokens per side in stage `stage` (0 to 3).
    #[must_use]
    pub fn grid(&self, stage: usize) -> usize {
        (self.image_size / self.patch_size.max(1)) >> stage.min(SWIN_STAGES - 1)
    }

    /// Window side in stage `stage` (0 to 3), in tokens: `window`, or the whole grid where that is smaller.
    #[must_use]
    pub fn stage_window(&self, stage: usize) -> usize {
        self.window.min(self.grid(stage))
    }

    /// Token width in stage `stage` (0 to 3).
    #[must_use]
    pub fn stage_width(&self, stage: usize) -> usize {
        self.width.saturating_mul(1 << stage.min(SWIN_STAGES - 1))
    }

    /// Tokens that the encoder gives, n: those of the last stage.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.grid(SWIN_STAGES - 1).pow(2)
    }

    /// Width of the tokens that the encoder gives: eight times `width`.
    #[must_use]
    pub fn output_width(&self) -> usize {
        self.stage_width(SWIN_STAGES - 1)
    }

    /// Checks that an encoder can be built: sizes are not zero, the image divides into patches that halve three times,
    /// each stage's grid divides into windows and its width into heads.
    ///
    /// # Errors
    /// The first field that is wrong, by its path.
    pub fn validate(&self) -> Result<(), ConfigError> {
        at_least_one([
            ("vision.image_size", self.image_size),
            ("vision.patch_size", self.patch_size),
            ("vision.width", self.width),
            ("vision.depths", self.depths.into_iter().min().unwrap_or(0)),
            ("vision.heads", self.heads.into_iter().min().unwrap_or(0)),
            ("vision.window", self.window),
            ("vision.mlp_ratio", self.mlp_ratio),
        ])?;
        let step = self.patch_size.saturating_mul(COARSENING);
        if !self.image_size.is_multiple_of(step) {
            let problem = format!(
                "{} is not a multiple of {step}, {COARSENING} patches of {} pixels: the grid is halved three times",
                self.image_size, self.patch_size
            );
            return Err(ConfigError { field: "vision.image_size", problem });
        }
        for stage in 0..SWIN_STAGES {
            let (grid, window) = (self.grid(stage), self.stage_window(stage));
            if !grid.is_multiple_of(window) {
                let problem = format!(
                    "{window} does not divide the {grid} tokens per side of stage {stage}; image_size / {step} = {} would",
                    self.image_size / step
                );
                return Err(ConfigError { field: "vision.window", problem });
            }
            let (width, heads) = (self.stage_width(stage), self.heads[stage]);
            if !width.is_multiple_of(heads) {
                let problem = format!("{heads} heads do not divide the width of stage {stage}, {width}");
                return Err(ConfigError { field: "vision.heads", problem });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_have_the_published_sizes() {
        for (name, side, window, tokens, width) in [
            ("swin_base_patch4_window7_224", 224, 7, 49, 1024),
            ("swin_base_patch4_window12_384", 384, 12, 144, 1024),
            ("swin_large_patch4_window12_384", 384, 12, 144, 1536),
        ] {
            let config = SwinConfig::preset(name).unwrap();
            assert_eq!(config.validate(), Ok(()), "{name}");
            assert_eq!((config.image_size, config.window), (side, window), "{name}");
            assert_eq!((config.tokens(), config.output_width()), (tokens, width), "{name}");
            assert_eq!(SwinConfig::preset(&format!("{name}_in22k")), Some(config), "{name}");
        }
        assert_eq!(SwinConfig::preset("swin_huge"), None);
    }

    #[test]
    fn another_resolution_keeps_the_number_of_windows() {
        let config = SwinConfig::base_384().at(288);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.window, 9);
        let windows = |config: &SwinConfig| [0, 1, 2, 3].map(|stage| config.grid(stage) / config.stage_window(stage));
        assert_eq!(windows(&config), windows(&SwinConfig::base_384()));
        assert_eq!(windows(&config), [8, 4, 2, 1]);
    }

    #[test]
    fn a_grid_smaller_than_the_window_is_one_window() {
        let config = SwinConfig::new().with_image_size(32).with_window(7);
        // Grids 8, 4, 2, 1: only the first is larger than 7, and 7 does not divide it.
        assert_eq!(config.validate().unwrap_err().field, "vision.window");
        let config = config.with_window(8);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!([0, 1, 2, 3].map(|stage| config.stage_window(stage)), [8, 4, 2, 1]);
    }

    #[test]
    fn rejects_sizes_that_do_not_divide() {
        let error = SwinConfig::new().with_image_size(240).validate().unwrap_err();
        assert_eq!(error.field, "vision.image_size");
        assert!(error.to_string().contains("240 is not a multiple of 32"), "{error}");
        let error = SwinConfig::new().with_image_size(288).validate().unwrap_err();
        assert_eq!(error.field, "vision.window");
        assert!(error.to_string().contains("72 tokens per side of stage 0"), "{error}");
        assert!(error.to_string().contains("= 9 would"), "{error}");
        let error = SwinConfig::new().with_heads([4, 8, 16, 48]).validate().unwrap_err();
        assert_eq!(error.field, "vision.heads");
        assert!(error.to_string().contains("stage 3, 1024"), "{error}");
    }

    #[test]
    fn rejects_zero_sizes() {
        for (config, field) in [
            (SwinConfig::new().with_image_size(0), "vision.image_size"),
            (SwinConfig::new().with_patch_size(0), "vision.patch_size"),
            (SwinConfig::new().with_width(0), "vision.width"),
            (SwinConfig::new().with_depths([2, 0, 2, 2]), "vision.depths"),
            (SwinConfig::new().with_heads([1, 1, 1, 0]), "vision.heads"),
            (SwinConfig::new().at(31), "vision.window"),
            (SwinConfig::new().with_mlp_ratio(0), "vision.mlp_ratio"),
        ] {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }
}
