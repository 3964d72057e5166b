//! What several tests need.

use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, TextConfig};

/// A model as small as it can be, of images of 16 pixels in 4 patches and of 20 tokens.
pub(crate) fn tiny_config(heads: HeadsConfig) -> M3aeConfig {
    M3aeConfig::new(
        ClipVisionConfig::new().with_image_size(16).with_patch_size(8).with_width(64).with_layers(1),
        TextConfig::new().with_vocab_size(20).with_width(16).with_layers(1).with_heads(2).with_intermediate(32),
        FusionConfig::new().with_width(16).with_heads(2).with_layers(2).with_dropout(0.3),
        MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(Some(1)),
        heads,
    )
}
