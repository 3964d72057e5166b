//! Promises of the whole encoder, and of the model around it.

use burn::module::{ModuleVisitor, Param};
use burn::prelude::*;
use burn::store::ModuleSnapshot;
use burn::tensor::{Distribution, Gradients};
use m3ae_nn::Precision;

use super::loops::{self, Dense, Grid, Norm};
use super::{assert_close, numbers, random, shake, shake_block, shake_norm};
use crate::config::{
    ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, SWIN_STAGES, SwinConfig, TextConfig,
};
use crate::error::MaskingUnsupported;
use crate::fusion::{FusionInput, FusionRequest, FusionText};
use crate::inputs::Texts;
use crate::m3ae::M3ae;
use crate::vision::swin::SwinEncoder;

/// Grids 16, 8, 4, 2 with windows of 4: two stages shift, one is exactly one window, one is smaller than a window.
fn tiny() -> SwinConfig {
    SwinConfig::new()
        .with_image_size(32)
        .with_patch_size(2)
        .with_width(4)
        .with_depths([2, 2, 3, 1])
        .with_heads([1, 2, 2, 4])
        .with_window(4)
        .with_mlp_ratio(2)
}

fn tiny_model() -> M3aeConfig {
    let text = TextConfig::new().with_vocab_size(50).with_width(16).with_layers(1).with_heads(2).with_intermediate(32);
    M3aeConfig::new(
        tiny(),
        text.with_max_positions(20),
        FusionConfig::new().with_width(24).with_heads(4).with_layers(2),
        MimConfig::new().with_layer(None),
        HeadsConfig::new().with_mim(false).with_vqa(Some(7)),
    )
}

/// The same model with CLIP's transformer.
fn clip_model() -> M3aeConfig {
    let clip = ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64).with_layers(1);
    tiny_model().with_vision(clip)
}

fn shaken(config: &SwinConfig) -> SwinEncoder {
    let mut encoder = config.init(&Device::default()).unwrap();
    let shape = encoder.patch_embed.proj.weight.val().dims();
    encoder.patch_embed.proj.weight = Param::from_tensor(random(shape, 0.3));
    encoder.patch_embed.proj.bias = Some(Param::from_tensor(random([config.width], 0.3)));
    shake_norm(&mut encoder.patch_embed.norm);
    for stage in &mut encoder.layers {
        stage.blocks.iter_mut().for_each(shake_block);
        if let Some(merging) = &mut stage.downsample {
            shake_norm(&mut merging.norm);
            shake(&mut merging.reduction);
        }
    }
    shake_norm(&mut encoder.norm);
    encoder
}

/// The patch embedding, pixel by pixel.
fn embed(encoder: &SwinEncoder, image: &Tensor<4>) -> Grid {
    let [images, channels, size, _] = image.dims();
    let [width, _, patch, _] = encoder.patch_embed.proj.weight.val().dims();
    let (weight, pixels) = (numbers(encoder.patch_embed.proj.weight.val()), numbers(image.clone()));
    let bias = numbers(encoder.patch_embed.proj.bias.as_ref().unwrap().val());
    let norm = Norm::of(&encoder.patch_embed.norm);
    let mut grid = Grid::zeros(images, size / patch, width);
    for image in 0..images {
        for row in 0..size / patch {
            for column in 0..size / patch {
                let mut token = bias.clone();
                for (output, value) in token.iter_mut().enumerate() {
                    for channel in 0..channels {
                        for (y, x) in (0..patch * patch).map(|i| (i / patch, i % patch)) {
                            let place = (image * channels + channel) * size + row * patch + y;
                            *value += pixels[place * size + column * patch + x]
                                * weight[((output * channels + channel) * patch + y) * patch + x];
                        }
                    }
                }
                grid.set(image, row, column, &norm.run(&token));
            }
        }
    }
    grid
}

#[test]
fn the_whole_encoder_equals_plain_loops() {
    let device = Device::default();
    device.seed(21);
    let config = tiny();
    let encoder = shaken(&config);
    let image = random([2, 3, 32, 32], 1.0);
    let ours = encoder.forward(image.clone(), Precision::F32);

    let mut x = embed(&encoder, &image);
    assert_close(&numbers(ours.patch_embed), &x.values, 1e-5, "patch embedding");
    for (i, (stage, state)) in encoder.layers.iter().zip(ours.stages).enumerate() {
        let window = config.stage_window(i);
        for (j, block) in stage.blocks.iter().enumerate() {
            let shift = if j % 2 == 1 && window < x.side { window / 2 } else { 0 };
            x = loops::block(&x, block, config.heads[i], window, shift);
        }
        assert_eq!(state.dims(), [2, config.grid(i).pow(2), config.stage_width(i)]);
        assert_close(&numbers(state), &x.values, 1e-4, &format!("stage {i}"));
        if let Some(merging) = &stage.downsample {
            x = loops::merge(&x, &Norm::of(&merging.norm), &Dense::of(&merging.reduction));
        }
    }
    let norm = Norm::of(&encoder.norm);
    assert_eq!(ours.features.dims(), [2, 4, 32]);
    assert_close(&numbers(ours.features), &x.map(|x| norm.run(x)).values, 1e-4, "features");
}

/// Collects the names of parameters without a gradient, or with one that is zero throughout.
struct Untouched<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    names: Vec<String>,
}

impl ModuleVisitor for Untouched<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = parameter.val().grad(self.gradients);
        if gradient.is_none_or(|gradient| gradient.abs().max().into_scalar::<f32>() == 0.0) {
            self.names.push(self.path.join("."));
        }
    }
}

