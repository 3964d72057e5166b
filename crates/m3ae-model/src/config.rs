//! What a model is made of: sizes, depths and which heads it carries. `Config -> init(&device) -> forward`.

mod check;
mod limits;
mod swin;
mod text;
mod vision;

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::init::INIT_STD;
use check::{at_least_one, dropout, multiples};
pub use swin::{SWIN_STAGES, SwinConfig};
pub use text::{TextConfig, TextFamily};
pub use vision::{CLIP_HEAD_WIDTH, ClipVisionConfig, VisionConfig};

/// Co-attention fusion (docs/spec.md, section 1.4). Defaults: the published model.
#[derive(Config, Debug, PartialEq)]
pub struct FusionConfig {
    /// Hidden width D of both stacks.
    #[config(default = 768)]
    pub width: usize,
    /// Attention heads.
    #[config(default = 12)]
    pub heads: usize,
    /// Layers of each of the two stacks.
    #[config(default = 6)]
    pub layers: usize,
    /// Feed-forward width as a multiple of D.
    #[config(default = 4)]
    pub mlp_ratio: usize,
    /// Dropout on attention probabilities and dense outputs.
    #[config(default = 0.1)]
    pub dropout: f64,
}

/// Masked image modelling: decoder and target (docs/spec.md, sections 1.5 and 2). Defaults: the published model.
#[derive(Config, Debug, PartialEq)]
pub struct MimConfig {
    /// Decoder width.
    #[config(default = 384)]
    pub width: usize,
    /// Decoder blocks.
    #[config(default = 4)]
    pub layers: usize,
    /// Decoder attention heads.
    #[config(default = 6)]
    pub heads: usize,
    /// The decoder reads the image state *before* this fusion layer; `None` (the reference's -1) is after the last.
    #[config(default = "Some(3)")]
    pub layer: Option<usize>,
    /// Whether the target patches are normalised by their own mean and variance.
    #[config(default = true)]
    pub norm_pix_loss: bool,
}

/// Which heads the model carries.
#[derive(Config, Debug, PartialEq)]
pub struct HeadsConfig {
    /// Masked language modelling.
    #[config(default = true)]
    pub mlm: bool,
    /// Masked image modelling.
    #[config(default = true)]
    pub mim: bool,
    /// Image-text matching.
    #[config(default = true)]
    pub itm: bool,
    /// Question answering: the number of answers.
    pub vqa: Option<usize>,
    /// Classification: the number of classes.
    pub cls: Option<usize>,
    /// Image-text retrieval.
    #[config(default = false)]
    pub irtr: bool,
}

/// The whole model.
///
/// [`preset`](Self::preset) gives the published sizes by name; every field may then be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct M3aeConfig {
    /// Vision encoder.
    pub vision: VisionConfig,
    /// Text encoder.
    pub text: TextConfig,
    /// Co-attention fusion.
    pub fusion: FusionConfig,
    /// Masked image modelling.
    pub mim: MimConfig,
    /// Heads.
    pub heads: HeadsConfig,
    /// Standard deviation of initial weights that are not pre-trained, except for the vision encoder's. The published
    /// 0.02 suits widths near 768; narrow models trained from scratch learn sooner with more, about in proportion to `1
    /// / sqrt(width)`.
    pub initializer_range: f64,
}

impl Config for M3aeConfig {}

/// A configuration as files have it.
#[derive(Deserialize)]
struct Stored {
    vision: VisionConfig,
    /// Where Swin's sizes stood at first, with `vision` then only saying the image size.
    swin: Option<SwinConfig>,
    text: TextConfig,
    fusion: FusionConfig,
    mim: MimConfig,
    heads: HeadsConfig,
    initializer_range: f64,
}

impl TryFrom<Stored> for M3aeConfig {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { vision, swin, text, fusion, mim, heads, initializer_range } = stored;
        let vision = match (vision, swin) {
            (VisionConfig::Swin(_), Some(_)) => return Err("Swin's sizes are given twice, by `vision` and by `swin`"),
            (VisionConfig::Clip(_), Some(swin)) => swin.into(),
            (vision, None) => vision,
        };
        Ok(Self { vision, text, fusion, mim, heads, initializer_range })
    }
}

