//! Every container and every type of numbers gives the same model.

use std::path::Path;

use burn::prelude::*;
use burn::tensor::{bf16, f16};
use m3ae_weights::{Checkpoint, Format, find_config, hyper_parameters, load};
use safetensors::Dtype;

use crate::config;
use crate::craft::{self, Piece, contiguous, state};

fn hyper() -> Vec<(String, Vec<u8>)> {
    let float = |value: f64| [b"G".as_slice(), &value.to_be_bytes()].concat();
    vec![
        ("num_heads".into(), craft::int(4)),
        ("drop_rate".into(), float(0.1)),
        ("mim_decoder_num_heads".into(), craft::int(2)),
        ("norm_pix_loss".into(), b"\x88".to_vec()),
        ("mim_layer".into(), b"J\xff\xff\xff\xff".to_vec()),
        ("image_size".into(), craft::int(32)),
        ("tokenizer".into(), craft::text("text")),
        ("unheard_of".into(), b"cos\nsystem\n".to_vec()),
    ]
}

#[test]
fn lightning_zip_legacy_and_safetensors_give_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let source = config().init(&Device::default()).unwrap();
    let weights = state(&source);
    let pieces = craft::pieces(&weights);
    let at = |name: &str| folder.path().join(name);
    craft::write_lightning(&at("lightning.ckpt"), &pieces, hyper());
    craft::write_torch(&at("zip.pt"), &pieces);
    craft::write_legacy(&at("legacy.pt"), &pieces);
    craft::write_torchscript(&at("script.pt"), &pieces);
    craft::write_state(&at("model.safetensors"), &weights);
    for (name, format) in [
        ("lightning.ckpt", Format::Lightning),
        ("zip.pt", Format::Pytorch),
        ("legacy.pt", Format::Pytorch),
        ("script.pt", Format::TorchScript),
        ("model.safetensors", Format::Safetensors),
        ("", Format::Safetensors), // of a folder, the weights in it
    ] {
        let checkpoint = Checkpoint::open(&at(name)).unwrap();
        assert_eq!(checkpoint.format(), format, "{name}");
        let mut model = config().init(&Device::default()).unwrap();
        let report = load(&mut model, &checkpoint).unwrap();
        assert_eq!(report.loaded.len(), weights.len(), "{name}");
        assert_eq!(state(&model), weights, "{name}");
    }
}

#[test]
fn a_lightning_checkpoint_needs_no_settings_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    let source = config().init(&Device::default()).unwrap();
    craft::write_lightning(&path, &craft::pieces(&state(&source)), hyper());
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(hyper_parameters(&checkpoint).unwrap().unwrap().num_heads, 4);

    let error = find_config(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("the text encoder `text` is not known by name"), "{error}");
    std::fs::create_dir(folder.path().join("text")).unwrap();
    let text = r#"{"model_type": "roberta", "num_attention_heads": 2, "layer_norm_eps": 1e-5, "pad_token_id": 1,
        "hidden_dropout_prob": 0.1, "vocab_size": 30}"#;
    std::fs::write(folder.path().join("text").join("config.json"), text).unwrap();
    assert_eq!(find_config(&checkpoint).unwrap(), config());
}

#[test]
fn half_brain_float_and_double_weights_load_as_float32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let weights = state(&config().init(&Device::default()).unwrap());
    type Encode = fn(f32) -> Vec<u8>;
    type Round = fn(f32) -> f32;
    let cases: [(Dtype, Encode, Round); 3] = [
        (Dtype::F16, |v| f16::from_f32(v).to_le_bytes().into(), |v| f16::from_f32(v).to_f32()),
        (Dtype::BF16, |v| bf16::from_f32(v).to_le_bytes().into(), |v| bf16::from_f32(v).to_f32()),
        (Dtype::F64, |v| f64::from(v).to_le_bytes().into(), |v| v),
    ];
    for (dtype, encode, round) in cases {
        let tensors: Vec<_> = weights
            .iter()
            .map(|(name, (shape, values))| {
                (name.as_str(), dtype, shape.clone(), values.iter().flat_map(|&v| encode(v)).collect())
            })
            .collect();
        craft::write_safetensors(&path, &tensors);
        let mut model = config().init(&Device::default()).unwrap();
        load(&mut model, &Checkpoint::open(&path).unwrap()).unwrap();
        for (name, (_, values)) in state(&model) {
            let expected: Vec<f32> = weights[&name].1.iter().map(|&v| round(v)).collect();
            assert_eq!(values, expected, "{dtype:?} {name}");
        }
    }
}

#[test]
fn integer_weights_are_an_error_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let weights = state(&config().init(&Device::default()).unwrap());
    let tensors: Vec<_> = weights
        .iter()
        .map(|(name, (shape, values))| match name.as_str() {
            "irtr_head.bias" => (name.as_str(), Dtype::I64, shape.clone(), vec![0; 8 * values.len()]),
            _ => (name.as_str(), Dtype::F32, shape.clone(), vec![0; 4 * values.len()]),
        })
        .collect();
    craft::write_safetensors(&path, &tensors);
    let mut model = config().init(&Device::default()).unwrap();
    let error = load(&mut model, &Checkpoint::open(&path).unwrap()).unwrap_err().to_string();
    assert!(error.contains("irtr_head.bias: the file has type I64"), "{error}");
    assert!(error.contains("model.safetensors"), "{error}");
}

type Write = fn(&Path, &[Piece]);

#[test]
fn strided_offset_shared_and_repeated_views_are_gathered() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let view = |name: &str, shape: &[usize], stride: &[usize], offset| Piece {
        stride: stride.into(),
        shape: shape.into(),
        offset,
        ..Piece::f32(name, &[24], &values)
    };
    let pieces = [
        view("transposed", &[6, 4], &[1, 6], 0),
        view("every_second", &[4], &[2], 1),
        view("tail", &[2, 3], &contiguous(&[2, 3]), 18),
        view("repeated", &[3, 2], &[0, 1], 4),
        view("scalar", &[], &[], 7),
        view("empty", &[0, 4], &[4, 1], 24),
    ];
    let cases: [(&str, Write); 3] = [
        ("zip.pt", |path, pieces| craft::write_torch(path, pieces)),
        ("legacy.pt", |path, pieces| craft::write_legacy(path, pieces)),
        ("script.pt", |path, pieces| craft::write_torchscript(path, pieces)),
    ];
    for (name, write) in cases {
        let path = folder.path().join(name);
        write(&path, &pieces);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let read = |tensor: &str| checkpoint.values(tensor).unwrap();
        let transposed: Vec<f32> = (0..6).flat_map(|i| (0..4).map(move |j| (i + 6 * j) as f32)).collect();
        assert_eq!(read("transposed"), transposed, "{name}");
        assert_eq!(read("every_second"), [1.0, 3.0, 5.0, 7.0], "{name}");
        assert_eq!(read("tail"), [18.0, 19.0, 20.0, 21.0, 22.0, 23.0], "{name}");
        assert_eq!(read("repeated"), [4.0, 5.0, 4.0, 5.0, 4.0, 5.0], "{name}");
        assert_eq!(read("scalar"), [7.0], "{name}");
        assert_eq!(read("empty"), [0.0; 0], "{name}");
        assert_eq!(checkpoint.shape("transposed"), Some(vec![6, 4]), "{name}");
    }
}