#[test]
fn every_parameter_is_trained() {
    let device = Device::default().autodiff();
    device.seed(22);
    let encoder = tiny().init(&device).unwrap();
    let image = Tensor::random([1, 3, 32, 32], Distribution::Default, &device);
    let gradients = encoder.forward(image, Precision::F32).features.powi_scalar(3).sum().backward();
    let mut untouched = Untouched { gradients: &gradients, path: Vec::new(), names: Vec::new() };
    encoder.visit(&mut untouched);
    assert_eq!(untouched.names, Vec::<String>::new());
}

#[test]
fn presets_have_the_published_numbers_of_parameters() {
    // timm's counts less its classifier of 1000 classes (width · 1000 + 1000).
    for (config, with_head) in
        [(SwinConfig::base_224(), 87.77), (SwinConfig::base_384(), 87.90), (SwinConfig::large_384(), 196.74)]
    {
        let head = (config.output_width() * 1000 + 1000) as f64 / 1e6;
        // Parameters are lazy: counting them allocates nothing.
        let millions = config.init(&Device::default()).unwrap().num_params() as f64 / 1e6;
        assert!((millions + head - with_head).abs() < 0.006, "{config}: {millions}");
    }
}

#[test]
fn every_parameter_is_in_the_tree() {
    let encoder = tiny().init(&Device::default()).unwrap();
    // 4 of the patch embedding, 13 per block, 3 per merging, 2 of the final norm.
    assert_eq!(encoder.collect(None, None, false).len(), 4 + 13 * 8 + 3 * (SWIN_STAGES - 1) + 2);
}

fn vision_paths(model: &M3ae) -> Vec<String> {
    let paths = model.collect(None, None, false).into_iter().map(|tensor| tensor.name);
    paths.filter(|path| path.starts_with("vision_encoder.")).collect()
}

#[test]
fn both_encoders_have_the_references_paths_in_the_model() {
    let model = tiny_model().init(&Device::default()).unwrap();
    let paths = vision_paths(&model);
    assert!(paths.contains(&"vision_encoder.layers.0.blocks.1.attn.relative_position_bias_table".to_owned()));
    let parts = ["patch_embed.", "layers.", "norm."].map(|part| format!("vision_encoder.{part}"));
    assert!(paths.iter().all(|path| parts.iter().any(|part| path.starts_with(part))), "{paths:?}");
    let clip = clip_model().init(&Device::default()).unwrap();
    assert!(vision_paths(&clip).iter().all(|path| path.starts_with("vision_encoder.visual.")));
    assert!(vision_paths(&clip).contains(&"vision_encoder.visual.conv1.weight".to_owned()));
}

#[test]
fn a_model_with_swin_has_the_documented_shapes() {
    let device = Device::default();
    let model = tiny_model().init(&device).unwrap();
    let image = random([2, 3, 32, 32], 1.0);
    let texts = Texts::new(&[vec![0, 5, 6, 2], vec![0, 7, 2]], 1, &device);
    assert_eq!(model.encode_image(image.clone()).dims(), [2, 4, 32]);
    let output = model.forward(texts, image);
    assert_eq!(output.text.dims(), [2, 4, 24]);
    assert_eq!(output.image.dims(), [2, 4, 24]);
    assert_eq!(output.pooled.dims(), [2, 48]);
    assert_eq!(model.vqa_head.as_ref().unwrap().forward(output.pooled, Precision::F32).dims(), [2, 7]);
    assert!(model.mim_head.is_none());
    assert!(model.vision_encoder.swin().is_some() && model.vision_encoder.clip().is_none());
}

#[test]
fn swin_pools_the_mean_over_tokens_and_clip_the_first_token() {
    let device = Device::default();
    let image = random([1, 4, 24], 1.0);
    // After no layer at all: the poolers alone.
    let pool = |model: &M3ae| {
        let bias = Tensor::zeros([1, 1, 1, 3], &device);
        let text = FusionText { tokens: random([1, 3, 24], 1.0), bias };
        let input = FusionInput { text, image: image.clone() };
        model.fuse(input, FusionRequest::new().depth(0).pooled(..)).pooled.narrow(1, 24, 24)
    };
    let swin = tiny_model().init(&device).unwrap();
    let mean = image.clone().mean_dim(1);
    let expected = swin.multi_modal_vision_pooler.forward(mean, Precision::F32);
    assert_close(&numbers(pool(&swin)), &numbers(expected), 1e-6, "swin");
    let clip = clip_model().init(&device).unwrap();
    let expected = clip.multi_modal_vision_pooler.forward(image.clone().narrow(1, 0, 1), Precision::F32);
    assert_close(&numbers(pool(&clip)), &numbers(expected), 1e-6, "clip");
}

#[test]
fn masked_images_are_refused_for_swin_without_a_panic() {
    let device = Device::default();
    let model = tiny_model().init(&device).unwrap();
    let image = random([1, 3, 32, 32], 1.0);
    let ids = Tensor::<2, Int>::from_data([[1, 3]], &device);
    assert_eq!(model.encode_visible(image.clone(), ids.clone()).unwrap_err(), MaskingUnsupported);
    let clip = clip_model().init(&device).unwrap();
    assert_eq!(clip.encode_visible(image, ids).unwrap().dims(), [1, 3, 64]);

    let mut config = tiny_model();
    config.heads.mim = true;
    assert_eq!(config.init(&device).unwrap_err().field, "heads.mim");
}
