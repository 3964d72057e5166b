//! What may differ between a checkpoint and the model that starts from it, and what may not.

use burn::prelude::*;
use m3ae_model::{HeadsConfig, M3aeConfig};
use m3ae_weights::{Checkpoint, Head, LoadOptions, Resized, load, load_with};

use crate::config as full;
use crate::craft::{self, state};

fn with_heads(heads: HeadsConfig) -> M3aeConfig {
    M3aeConfig { heads, ..full() }
}

fn heads(mlm: bool, mim: bool, itm: bool) -> HeadsConfig {
    HeadsConfig::new().with_mlm(mlm).with_mim(mim).with_itm(itm)
}

fn stored(config: &M3aeConfig) -> (tempfile::TempDir, Checkpoint, craft::State) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let weights = state(&config.init(&Device::default()).unwrap());
    craft::write_state(&path, &weights);
    let checkpoint = Checkpoint::open(&path).unwrap();
    (folder, checkpoint, weights)
}

#[test]
fn every_combination_of_heads_loads_strictly() {
    for bits in 0_usize..64 {
        let bit = |i: usize| bits >> i & 1 == 1;
        let heads =
            heads(bit(0), bit(1), bit(2)).with_vqa(bit(3).then_some(5)).with_cls(bit(4).then_some(7)).with_irtr(bit(5));
        let config = with_heads(heads);
        let (_folder, checkpoint, weights) = stored(&config);
        let mut model = config.init(&Device::default()).unwrap();
        load(&mut model, &checkpoint).unwrap();
        assert_eq!(state(&model), weights, "{bits:06b}");
    }
}

#[test]
fn fine_tuning_drops_pre_training_heads_and_builds_a_fresh_one() {
    let (_folder, checkpoint, weights) = stored(&with_heads(heads(true, true, true)));
    let config = with_heads(heads(false, false, false).with_vqa(Some(5)));
    let mut model = config.init(&Device::default()).unwrap();
    let before = state(&model);
    assert!(load(&mut model, &checkpoint).is_err(), "strict by default");
    let report = load_with(&mut model, &checkpoint, &LoadOptions::fine_tuning()).unwrap();
    for (name, value) in state(&model) {
        let expected = if Head::of(&name).is_some() { &before[&name] } else { &weights[&name] };
        assert_eq!(&value, expected, "{name}");
    }
    assert_eq!(report.kept.len(), 6, "{report}");
    assert!(
        report
            .ignored
            .iter()
            .all(|(name, reason)| { Head::of(name).is_some() && *reason == "the model has no such head" })
    );
    assert!(report.to_string().contains("kept: vqa_head."), "{report}");
}

#[test]
fn a_fresh_head_ignores_the_files_own_of_another_size() {
    let (_folder, checkpoint, _) = stored(&with_heads(heads(false, false, false).with_vqa(Some(9))));
    let mut model = with_heads(heads(false, false, false).with_vqa(Some(5))).init(&Device::default()).unwrap();
    load_with(&mut model, &checkpoint, &LoadOptions::fine_tuning()).unwrap();
    let only = LoadOptions { fresh_heads: vec![Head::Cls], ..LoadOptions::default() };
    assert!(load_with(&mut model, &checkpoint, &only).is_err());
}

#[test]
fn the_retrieval_head_starts_from_the_matched_logit() {
    let (_folder, checkpoint, weights) = stored(&with_heads(heads(true, false, true)));
    let config = with_heads(heads(false, false, true).with_irtr(true));
    let mut model = config.init(&Device::default()).unwrap();
    load_with(&mut model, &checkpoint, &LoadOptions::fine_tuning()).unwrap();
    let loaded = state(&model);
    assert_eq!(loaded["irtr_head.weight"], (vec![1, 48], weights["itm_head.fc.weight"].1[48..].to_vec()));
    assert_eq!(loaded["irtr_head.bias"], (vec![1], weights["itm_head.fc.bias"].1[1..].to_vec()));
    assert_eq!(loaded["itm_head.fc.weight"], weights["itm_head.fc.weight"]);

    let (_folder, without, _) = stored(&with_heads(heads(true, false, false)));
    let error = load_with(&mut model, &without, &LoadOptions::fine_tuning()).unwrap_err().to_string();
    assert!(error.contains("missing: itm_head.fc.weight, from which irtr_head.weight is to start"), "{error}");
}

/// A value of a `[4·4, 64]` table resized to 6 × 6, by the definition of bicubic interpolation with a = -0.75.
fn bicubic(table: &[f32], (row, column): (usize, usize), channel: usize) -> f64 {
    let kernel = |x: f64| match x.abs() {
        x if x <= 1.0 => 1.25 * x.powi(3) - 2.25 * x * x + 1.0,
        x if x < 2.0 => -0.75 * x.powi(3) + 3.75 * x * x - 6.0 * x + 3.0,
        _ => 0.0,
    };
    let weight = |output: usize, input: i64| kernel((output as f64 + 0.5) * 4.0 / 6.0 - 0.5 - input as f64);
    let at = |r: i64, c: i64| f64::from(table[(r.clamp(0, 3) * 4 + c.clamp(0, 3)) as usize * 64 + channel]);
    let line = |r: i64| (-3..7).map(|c| at(r, c) * weight(column, c)).sum::<f64>();
    (-3..7).map(|r| line(r) * weight(row, r)).sum()
}

#[test]
fn another_image_size_resizes_positions_and_recomputes_the_decoders() {
    let (_folder, checkpoint, weights) = stored(&full()); // 32 px, patches of 8: grid 4
    let mut config = full();
    config.vision = config.vision.at(48);
    let mut model = config.init(&Device::default()).unwrap();
    let before = state(&model);
    let report = load(&mut model, &checkpoint).unwrap();
    let name = "vision_encoder.visual.positional_embedding";
    assert_eq!(report.resized, [Resized { name: name.into(), from: 4, to: 6 }]);
    assert_eq!(report.kept.len(), 1);
    let loaded = state(&model);
    assert_eq!(loaded[name].0, [37, 64]);
    assert_eq!(loaded[name].1[..64], weights[name].1[..64], "the class row is kept");
    for (place, value) in loaded[name].1.iter().enumerate().skip(64) {
        let (patch, channel) = (place / 64 - 1, place % 64);
        let expected = bicubic(&weights[name].1[64..], (patch / 6, patch % 6), channel);
        assert!((f64::from(*value) - expected).abs() < 1e-6, "patch {patch}, channel {channel}: {value} {expected}");
    }
    let table = "mim_head.decoder_pos_embed";
    assert_eq!(loaded[table], before[table], "computed, not resized");
}

#[test]
fn another_patch_size_is_an_error() {
    let (_folder, checkpoint, _) = stored(&full());
    let mut config = full();
    config.vision = config.vision.clip().unwrap().clone().with_patch_size(16).into();
    let mut model = config.init(&Device::default()).unwrap();
    let error = load(&mut model, &checkpoint).unwrap_err().to_string();
    assert!(
        error.contains("conv1.weight: the file has shape [64, 3, 8, 8], the model needs [64, 3, 16, 16]"),
        "{error}"
    );
}
