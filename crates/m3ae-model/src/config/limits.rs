//! Limits of sizes, far above any model that this program could train. Configurations come from recipes and from
//! downloaded files: beyond these limits one would take memory without bound before the first weight is read.

use super::{M3aeConfig, VisionConfig};
use crate::error::ConfigError;

/// Widest layer, in values.
const MAX_WIDTH: usize = 1 << 16;
/// Most layers of a stack, and heads of a layer.
const MAX_LAYERS: usize = 1024;
/// Largest image side, in pixels.
const MAX_IMAGE_SIZE: usize = 1 << 14;
/// Most rows of an embedding table.
const MAX_ROWS: usize = 1 << 24;
/// Most values of the table of patch positions: 64 million, where the published model has 0.4.
const MAX_POSITIONS: f64 = (1 << 26) as f64;
/// Largest window of Swin, in tokens a side; the index table of one has `window⁴` entries.
const MAX_WINDOW: usize = 64;
/// Most values of the mask of Swin's shifted windows, `grid² · window²`: 1 GiB.
const MAX_WINDOW_MASK: f64 = (1 << 28) as f64;
/// Most parameters. In float32, with gradients and AdamW's two moments, they take 320 GB: more than one device has.
const MAX_PARAMETERS: f64 = 20e9;

/// Refuses the first field beyond its limit; then tables and the whole model, which are products of fields.
pub(super) fn check(config: &M3aeConfig) -> Result<(), ConfigError> {
    let M3aeConfig { vision, text, fusion, mim, .. } = config;
    at_most([
        ("text.vocab_size", text.vocab_size, MAX_ROWS),
        ("text.width", text.width, MAX_WIDTH),
        ("text.layers", text.layers, MAX_LAYERS),
        ("text.heads", text.heads, MAX_LAYERS),
        ("text.intermediate", text.intermediate, MAX_WIDTH),
        ("text.max_positions", text.max_positions, MAX_ROWS),
        ("text.type_vocab", text.type_vocab, MAX_ROWS),
        ("text.pad_id", text.pad_id, MAX_ROWS),
        ("fusion.width", fusion.width, MAX_WIDTH),
        ("fusion.heads", fusion.heads, MAX_LAYERS),
        ("fusion.layers", fusion.layers, MAX_LAYERS),
        ("fusion.mlp_ratio", fusion.mlp_ratio, MAX_LAYERS),
        ("mim.width", mim.width, MAX_WIDTH),
        ("mim.layers", mim.layers, MAX_LAYERS),
        ("mim.heads", mim.heads, MAX_LAYERS),
        ("vision.image_size", vision.image_size(), MAX_IMAGE_SIZE),
        ("vision.patch_size", vision.patch_size(), MAX_IMAGE_SIZE),
    ])?;
    let largest = |of: [usize; super::SWIN_STAGES]| of.into_iter().max().unwrap_or(0);
    match vision {
        VisionConfig::Clip(clip) => {
            at_most([("vision.width", clip.width, MAX_WIDTH), ("vision.layers", clip.layers, MAX_LAYERS)])?;
        }
        VisionConfig::Swin(swin) => {
            at_most([
                ("vision.width", swin.width, MAX_WIDTH),
                ("vision.depths", largest(swin.depths), MAX_LAYERS),
                ("vision.heads", largest(swin.heads), MAX_LAYERS),
                ("vision.window", swin.window, MAX_WINDOW),
                ("vision.mlp_ratio", swin.mlp_ratio, MAX_LAYERS),
            ])?;
        }
    }
    check_tables(config)?;
    let parameters = parameters(config);
    if parameters > MAX_PARAMETERS {
        let problem =
            format!("these sizes make a model of {parameters:.1e} parameters; {MAX_PARAMETERS:.0e} are accepted");
        return Err(ConfigError { field: largest_part(config), problem });
    }
    Ok(())
}

