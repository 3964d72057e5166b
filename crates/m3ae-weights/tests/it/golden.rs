//! The golden data's files: what the reference computes from them follows from our import.

use std::fs;
use std::path::Path;

use burn::prelude::*;
use burn::tensor::TensorData;
use m3ae_model::{M3ae, M3aeConfig, Precision, Texts};
use m3ae_weights::{
    Checkpoint, Format, HfTextConfig, Kind, Needs, WeightsError, find_config, infer_text_config, info, load, load_clip,
    load_text, read_settings,
};
use safetensors::SafeTensors;

use crate::craft::{State, state};
use crate::locate::{golden, larger_golden};

/// Floats of `io.safetensors`.
fn output<const D: usize>(folder: &Path, name: &str) -> Tensor<D> {
    let io = Checkpoint::open(&folder.join("io.safetensors")).unwrap();
    let data = TensorData::new(io.values(name).unwrap(), io.shape(name).unwrap());
    Tensor::from_data(data, &Device::default())
}

/// Integers of `io.safetensors`.
fn ids(folder: &Path, name: &str) -> Tensor<2, Int> {
    ids_of(&folder.join("io.safetensors"), name)
}

/// Integers of any safetensors file.
fn ids_of(path: &Path, name: &str) -> Tensor<2, Int> {
    let bytes = fs::read(path).unwrap();
    let io = SafeTensors::deserialize(&bytes).unwrap();
    let view = io.tensor(name).unwrap();
    let values: Vec<i64> = view.data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect();
    Tensor::from_data(TensorData::new(values, view.shape().to_vec()), &Device::default())
}

fn assert_close<const D: usize>(ours: Tensor<D>, theirs: Tensor<D>, tolerance: f32, name: &str) {
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let largest = theirs.clone().abs().max().into_scalar::<f32>();
    let error = (ours - theirs).abs().max().into_scalar::<f32>();
    assert!(error <= tolerance * largest, "{name}: {error} of {largest}");
}

fn published(path: &Path) -> (M3aeConfig, M3ae) {
    let checkpoint = Checkpoint::open(path).unwrap();
    let config = find_config(&checkpoint).unwrap();
    let mut model = config.init(&Device::default()).unwrap();
    load(&mut model, &checkpoint).unwrap();
    (config, model)
}

#[test]
fn the_three_forms_of_one_clip_are_the_same_tensors() {
    let folder = golden("clip");
    let open = |name: &str| Checkpoint::open(&folder.join(name)).unwrap();
    let (zip, legacy, script) = (open("clip-tiny.pt"), open("clip-tiny-legacy.pt"), open("clip-tiny-torchscript.pt"));
    assert_eq!(
        [zip.format(), legacy.format(), script.format()],
        [Format::Pytorch, Format::Pytorch, Format::TorchScript]
    );
    for name in zip.names() {
        assert_eq!(zip.shape(name), legacy.shape(name), "{name}");
        assert_eq!(zip.shape(name), script.shape(name), "{name}");
        let (exact, half) = (zip.values(name).unwrap(), script.values(name).unwrap());
        assert_eq!(exact, legacy.values(name).unwrap(), "{name}");
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= a.abs() / 2048.0 + 6e-8;
        assert!(exact.iter().zip(&half).all(close), "{name}");
    }
}

#[test]
fn vision_features_follow_from_every_form_of_clip() {
    for (name, tolerance) in [("clip-tiny.pt", 1e-4), ("clip-tiny-legacy.pt", 1e-4), ("clip-tiny-torchscript.pt", 2e-2)]
    {
        features_follow(&golden("clip").join(name), &golden("fixture"), tolerance);
    }
}

#[test]
fn vision_features_follow_from_clip_with_patches_of_32() {
    if let Some(folder) = larger_golden("golden/bert") {
        features_follow(&folder.join("clip-tiny.pt"), &folder, 1e-4);
    }
}

/// Loads CLIP's weights into the vision encoder of `folder`'s model, and compares weights and features.
fn features_follow(clip: &Path, folder: &Path, tolerance: f32) {
    let (config, trained) = published(&folder.join("m3ae.ckpt"));
    let mut model = config.init(&Device::default()).unwrap();
    let report = load_clip(&mut model.vision_encoder, &Checkpoint::open(clip).unwrap()).unwrap();
    println!("{}\n{report}", clip.display());
    if clip.ends_with("clip-tiny.pt") {
        compare(&state(&model.vision_encoder), &state(&trained.vision_encoder));
    }
    let features = model.vision_encoder.forward(output::<4>(folder, "image"), Precision::F32).features;
    assert_close(features, output::<3>(folder, "vision_features"), tolerance, &clip.display().to_string());
}

/// Weights are the same bits; the resized position table is the same up to rounding.
fn compare(ours: &State, theirs: &State) {
    for (name, (_, values)) in ours {
        let theirs = &theirs[name].1;
        if name.ends_with("positional_embedding") {
            let error = values.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-6, "{name}: {error}");
        } else {
            assert_eq!(values, theirs, "{name}");
        }
    }
}

