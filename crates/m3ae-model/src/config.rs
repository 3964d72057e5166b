//! What a model is made of: sizes, depths and which heads it carries. `Config -> init(&device) -> forward`.

use burn::config::Config;
use thiserror::Error;

use crate::swin::SwinConfig;

/// Width of one CLIP attention head; CLIP's head count is always width / 64 (spec 1.1).
pub const CLIP_HEAD_WIDTH: usize = 64;

/// A configuration that no model can be built from.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("model.{field}: {problem}")]
pub struct ConfigError {
    /// Path of the field, as in the TOML recipe's `[model]` section.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// CLIP's vision transformer (spec 1.1). Defaults: ViT-B/16 at the pre-training resolution.
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

    /// Patches per side.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches per image, N = (S / P)².
    #[must_use]
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }
}

/// Which of the two text encoders: they differ in position ids, layer-norm epsilon and tokenizer (spec 1.3).
#[derive(Config, Debug, PartialEq, Copy)]
pub enum TextFamily {
    /// RoBERTa: positions start at `pad_id + 1` and count non-padding tokens.
    Roberta,
    /// BERT: positions count from 0.
    Bert,
}

/// A Hugging Face style text encoder (spec 1.3). Defaults: RoBERTa-base.
#[derive(Config, Debug, PartialEq)]
pub struct TextConfig {
    /// RoBERTa or BERT.
    #[config(default = "TextFamily::Roberta")]
    pub family: TextFamily,
    /// Token vocabulary.
    #[config(default = 50265)]
    pub vocab_size: usize,
    /// Hidden width.
    #[config(default = 768)]
    pub width: usize,
    /// Layers.
    #[config(default = 12)]
    pub layers: usize,
    /// Attention heads.
    #[config(default = 12)]
    pub heads: usize,
    /// Width of the feed-forward layer.
    #[config(default = 3072)]
    pub intermediate: usize,
    /// Rows of the position table. RoBERTa never uses its first `pad_id + 1`.
    #[config(default = 514)]
    pub max_positions: usize,
    /// Rows of the token-type table; only row 0 is used.
    #[config(default = 1)]
    pub type_vocab: usize,
    /// Layer-norm epsilon: 1e-5 in RoBERTa, 1e-12 in BERT.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Id of the padding token; RoBERTa's positions start after it.
    #[config(default = 1)]
    pub pad_id: usize,
    /// Dropout on hidden states and attention probabilities.
    #[config(default = 0.1)]
    pub dropout: f64,
}

impl TextConfig {
    /// The longest text the position table allows, in tokens.
    #[must_use]
    pub fn max_length(&self) -> usize {
        match self.family {
            TextFamily::Roberta => self.max_positions.saturating_sub(self.pad_id + 1),
            TextFamily::Bert => self.max_positions,
        }
    }
}

/// Co-attention fusion (spec 1.4). Defaults: the published model.
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

/// Masked image modelling: decoder and target (spec 1.5, 2). Defaults: the published model.
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
#[derive(Config, Debug, PartialEq)]
pub struct M3aeConfig {
    /// CLIP's vision transformer; with `swin`, only its `image_size` and `patch_size` count: how images are loaded and cut.
    pub vision: ClipVisionConfig,
    /// Swin instead of CLIP as the vision encoder (spec 1.2). It takes images of `vision.image_size`, and no `heads.mim`.
    pub swin: Option<SwinConfig>,
    /// Text encoder.
    pub text: TextConfig,
    /// Co-attention fusion.
    pub fusion: FusionConfig,
    /// Masked image modelling.
    pub mim: MimConfig,
    /// Heads.
    pub heads: HeadsConfig,
    /// Standard deviation of initial weights that are not pre-trained, but for the vision encoder's. The published 0.02 suits widths near 768; narrow models
    /// trained from nothing learn sooner with more, about in proportion to `1 / sqrt(width)`.
    #[config(default = 0.02)]
    pub initializer_range: f64,
}

impl M3aeConfig {
    /// The published pre-training model: ViT-B/16 at 288 px, RoBERTa-base, six co-attention layers; 366 M parameters
    /// with its three pre-training heads (paper section 3, spec 1).
    #[must_use]
    pub fn m3ae_base() -> Self {
        Self::new(ClipVisionConfig::new(), TextConfig::new(), FusionConfig::new(), MimConfig::new(), HeadsConfig::new())
    }