fn at_most(sizes: impl IntoIterator<Item = (&'static str, usize, usize)>) -> Result<(), ConfigError> {
    match sizes.into_iter().find(|&(_, size, most)| size > most) {
        Some((field, size, most)) => {
            Err(ConfigError { field, problem: format!("{size} is too large; at most {most} is accepted") })
        }
        None => Ok(()),
    }
}

fn check_tables(config: &M3aeConfig) -> Result<(), ConfigError> {
    let (width, window) = match &config.vision {
        VisionConfig::Clip(clip) => (clip.width.max(config.mim.width), 0),
        VisionConfig::Swin(swin) => (0, swin.window),
    };
    let (size, patches) = (config.vision.image_size(), square(config.vision.grid()));
    let problem = if (patches + 1.0) * width as f64 > MAX_POSITIONS {
        format!("images of {size} pixels with tokens {width} wide make too large a position table")
    } else if patches * square(window) > MAX_WINDOW_MASK {
        format!("images of {size} pixels with windows of {window} tokens make too large a mask of windows")
    } else {
        return Ok(());
    };
    Err(ConfigError { field: "vision.image_size", problem })
}

fn square(size: usize) -> f64 {
    (size as f64).powi(2)
}

/// Weights of the two encoders and of the fusion with its heads, about.
fn parts(config: &M3aeConfig) -> [(&'static str, f64); 3] {
    let M3aeConfig { vision, text, fusion, mim, heads, .. } = config;
    // Attention has 4 · width² weights and the feed-forward layer 2 · width · intermediate; biases and norms do not
    // matter.
    let layer = |width: usize, intermediate: f64| 4.0 * square(width) + 2.0 * width as f64 * intermediate;
    let pixels = 3.0 * square(vision.patch_size());
    let vision = match vision {
        VisionConfig::Clip(clip) => {
            let rows = pixels + square(vision.grid()) + 1.0;
            clip.layers as f64 * layer(clip.width, 4.0 * clip.width as f64) + rows * clip.width as f64
        }
        VisionConfig::Swin(swin) => {
            let stage = |stage: usize| {
                let width = swin.stage_width(stage);
                swin.depths[stage] as f64 * layer(width, (swin.mlp_ratio as f64) * width as f64) + 8.0 * square(width)
            };
            (0..super::SWIN_STAGES).map(stage).sum::<f64>() + pixels * swin.width as f64
        }
    };
    let rows = (text.vocab_size as f64) + (text.max_positions as f64) + text.type_vocab as f64;
    let text_part = text.layers as f64 * layer(text.width, text.intermediate as f64) + rows * text.width as f64;
    // Two stacks; each layer attends to its own side and to the other one.
    let intermediate = fusion.mlp_ratio as f64 * fusion.width as f64;
    let stacks = 2.0 * fusion.layers as f64 * (layer(fusion.width, intermediate) + 4.0 * square(fusion.width));
    let classes = heads.vqa.unwrap_or(0).max(heads.cls.unwrap_or(0)) as f64;
    let outputs = 2.0 * fusion.width as f64 * classes + 8.0 * square(fusion.width);
    let vocabulary = if heads.mlm { text.vocab_size as f64 * fusion.width as f64 } else { 0.0 };
    let decoder = if heads.mim { mim.layers as f64 * layer(mim.width, 4.0 * mim.width as f64) } else { 0.0 };
    [("vision.width", vision), ("text.width", text_part), ("fusion.width", stacks + outputs + vocabulary + decoder)]
}

fn parameters(config: &M3aeConfig) -> f64 {
    parts(config).iter().map(|(_, weights)| weights).sum()
}

fn largest_part(config: &M3aeConfig) -> &'static str {
    parts(config).into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("fusion.width", |(field, _)| field)
}

#[cfg(test)]
mod tests {
    use super::super::SwinConfig;
    use super::*;

    #[test]
    fn presets_have_the_published_number_of_parameters_and_pass() {
        // 366 M, of which this leaves biases, norms and small tables out.
        let base = parameters(&M3aeConfig::base());
        assert!((360e6..372e6).contains(&base), "{base}");
        for name in M3aeConfig::PRESETS {
            assert_eq!(check(&M3aeConfig::preset(name).unwrap()), Ok(()), "{name}");
        }
    }

    #[test]
    fn absurd_sizes_are_refused_by_field() {
        for size in [1_000_000_000, usize::MAX] {
            let mut config = M3aeConfig::base();
            config.fusion.width = size;
            assert_eq!(check(&config).unwrap_err().field, "fusion.width");
            let mut config = M3aeConfig::base();
            config.text.max_positions = size;
            assert_eq!(check(&config).unwrap_err().field, "text.max_positions");
            let base = M3aeConfig::base();
            let config = M3aeConfig { vision: base.vision.clone().at(size), ..base };
            assert_eq!(check(&config).unwrap_err().field, "vision.image_size");
            let config = M3aeConfig::swin(SwinConfig::base_384().with_depths([1, 1, size, 1]));
            assert_eq!(check(&config).unwrap_err().field, "vision.depths");
        }
    }

    #[test]
    fn sizes_that_are_possible_each_but_not_together_are_refused() {
        let mut config = M3aeConfig::base();
        (config.fusion.width, config.fusion.layers) = (MAX_WIDTH, MAX_LAYERS);
        let error = check(&config).unwrap_err();
        assert_eq!(error.field, "fusion.width");
        assert!(error.to_string().contains("parameters; 2e10 are accepted"), "{error}");
        let base = M3aeConfig::base();
        let config = M3aeConfig { vision: base.vision.clone().at(MAX_IMAGE_SIZE), ..base };
        assert!(check(&config).unwrap_err().to_string().contains("too large a position table"));
        let config = M3aeConfig::swin(SwinConfig::base_384().at(2048));
        assert!(check(&config).unwrap_err().to_string().contains("too large a mask of windows"));
    }
}