#[test]
fn text_layers_follow_from_the_hugging_face_folders() {
    for (folder, encoder) in [("fixture", "roberta-tiny"), ("bert", "bert-tiny")] {
        let folder = golden(folder);
        let checkpoint = Checkpoint::open(&folder.join(encoder)).unwrap();
        let settings: HfTextConfig = read_settings(&folder.join(encoder).join("config.json")).unwrap();
        let config = infer_text_config(&checkpoint, &settings).unwrap();
        let mut model = config.init(&Device::default());
        let report = load_text(&mut model, &checkpoint).unwrap();
        assert!(report.ignored.iter().all(|(name, _)| name.starts_with("pooler.")), "{report}");
        let encoding = model.forward(ids(&folder, "text_ids"), ids(&folder, "text_masks"), Precision::F32);
        assert_close(encoding.embeddings, output::<3>(&folder, "text_embeddings"), 1e-4, "embeddings");
        assert_eq!(encoding.layers.len(), 2);
        for (i, layer) in encoding.layers.into_iter().enumerate() {
            assert_close(layer, output::<3>(&folder, &format!("text_layer_{i}")), 1e-4, encoder);
        }
    }
}

#[test]
fn a_published_checkpoint_tells_its_own_configuration() {
    let Some(path) = larger_golden("golden/vqa_rad_small/m3ae_vqa_rad_small.ckpt") else { return };
    let (config, _) = published(&path);
    assert_eq!((config.vision.image_size(), config.vision.clip().unwrap().layers, config.fusion.heads), (128, 5, 6));
    assert_eq!((config.text.vocab_size, config.heads.vqa, config.heads.mlm), (50265, Some(498), false));
    let info = info(&path).unwrap();
    assert_eq!((info.kind, info.format), (Kind::M3ae, Format::Lightning));
    assert_eq!(info.needs, Needs::M3ae(Box::new(config)));
    println!("{info}");
}

#[test]
fn a_published_checkpoint_answers_as_the_reference_does() {
    let Some(folder) = larger_golden("golden/vqa_rad_small") else { return };
    let (_, model) = published(&folder.join("m3ae_vqa_rad_small.ckpt"));
    let inputs = Checkpoint::open(&folder.join("inputs.safetensors")).unwrap();
    let float = |name: &str| TensorData::new(inputs.values(name).unwrap(), inputs.shape(name).unwrap());
    let device = Device::default();
    let image = Tensor::<4>::from_data(float("image"), &device);
    let [ids, mask] = ["text_ids", "text_masks"].map(|name| ids_of(&folder.join("inputs.safetensors"), name));
    let pooled = model.forward(Texts { ids, mask }, image).pooled;
    let logits = model.vqa_head.as_ref().unwrap().forward(pooled, model.precision());
    assert_close(logits, Tensor::<2>::from_data(float("logits"), &device), 1e-4, "logits");
}

#[test]
fn info_knows_every_golden_file() {
    for (path, kind) in [
        ("fixture/m3ae.ckpt", Kind::M3ae),
        ("bert/m3ae.ckpt", Kind::M3ae),
        ("clip/clip-tiny.pt", Kind::Clip),
        ("clip/clip-tiny-legacy.pt", Kind::Clip),
        ("clip/clip-tiny-torchscript.pt", Kind::Clip),
        ("fixture/roberta-tiny", Kind::Roberta),
        ("bert/bert-tiny", Kind::Bert),
        ("fixture/io.safetensors", Kind::Unknown),
    ] {
        let path = golden(path);
        let info = info(&path).unwrap();
        assert_eq!(info.kind, kind, "{}", path.display());
        assert_eq!(matches!(info.needs, Needs::Unknown(_)), kind == Kind::Unknown, "{}", info.needs);
    }
}

#[test]
fn a_larger_image_size_loads_with_resized_positions() {
    let checkpoint = Checkpoint::open(&golden("fixture/m3ae.ckpt")).unwrap();
    let mut config = find_config(&checkpoint).unwrap();
    config.vision = config.vision.at(96);
    let mut model = config.init(&Device::default()).unwrap();
    let report = load(&mut model, &checkpoint).unwrap();
    assert_eq!(report.resized.iter().map(|resized| (resized.from, resized.to)).collect::<Vec<_>>(), [(4, 6)]);
    let image = Tensor::<4>::zeros([1, 3, 96, 96], &Device::default());
    assert_eq!(model.encode_image(image).dims(), [1, 37, 64]);
}

#[test]
fn one_kind_of_golden_file_is_not_taken_for_another() {
    let open = |name: &str| Checkpoint::open(&golden(name)).unwrap();
    let (_, mut model) = published(&golden("fixture/m3ae.ckpt"));
    let before = state(&model);
    for error in [
        load(&mut model, &open("clip/clip-tiny.pt")).unwrap_err(),
        load(&mut model, &open("fixture/roberta-tiny")).unwrap_err(),
        load_clip(&mut model.vision_encoder, &open("fixture/roberta-tiny")).unwrap_err(),
        load_text(&mut model.language_encoder, &open("clip/clip-tiny-torchscript.pt")).unwrap_err(),
        load_text(&mut model.language_encoder, &open("fixture/m3ae.ckpt")).unwrap_err(),
    ] {
        assert!(matches!(error, WeightsError::Mismatch { .. }), "{error}");
    }
    assert_eq!(state(&model), before);
}