impl M3aeConfig {
    /// The names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&str; 5] = ["base", "small", "swin-base-224", "swin-base-384", "swin-large-384"];

    /// A model of these parts, with the published [`initializer_range`](Self::initializer_range), 0.02.
    #[must_use]
    pub fn new(
        vision: impl Into<VisionConfig>,
        text: TextConfig,
        fusion: FusionConfig,
        mim: MimConfig,
        heads: HeadsConfig,
    ) -> Self {
        Self { vision: vision.into(), text, fusion, mim, heads, initializer_range: INIT_STD }
    }

    /// The published pre-training model: ViT-B/16 at 288 px, RoBERTa-base, six co-attention layers; 366 M parameters
    /// with its three pre-training heads (paper, section 3; docs/spec.md, section 1).
    #[must_use]
    pub fn base() -> Self {
        Self::new(ClipVisionConfig::new(), TextConfig::new(), FusionConfig::new(), MimConfig::new(), HeadsConfig::new())
    }

    /// A small model of the same structure that learns the phantom set in minutes on two CPU cores: 64 px, patches of
    /// 8, width 128, four vision blocks, two text layers, two co-attention layers. The vocabulary size comes from the
    /// tokenizer.
    #[must_use]
    pub fn small() -> Self {
        Self::new(
            ClipVisionConfig::new().with_image_size(64).with_patch_size(8).with_width(128).with_layers(4),
            TextConfig::new()
                .with_vocab_size(1000)
                .with_width(128)
                .with_layers(2)
                .with_heads(2)
                .with_intermediate(512)
                .with_max_positions(130),
            FusionConfig::new().with_width(128).with_heads(4).with_layers(2),
            MimConfig::new().with_width(96).with_layers(2).with_heads(3).with_layer(Some(1)),
            HeadsConfig::new(),
        )
        // 0.02 · √(768 / 128)
        .with_initializer_range(0.05)
    }

    /// The published model with a Swin encoder in CLIP's place, and without masked image modelling (docs/spec.md,
    /// section 1.2).
    #[must_use]
    pub fn swin(swin: SwinConfig) -> Self {
        let heads = HeadsConfig::new().with_mim(false);
        Self { vision: swin.into(), heads, ..Self::base() }
    }

