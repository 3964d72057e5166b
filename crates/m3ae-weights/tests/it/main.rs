//! Promises of the crate as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on fails.

mod craft;
mod encoders;
mod fine_tuning;
mod folders;
mod formats;
mod golden;
mod hostile;
mod information;
#[path = "../../../../tests/golden/locate.rs"]
mod locate;

use std::collections::HashMap;
use std::fs;

use burn::prelude::*;
use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, TextConfig};
use m3ae_weights::{Checkpoint, Format, WeightsError, load, save};

fn config() -> M3aeConfig {
    M3aeConfig::new(
        ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64).with_layers(1),
        TextConfig::new()
            .with_vocab_size(30)
            .with_width(16)
            .with_layers(1)
            .with_heads(2)
            .with_intermediate(32)
            .with_max_positions(20),
        FusionConfig::new().with_width(24).with_heads(4).with_layers(1),
        MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(None),
        HeadsConfig::new().with_vqa(Some(5)).with_irtr(true),
    )
}

fn saved(config: &M3aeConfig) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save(&config.init(&Device::default()).unwrap(), &path, HashMap::new()).unwrap();
    (folder, path)
}

#[test]
fn what_is_saved_loads_back_to_the_same_bits() {
    let device = Device::default();
    let model = config().init(&device).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save(&model, &path, HashMap::from([("step".into(), "7".into())])).unwrap();

    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format(), Format::Safetensors);
    let mut copy = config().init(&device).unwrap();
    let report = load(&mut copy, &checkpoint).unwrap();
    assert_eq!(report.loaded.len(), checkpoint.names().count());

    let again = folder.path().join("again.safetensors");
    save(&copy, &again, HashMap::from([("step".into(), "7".into())])).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn names_missing_unexpected_and_misshaped_tensors() {
    let (_folder, path) = saved(&config());
    let checkpoint = Checkpoint::open(&path).unwrap();
    let mut other = config();
    other.heads.vqa = Some(6);
    other.heads.irtr = false;
    other.heads.cls = Some(3);
    let mut model = other.init(&Device::default()).unwrap();
    let error = load(&mut model, &checkpoint).unwrap_err();
    assert!(matches!(error, WeightsError::Mismatch { .. }));
    let message = error.to_string();
    assert!(message.contains("missing: cls_head.0.weight"), "{message}");
    assert!(message.contains("unexpected: irtr_head.weight"), "{message}");
    assert!(message.contains("vqa_head.3.bias: the file has shape [5], the model needs [6]"), "{message}");
    // Linear weights are kept transposed; messages speak of the file.
    assert!(message.contains("vqa_head.3.weight: the file has shape [5, 48], the model needs [6, 48]"), "{message}");
}

#[test]
fn a_model_that_does_not_fit_stays_as_it_was() {
    let (_folder, path) = saved(&config());
    let mut other = config();
    other.heads.vqa = Some(6);
    let mut model = other.init(&Device::default()).unwrap();
    let before = craft::state(&model);
    load(&mut model, &Checkpoint::open(&path).unwrap()).unwrap_err();
    assert_eq!(craft::state(&model), before);
}

#[test]
fn another_vocabulary_is_an_error_that_names_the_table() {
    let (_folder, path) = saved(&config());
    let mut other = config();
    other.text.vocab_size = 31;
    let mut model = other.init(&Device::default()).unwrap();
    let message = load(&mut model, &Checkpoint::open(&path).unwrap()).unwrap_err().to_string();
    for line in [
        "language_encoder.embeddings.word_embeddings.weight: the file has shape [30, 16], the model needs [31, 16]",
        "mlm_head.decoder.weight: the file has shape [30, 24], the model needs [31, 24]",
    ] {
        assert!(message.contains(line), "{message}");
    }
}

#[test]
fn rejects_files_that_are_not_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("empty.ckpt", &b""[..]),
        ("text.ckpt", b"this is not a checkpoint at all"),
        ("header.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"),
        ("short.safetensors", b"\x40\0\0\0\0\0\0\0{\"a\":"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, WeightsError::Format { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let missing = Checkpoint::open(&folder.path().join("nowhere.ckpt")).unwrap_err();
    assert!(matches!(missing, WeightsError::Io { .. }), "{missing}");
}

#[test]
fn a_cut_off_file_is_an_error_and_not_a_model() {
    let (_folder, path) = saved(&config());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let result = Checkpoint::open(&path).and_then(|checkpoint| {
        let mut model = config().init(&Device::default())?;
        load(&mut model, &checkpoint)
    });
    assert!(result.is_err());
}
