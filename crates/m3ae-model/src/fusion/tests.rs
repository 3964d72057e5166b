//! Whatever is left out of the last layer, what is asked for stays the same.

use burn::prelude::*;
use burn::tensor::Distribution;

use super::{FusionInput, FusionRequest, FusionText};
use crate::config::{
    ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, SwinConfig, TextConfig, VisionConfig,
};
use crate::inputs::padding_bias;
use crate::m3ae::M3ae;

/// Three layers of width 24.
fn model(swin: bool) -> M3ae {
    let device = Device::default();
    device.seed(4);
    let clip = ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64).with_layers(1);
    let encoder = SwinConfig::new()
        .with_image_size(32)
        .with_width(8)
        .with_depths([1, 1, 1, 1])
        .with_heads([1, 2, 2, 4])
        .with_window(1);
    let config = M3aeConfig::new(
        if swin { VisionConfig::Swin(encoder) } else { VisionConfig::Clip(clip) },
        TextConfig::new()
            .with_vocab_size(50)
            .with_width(16)
            .with_layers(1)
            .with_heads(2)
            .with_intermediate(32)
            .with_max_positions(20),
        FusionConfig::new().with_width(24).with_heads(4).with_layers(3),
        MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(Some(1)),
        HeadsConfig::new().with_mim(false),
    );
    config.with_initializer_range(0.2).init(&device).unwrap()
}

/// Four pairs, two of whose texts are padded.
fn input() -> FusionInput {
    let device = Device::default();
    let mask = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]];
    let text = FusionText {
        tokens: Tensor::random([4, 5, 24], Distribution::Default, &device),
        bias: padding_bias(Tensor::from_data(mask, &device)),
    };
    FusionInput { text, image: Tensor::random([4, 7, 24], Distribution::Default, &device) }
}

fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims());
    let difference = (a - b).abs().max().into_scalar::<f32>();
    // States are of size 1; sums in another order differ by some 1e-6.
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn pooled_features_need_only_first_tokens_of_the_last_layer() {
    for swin in [false, true] {
        let (model, input) = (model(swin), input());
        for depth in 0..4 {
            let request = FusionRequest::new().depth(depth);
            let whole = model.fuse(input.clone(), request.text(..).image(..).pooled(..));
            assert_close(model.fuse(input.clone(), request.pooled(..)).pooled, whole.pooled.clone());
            // One stack whole, the other not.
            assert_close(model.fuse(input.clone(), request.text(..).pooled(..)).pooled, whole.pooled.clone());
            assert_close(model.fuse(input.clone(), request.image(..).pooled(..)).pooled, whole.pooled);
        }
    }
}

#[test]
fn the_image_state_needs_no_text_of_its_last_layer() {
    let (model, input) = (model(false), input());
    for depth in 0..5 {
        let request = FusionRequest::new().depth(depth);
        let whole = model.fuse(input.clone(), request.text(..).image(..)).image.into_data();
        model.fuse(input.clone(), request.image(..)).image.into_data().assert_eq(&whole, true);
    }
}

#[test]
fn each_state_may_be_of_other_pairs() {
    let (model, input) = (model(false), input());
    let whole = model.fuse(input.clone(), FusionRequest::new().text(..).image(..).pooled(..));
    // Apart, as pre-training asks, overlapping, and one within the other.
    for (text, pooled) in [(0..2, 2..4), (0..3, 1..4), (0..4, 1..2), (1..2, 0..4)] {
        let part = model.fuse(input.clone(), FusionRequest::new().text(text.clone()).pooled(pooled.clone()));
        assert_close(part.text, whole.text.clone().narrow(0, text.start, text.len()));
        assert_close(part.pooled, whole.pooled.clone().narrow(0, pooled.start, pooled.len()));
    }
}

#[test]
fn attention_maps_come_from_every_layer_and_change_no_state() {
    let (model, input) = (model(false), input());
    let request = FusionRequest::new().text(..).pooled(..);
    let plain = model.fuse(input.clone(), request);
    assert!(plain.attention.is_empty());
    let mapped = model.fuse(input.clone(), request.attention());
    assert_close(plain.text, mapped.text);
    assert_close(plain.pooled, mapped.pooled);
    assert_eq!(mapped.attention.len(), 3);
    let map = mapped.attention[2].text_to_image.clone().unwrap();
    assert_eq!(map.dims(), [4, 4, 5, 7]);
    assert_close(map.sum_dim(3), Tensor::ones([4, 4, 5, 1], &Device::default()));
    assert_eq!(model.fuse(input, FusionRequest::new().depth(2).attention()).attention.len(), 2);
}

#[test]
#[should_panic(expected = "pairs 2..9 were asked for in a batch of 4")]
fn pairs_beyond_the_batch_are_refused() {
    let _ = model(false).fuse(input(), FusionRequest::new().text(2..9));
}

#[test]
#[should_panic(expected = "got 4 texts and 3 images")]
fn texts_without_images_are_refused() {
    let input = input();
    let input = FusionInput { image: input.image.narrow(0, 0, 3), text: input.text };
    let _ = model(false).fuse(input, FusionRequest::new().text(..));
}