    /// The preset of that name, one of [`PRESETS`](Self::PRESETS).
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::base()),
            "small" => Some(Self::small()),
            "swin-base-224" => Some(Self::swin(SwinConfig::base_224())),
            "swin-base-384" => Some(Self::swin(SwinConfig::base_384())),
            "swin-large-384" => Some(Self::swin(SwinConfig::large_384())),
            _ => None,
        }
    }

    /// With another vision encoder.
    #[must_use]
    pub fn with_vision(self, vision: impl Into<VisionConfig>) -> Self {
        Self { vision: vision.into(), ..self }
    }

    /// With another [`initializer_range`](Self::initializer_range).
    #[must_use]
    pub fn with_initializer_range(self, initializer_range: f64) -> Self {
        Self { initializer_range, ..self }
    }

    /// Checks that a model can be built: limits, divisibility, non-zero sizes, layers that exist.
    ///
    /// # Errors
    /// The first field that is wrong, by its path.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { vision, text, fusion, mim, heads, initializer_range } = self;
        limits::check(self)?;
        vision.validate()?;
        text.validate()?;
        at_least_one([
            ("fusion.width", fusion.width),
            ("fusion.heads", fusion.heads),
            ("fusion.layers", fusion.layers),
            ("fusion.mlp_ratio", fusion.mlp_ratio),
            ("mim.width", mim.width),
            ("mim.layers", mim.layers),
            ("mim.heads", mim.heads),
            ("heads.vqa (answers)", heads.vqa.unwrap_or(1)),
            ("heads.cls (classes)", heads.cls.unwrap_or(1)),
        ])?;
        multiples([
            ("fusion.width", fusion.width, fusion.heads, "fusion.heads"),
            ("mim.width", mim.width, mim.heads, "mim.heads"),
            ("mim.width", mim.width, 4, "4 (sine and cosine of two axes)"),
        ])?;
        if let Some(layer) = mim.layer.filter(|&layer| layer > fusion.layers) {
            let problem =
                format!("{layer} is beyond the last of fusion.layers, {}; omit it for the last", fusion.layers);
            return Err(ConfigError { field: "mim.layer", problem });
        }
        dropout("fusion.dropout", fusion.dropout)?;
        if !(*initializer_range > 0.0 && *initializer_range <= 1.0) {
            let problem = format!("{initializer_range:?} is not between 0 and 1");
            return Err(ConfigError { field: "initializer_range", problem });
        }
        if heads.mim && vision.swin().is_some() {
            let problem = "masked image modelling is not defined for Swin, which cannot leave patches out: \
                           set heads.mim = false, or use the CLIP encoder";
            return Err(ConfigError { field: "heads.mim", problem: problem.into() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_found_by_name() {
        for name in M3aeConfig::PRESETS {
            assert_eq!(M3aeConfig::preset(name).unwrap().validate(), Ok(()), "{name}");
        }
        assert!(M3aeConfig::preset("huge").is_none());
    }

    #[test]
    fn rejects_sizes_that_do_not_divide() {
        let config = M3aeConfig::base();
        let config = M3aeConfig { vision: config.vision.clone().at(290), ..config };
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, "vision.image_size");
        assert!(error.to_string().contains("290 is not a multiple of vision.patch_size, 16"), "{error}");
    }

    #[test]
    fn swin_has_no_masked_image_modelling() {
        let mut config = M3aeConfig::swin(SwinConfig::base_384());
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.vision.output_width(), 1024);
        config.heads.mim = true;
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, "heads.mim");
        assert!(error.to_string().contains("not defined for Swin"), "{error}");
        let config = M3aeConfig::swin(SwinConfig::base_384().with_window(7));
        assert_eq!(config.validate().unwrap_err().field, "vision.window");
    }

    /// A configuration in the form that the first releases wrote.
    fn old(swin: &str) -> String {
        let text = burn::config::config_to_json(&M3aeConfig::base()).replace("\"encoder\": \"clip\",", "");
        text.replacen('{', &format!("{{\"swin\": {swin},"), 1)
    }

    #[test]
    fn configurations_of_saved_models_still_read() {
        let read = |text: String| M3aeConfig::load_binary(text.as_bytes()).unwrap();
        assert_eq!(read(old("null")), M3aeConfig::base());
        assert_eq!(read(old("null").replace("\"swin\": null,", "")), M3aeConfig::base());
        let swin = SwinConfig::base_384();
        let read = read(old(&burn::config::config_to_json(&swin)));
        assert_eq!(read, M3aeConfig::base().with_vision(swin));
        for name in M3aeConfig::PRESETS {
            let preset = M3aeConfig::preset(name).unwrap();
            let text = burn::config::config_to_json(&preset);
            assert_eq!(M3aeConfig::load_binary(text.as_bytes()).unwrap(), preset);
        }
    }

    #[test]
    fn two_sets_of_sizes_for_swin_are_an_error() {
        let text = burn::config::config_to_json(&M3aeConfig::swin(SwinConfig::base_224()));
        let swin = burn::config::config_to_json(&SwinConfig::base_384());
        let twice = text.replacen('{', &format!("{{\"swin\": {swin},"), 1);
        let error = M3aeConfig::load_binary(twice.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("given twice"), "{error}");
    }

    #[test]
    fn rejects_zero_sizes_missing_layers_and_full_dropout() {
        let mut config = M3aeConfig::small();
        config.mim.layer = Some(9);
        assert_eq!(config.validate().unwrap_err().field, "mim.layer");
        let mut config = M3aeConfig::small();
        config.text.layers = 0;
        assert_eq!(config.validate().unwrap_err().field, "text.layers");
        let mut config = M3aeConfig::small();
        config.fusion.dropout = 1.0;
        assert_eq!(config.validate().unwrap_err().field, "fusion.dropout");
        for range in [0.0, 2.0, f64::NAN] {
            let config = M3aeConfig::small().with_initializer_range(range);
            assert_eq!(config.validate().unwrap_err().field, "initializer_range");
        }
    }
}
