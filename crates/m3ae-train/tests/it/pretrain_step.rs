//! Shared encodings give the losses and gradients of three separate passes.

use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::Distribution;
use m3ae_masking::PatchMaskBatch;
use m3ae_model::{
    ClipVisionConfig, FusionConfig, HeadsConfig, M3ae, M3aeConfig, MimConfig, TextConfig, VisiblePatches,
};
use m3ae_random::{Key, Stream};
use m3ae_train::{
    MaskedTokens, Matching, MissingHead, ObjectiveWeights, PretrainBatch, PretrainOutput, gradient_norms,
    pretrain_step, three_passes,
};

fn config(mim_layer: Option<usize>) -> M3aeConfig {
    M3aeConfig::new(
        ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64).with_layers(2),
        TextConfig::new()
            .with_vocab_size(50)
            .with_width(16)
            .with_layers(2)
            .with_heads(2)
            .with_intermediate(32)
            .with_max_positions(20)
            .with_dropout(0.0),
        FusionConfig::new().with_width(24).with_heads(4).with_layers(3).with_dropout(0.0),
        MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(mim_layer),
        HeadsConfig::new(),
    )
}

/// Three pairs, one of them matched; texts of different lengths.
fn batch(device: &Device) -> PretrainBatch {
    let patches = PatchMaskBatch::draw(
        16,
        0.75,
        ["a", "b", "c"].map(|sample| Key { seed: 0, epoch: 0, sample, stream: Stream::PatchNoise }),
    )
    .unwrap();
    let image = |count| Tensor::<4>::random([count, 3, 32, 32], Distribution::Normal(0.0, 1.0), device);
    PretrainBatch {
        image: image(3),
        text_ids: Tensor::from_data([[0, 7, 8, 9, 2], [0, 10, 11, 2, 1], [0, 12, 2, 1, 1]], device),
        text_mask: Tensor::from_data([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], device),
        mlm: Some(MaskedTokens {
            ids: Tensor::from_data([[0, 49, 8, 9, 2], [0, 10, 49, 2, 1], [0, 13, 2, 1, 1]], device),
            positions: Tensor::from_data([1, 7, 11], device),
            targets: Tensor::from_data([7, 11, 12], device),
        }),
        mim: Some(VisiblePatches::new(&patches, device)),
        itm: Some(Matching {
            false_image: image(2),
            rows: Tensor::from_data([3, 1, 4], device),
            labels: Tensor::from_data([0, 1, 0], device),
        }),
    }
}

fn losses(output: &PretrainOutput) -> Vec<(&'static str, f64)> {
    let value = |loss: Tensor<1>| f64::from(loss.detach().into_scalar::<f32>());
    output.losses().into_iter().map(|(name, loss)| (name, value(loss))).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * a.abs().max(b.abs())
}

fn same_losses(a: &[(&str, f64)], b: &[(&str, f64)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
}

type Pass = fn(&M3ae, &PretrainBatch) -> Result<PretrainOutput, MissingHead>;

#[test]
fn shared_encodings_equal_three_separate_passes() {
    // After the first layer, in the middle, after the last.
    for mim_layer in [Some(0), Some(1), None] {
        compare(mim_layer, |_| {});
    }
}

#[test]
fn shared_encodings_equal_three_passes_where_false_images_are_of_the_batch() {
    compare(Some(1), |batch| {
        let device = batch.image.device();
        let itm = batch.itm.as_mut().unwrap();
        itm.false_image = Tensor::empty([0, 3, 32, 32], &device);
        itm.rows = Tensor::from_data([2, 1, 0], &device);
    });
}

/// Holds both ways of a step against each other on a changed [`batch`].
fn compare(mim_layer: Option<usize>, change: impl Fn(&mut PretrainBatch)) {
    let device = Device::default().autodiff();
    device.seed(5);
    let model = config(mim_layer).init(&device).unwrap();
    let mut batch = batch(&device);
    change(&mut batch);
    let weights = ObjectiveWeights { mlm: 1.0, mim: 2.0, itm: 0.5 };
    let results = [pretrain_step as Pass, three_passes as Pass].map(|pass| {
        let output = pass(&model, &batch).unwrap();
        let losses = losses(&output);
        let gradients = GradientsParams::from_grads(output.total(weights).backward(), &model);
        (losses, gradient_norms(&model, &gradients))
    });
    let [(shared, shared_norms), (separate, separate_norms)] = results;
    assert_eq!(shared.len(), 3);
    assert!(same_losses(&shared, &separate), "{shared:?} {separate:?}");
    assert!(close(shared_norms.total, separate_norms.total));
    assert_eq!(shared_norms.by_parameter.len(), separate_norms.by_parameter.len());
    for (name, norm) in &shared_norms.by_parameter {
        // Key biases have gradients that are zero except for rounding.
        let rounding = 1e-6 * shared_norms.total;
        let other = separate_norms.by_parameter[name];
        assert!(close(*norm, other) || (norm - other).abs() < rounding, "{name}: {norm} {other}");
    }
}

#[test]
fn a_batch_without_masked_tokens_has_no_language_loss_and_finite_gradients() {
    let device = Device::default().autodiff();
    let model = config(Some(1)).init(&device).unwrap();
    let mut batch = batch(&device);
    let mlm = batch.mlm.as_mut().unwrap();
    mlm.positions = Tensor::zeros([0], &device);
    mlm.targets = Tensor::zeros([0], &device);
    let output = pretrain_step(&model, &batch).unwrap();
    assert_eq!(losses(&output)[0], ("mlm", 0.0));
    let gradients = GradientsParams::from_grads(output.total(ObjectiveWeights::default()).backward(), &model);
    assert!(gradient_norms(&model, &gradients).total.is_finite());
}

#[test]
fn a_model_without_a_head_is_refused() {
    let device = Device::default();
    let mut config = config(None);
    config.heads.itm = false;
    let model = config.init(&device).unwrap();
    assert_eq!(pretrain_step(&model, &batch(&device)).unwrap_err(), MissingHead("itm"));
}

#[test]
fn an_objective_that_is_left_out_needs_no_head_and_changes_no_other() {
    let device = Device::default().autodiff();
    device.seed(6);
    let model = config(Some(1)).init(&device).unwrap();
    let batch = batch(&device);
    let all = losses(&pretrain_step(&model, &batch).unwrap());
    for kept in 1..7_u8 {
        let (mut model, mut batch) = (model.clone(), batch.clone());
        let (mlm, mim, itm) = (kept & 1 > 0, kept & 2 > 0, kept & 4 > 0);
        (batch.mlm, model.mlm_head) = (batch.mlm.filter(|_| mlm), model.mlm_head.filter(|_| mlm));
        (batch.mim, model.mim_head) = (batch.mim.filter(|_| mim), model.mim_head.filter(|_| mim));
        (batch.itm, model.itm_head) = (batch.itm.filter(|_| itm), model.itm_head.filter(|_| itm));
        let expected: Vec<_> = all.iter().copied().zip([mlm, mim, itm]).filter(|(_, is)| *is).map(|(a, _)| a).collect();
        for pass in [pretrain_step as Pass, three_passes as Pass] {
            let output = pass(&model, &batch).unwrap();
            assert!(same_losses(&losses(&output), &expected), "{kept}: {:?} {expected:?}", losses(&output));
            let gradients = GradientsParams::from_grads(output.total(ObjectiveWeights::default()).backward(), &model);
            assert!(gradient_norms(&model, &gradients).total > 0.0, "{kept}");
        }
    }
}