    /// A small model of the same make that learns the phantom set in minutes on two CPU cores: 64 px, patches of 8,
    /// width 128, four vision blocks, two text layers, two co-attention layers. The vocabulary size comes from the tokenizer.
    #[must_use]
    pub fn m3ae_small() -> Self {
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

    /// The published model with a Swin encoder in CLIP's place, and without masked image modelling (spec 1.2).
    #[must_use]
    pub fn m3ae_swin(swin: SwinConfig) -> Self {
        let mut config = Self::m3ae_base();
        config.vision.image_size = swin.image_size;
        config.heads.mim = false;
        config.with_swin(Some(swin))
    }

    /// Width of the tokens that the vision encoder gives.
    #[must_use]
    pub fn image_width(&self) -> usize {
        self.swin.as_ref().map_or(self.vision.width, SwinConfig::output_width)
    }

    /// The preset of that name, `base` or `small`.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::m3ae_base()),
            "small" => Some(Self::m3ae_small()),
            _ => None,
        }
    }

    /// Checks that a model can be built: divisibility, non-zero sizes, layers that exist.
    ///
    /// # Errors
    /// The first field that is wrong, by its path.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (vision, text, fusion, mim) = (&self.vision, &self.text, &self.fusion, &self.mim);
        for (field, value) in [
            ("vision.image_size", vision.image_size),
            ("vision.patch_size", vision.patch_size),
            ("vision.width", vision.width),
            ("vision.layers", vision.layers),
            ("text.vocab_size", text.vocab_size),
            ("text.width", text.width),
            ("text.layers", text.layers),
            ("text.heads", text.heads),
            ("text.intermediate", text.intermediate),
            ("text.type_vocab", text.type_vocab),
            ("text.max_positions (less the ids below the padding's)", text.max_length()),
            ("fusion.width", fusion.width),
            ("fusion.heads", fusion.heads),
            ("fusion.layers", fusion.layers),
            ("fusion.mlp_ratio", fusion.mlp_ratio),
            ("mim.width", mim.width),
            ("mim.layers", mim.layers),
            ("mim.heads", mim.heads),
            ("heads.vqa (answers)", self.heads.vqa.unwrap_or(1)),
            ("heads.cls (classes)", self.heads.cls.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(ConfigError { field, problem: "is 0; it must be at least 1".into() });
            }
        }
        for (field, value, divisor, name) in [
            ("vision.image_size", vision.image_size, vision.patch_size, "vision.patch_size"),
            ("vision.width", vision.width, vision.heads(), "its heads (width / 64)"),
            ("text.width", text.width, text.heads, "text.heads"),
            ("fusion.width", fusion.width, fusion.heads, "fusion.heads"),
            ("mim.width", mim.width, mim.heads, "mim.heads"),
            ("mim.width", mim.width, 4, "4 (sine and cosine of two axes)"),
        ] {
            if !value.is_multiple_of(divisor) {
                return Err(ConfigError { field, problem: format!("{value} is not a multiple of {name}, {divisor}") });
            }
        }
        if let Some(layer) = mim.layer.filter(|&layer| layer > fusion.layers) {
            let problem =
                format!("{layer} is beyond the last of fusion.layers, {}; omit it for the last", fusion.layers);
            return Err(ConfigError { field: "mim.layer", problem });
        }
        for (field, dropout) in [("text.dropout", text.dropout), ("fusion.dropout", fusion.dropout)] {
            if !(0.0..1.0).contains(&dropout) {
                return Err(ConfigError { field, problem: format!("{dropout} is not in [0, 1)") });
            }
        }
        if !(self.initializer_range > 0.0 && self.initializer_range <= 1.0) {
            let problem = format!("{} is not between 0 and 1", self.initializer_range);
            return Err(ConfigError { field: "initializer_range", problem });
        }
        self.swin.as_ref().map_or(Ok(()), |swin| self.validate_swin(swin))
    }

    fn validate_swin(&self, swin: &SwinConfig) -> Result<(), ConfigError> {
        swin.validate()?;
        if swin.image_size != self.vision.image_size {
            let problem = format!(
                "{} is not vision.image_size, {}, at which images are loaded; both must be the same",
                swin.image_size, self.vision.image_size
            );
            return Err(ConfigError { field: "swin.image_size", problem });
        }
        if self.heads.mim {
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
        for name in ["base", "small"] {
            assert_eq!(M3aeConfig::preset(name).unwrap().validate(), Ok(()), "{name}");
        }
        assert!(M3aeConfig::preset("huge").is_none());
    }

    #[test]
    fn rejects_sizes_that_do_not_divide() {
        let mut config = M3aeConfig::m3ae_base();
        config.vision.image_size = 290;
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, "vision.image_size");
        assert!(error.to_string().contains("290 is not a multiple of vision.patch_size, 16"), "{error}");
    }

    #[test]
    fn swin_takes_the_loaded_image_size_and_refuses_masked_image_modelling() {
        let mut config = M3aeConfig::m3ae_swin(SwinConfig::base_384());
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.image_width(), 1024);
        config.heads.mim = true;
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, "heads.mim");
        assert!(error.to_string().contains("not defined for Swin"), "{error}");
        config.vision.image_size = 288;
        assert_eq!(config.validate().unwrap_err().field, "swin.image_size");
        config.swin = Some(SwinConfig::base_384().with_window(7));
        assert_eq!(config.validate().unwrap_err().field, "swin.window");
    }

    #[test]
    fn a_configuration_written_before_swin_still_reads() {
        // A key that is not known is passed over, as if `swin` were not there.
        let old = M3aeConfig::m3ae_base().to_string().replace("\"swin\"", "\"unknown\"");
        assert_eq!(M3aeConfig::load_binary(old.as_bytes()).unwrap(), M3aeConfig::m3ae_base());
    }

    #[test]
    fn rejects_zero_sizes_missing_layers_and_full_dropout() {
        let mut config = M3aeConfig::m3ae_small();
        config.mim.layer = Some(9);
        assert_eq!(config.validate().unwrap_err().field, "mim.layer");
        let mut config = M3aeConfig::m3ae_small();
        config.text.layers = 0;
        assert_eq!(config.validate().unwrap_err().field, "text.layers");
        let mut config = M3aeConfig::m3ae_small();
        config.fusion.dropout = 1.0;
        assert_eq!(config.validate().unwrap_err().field, "fusion.dropout");
        for range in [0.0, 2.0, f64::NAN] {
            let config = M3aeConfig::m3ae_small().with_initializer_range(range);
            assert_eq!(config.validate().unwrap_err().field, "initializer_range");
        }
    }
}
