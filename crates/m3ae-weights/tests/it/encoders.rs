//! CLIP and text encoders from every published spelling.

use burn::prelude::*;
use m3ae_model::{SwinConfig, TextEncoder, VisionEncoder};
use m3ae_weights::{
    Checkpoint, HfTextConfig, WeightsError, infer_clip_config, infer_text_config, load_clip, load_swin, load_text,
};

use crate::config;
use crate::craft::{self, Piece, State, state};

/// A random encoder, and the CLIP that it comes from: one more block, the projection and the text tower.
fn clip() -> (VisionEncoder, State) {
    let device = Device::default();
    let config = m3ae_model::ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64);
    let whole = config.clone().with_layers(3).init(&device);
    let mut stored = state(&whole);
    let used: State = stored.iter().filter(|(name, _)| !name.contains("resblocks.2.")).map(clone).collect();
    let mut encoder = VisionEncoder::Clip(config.with_layers(2).init(&device));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.safetensors");
    craft::write_state(&path, &stored);
    load_clip(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap();
    assert_eq!(state(&encoder), used);
    for (name, shape) in [
        ("visual.proj", vec![64, 32]),
        ("positional_embedding", vec![77, 64]),
        ("text_projection", vec![64, 32]),
        ("logit_scale", vec![]),
        ("token_embedding.weight", vec![100, 64]),
        ("transformer.resblocks.0.ln_1.weight", vec![64]),
        ("ln_final.bias", vec![64]),
    ] {
        let count: usize = shape.iter().product();
        stored.insert(name.into(), (shape, vec![0.5; count]));
    }
    (encoder, stored)
}

fn clone(entry: (&String, &(Vec<usize>, Vec<f32>))) -> (String, (Vec<usize>, Vec<f32>)) {
    (entry.0.clone(), entry.1.clone())
}

/// The same weights under Hugging Face's names, with separate query, key and value projections.
fn as_hugging_face(openai: &State) -> State {
    let mut renamed = State::new();
    for (name, (shape, values)) in openai {
        let ours = name
            .replace("visual.transformer.resblocks.", "vision_model.encoder.layers.")
            .replace("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight")
            .replace("visual.class_embedding", "vision_model.embeddings.class_embedding")
            .replace("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight")
            .replace("visual.ln_pre", "vision_model.pre_layrnorm")
            .replace("visual.ln_post", "vision_model.post_layernorm")
            .replace("visual.proj", "visual_projection.weight")
            .replace(".ln_1.", ".layer_norm1.")
            .replace(".ln_2.", ".layer_norm2.")
            .replace("mlp.c_fc", "mlp.fc1")
            .replace("mlp.c_proj", "mlp.fc2")
            .replace("attn.out_proj", "self_attn.out_proj");
        match ours.split_once("attn.in_proj_") {
            Some((block, end)) => {
                let third = [&[shape[0] / 3], &shape[1..]].concat();
                for (part, values) in ["q", "k", "v"].iter().zip(values.chunks(values.len() / 3)) {
                    renamed.insert(format!("{block}self_attn.{part}_proj.{end}"), (third.clone(), values.to_vec()));
                }
            }
            None => drop(renamed.insert(ours, (shape.clone(), values.clone()))),
        }
    }
    // Text tower, and a buffer of positions.
    renamed.retain(|name, _| name.starts_with("vis"));
    renamed.insert("text_model.final_layer_norm.weight".into(), (vec![64], vec![1.0; 64]));
    renamed.insert("text_projection.weight".into(), (vec![32, 64], vec![1.0; 2048]));
    renamed.insert("logit_scale".into(), (vec![], vec![4.6]));
    renamed
}

#[test]
fn clip_loads_from_every_form_in_which_it_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (encoder, stored) = clip();
    let expected = state(&encoder);
    let halves: Vec<Piece> = stored.iter().map(|(name, (shape, values))| Piece::half(name, shape, values)).collect();
    craft::write_torch(&at("zip.pt"), &craft::pieces(&stored));
    craft::write_legacy(&at("legacy.pt"), &craft::pieces(&stored));
    craft::write_torchscript(&at("script.pt"), &halves);
    craft::write_state(&at("hf.safetensors"), &as_hugging_face(&stored));
    for name in ["zip.pt", "legacy.pt", "script.pt", "hf.safetensors"] {
        let checkpoint = Checkpoint::open(&at(name)).unwrap();
        let config = infer_clip_config(&checkpoint, 32).unwrap();
        assert_eq!((config.width, config.layers, config.patch_size), (64, 2, 8), "{name}");
        let mut loaded = VisionEncoder::Clip(config.init(&Device::default()));
        let report = load_clip(&mut loaded, &checkpoint).unwrap();
        assert_eq!(report.loaded.len(), expected.len(), "{name}");
        assert!(report.ignored.iter().any(|(_, reason)| reason.contains("last vision block")), "{name}: {report}");
        assert!(report.loaded.len() + report.ignored.len() >= 40, "{name}: {report}");
        let exact = name != "script.pt";
        for (parameter, (_, values)) in state(&loaded) {
            let close = |(a, b): (&f32, &f32)| if exact { a == b } else { (a - b).abs() <= b.abs() / 2048.0 + 6e-8 };
            assert!(values.iter().zip(&expected[&parameter].1).all(close), "{name}: {parameter}");
        }
    }
}

#[test]
fn clip_with_missing_strange_or_too_many_tensors_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.safetensors");
    let (mut encoder, stored) = clip();
    let mut refused = |stored: &State, expected: &str| {
        craft::write_state(&path, stored);
        let error = load_clip(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap_err();
        assert!(matches!(error, WeightsError::Mismatch { .. }));
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    };
    let mut missing = stored.clone();
    missing.remove("visual.ln_post.bias");
    refused(&missing, "missing: visual.ln_post.bias");
    let mut strange = stored.clone();
    strange.insert("visual.transformer.resblocks.0.gate".into(), (vec![1], vec![0.0]));
    refused(&strange, "unexpected: visual.transformer.resblocks.0.gate");
    let mut deeper = stored.clone();
    deeper.insert("visual.transformer.resblocks.3.ln_1.bias".into(), (vec![64], vec![0.0; 64]));
    refused(&deeper, "CLIP stores 4 vision blocks");
    let mut partial = as_hugging_face(&stored);
    partial.remove("vision_model.encoder.layers.1.self_attn.k_proj.bias");
    refused(&partial, "needs q_proj, k_proj and v_proj");
    let text = state(&config().init(&Device::default()).unwrap().language_encoder);
    refused(&text, "it holds no CLIP vision transformer");
}

fn text_encoder() -> (TextEncoder, State) {
    let encoder = config().init(&Device::default()).unwrap().language_encoder;
    let state = state(&encoder);
    (encoder, state)
}

#[test]
fn text_encoders_load_with_any_prefix_norm_spelling_and_head() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = text_encoder();
    for (prefix, extra, old) in [
        ("", "pooler.dense.bias", false),
        ("roberta.", "lm_head.layer_norm.weight", false),
        ("bert.", "cls.predictions.transform.LayerNorm.gamma", true),
    ] {
        let mut stored = State::new();
        for (name, value) in &expected {
            let mut name = format!("{prefix}{name}");
            if old {
                name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            }
            stored.insert(name, value.clone());
        }
        stored.insert(extra.into(), (vec![2], vec![0.0; 2]));
        stored.insert(format!("{prefix}embeddings.position_ids"), (vec![1, 2], vec![0.0; 2]));
        let paths = ["model.safetensors", "pytorch_model.bin"].map(|name| folder.path().join(name));
        craft::write_state(&paths[0], &stored);
        craft::write_torch(&paths[1], &craft::pieces(&stored));
        for path in paths {
            let checkpoint = Checkpoint::open(&path).unwrap();
            let settings = HfTextConfig { num_attention_heads: 2, ..HfTextConfig::well_known("roberta-base").unwrap() };
            assert_eq!(infer_text_config(&checkpoint, &settings).unwrap(), config().text);
            let mut encoder = text_encoder().0;
            let report = load_text(&mut encoder, &checkpoint).unwrap();
            assert_eq!(report.ignored.len(), 2, "{report}");
            assert_eq!(state(&encoder), expected, "{prefix} {}", path.display());
        }
    }
}

#[test]
fn a_folder_with_only_the_pickled_form_opens_too() {
    let folder = tempfile::tempdir().unwrap();
    craft::write_torch(&folder.path().join("pytorch_model.bin"), &craft::pieces(&text_encoder().1));
    assert!(Checkpoint::open(folder.path()).is_ok());
    let empty = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(empty.path()).unwrap_err().to_string();
    assert!(error.contains("none of model.safetensors, pytorch_model.bin"), "{error}");
}

#[test]
fn a_tensor_under_two_spellings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (mut encoder, mut stored) = text_encoder();
    stored.insert("embeddings.LayerNorm.gamma".into(), (vec![16], vec![1.0; 16]));
    craft::write_state(&path, &stored);
    let error = load_text(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap_err().to_string();
    assert!(error.contains("a second tensor for embeddings.LayerNorm.weight"), "{error}");
}

#[test]
fn the_published_text_encoders_are_known_by_name() {
    let roberta = HfTextConfig::well_known("downloaded/roberta-base/").unwrap();
    assert_eq!((roberta.pad_token_id, roberta.layer_norm_eps), (1, 1e-5));
    let bert = HfTextConfig::well_known("bert-base-uncased").unwrap();
    assert_eq!((bert.pad_token_id, bert.layer_norm_eps), (0, 1e-12));
    assert_eq!(HfTextConfig::well_known("t5-base"), None);
}

/// A small Swin, and its weights under timm's older names.
fn swin() -> (SwinConfig, State) {
    let config = SwinConfig::new()
        .with_image_size(64)
        .with_patch_size(4)
        .with_width(16)
        .with_depths([1, 1, 2, 1])
        .with_heads([1, 2, 4, 8])
        .with_window(2);
    let weights = state(&config.init(&Device::default()).unwrap());
    (config, weights)
}

#[test]
fn swin_loads_timms_names_old_and_new_and_microsofts_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swin.safetensors");
    let (config, weights) = swin();
    let newer = |name: &str| match name.split_once(".downsample.") {
        Some((stage, rest)) => format!("layers.{}.downsample.{rest}", stage[7..].parse::<usize>().unwrap() + 1),
        None => name.to_owned(),
    };
    let prefixed = |name: &str| format!("model.{name}");
    let spellings: [&dyn Fn(&str) -> String; 3] = [&str::to_owned, &newer, &prefixed];
    for spelling in spellings {
        let mut stored: State = weights.iter().map(|(name, value)| (spelling(name), value.clone())).collect();
        stored.insert(spelling("head.weight"), (vec![2, 2], vec![0.0; 4]));
        stored.insert(spelling("layers.0.blocks.0.attn.relative_position_index"), (vec![1], vec![0.0]));
        craft::write_state(&path, &stored);
        let mut encoder = VisionEncoder::Swin(config.init(&Device::default()).unwrap());
        let report = load_swin(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap();
        assert_eq!((report.loaded.len(), report.ignored.len()), (weights.len(), 2), "{report}");
        assert_eq!(state(&encoder), weights);

        let error = load_clip(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("the model's vision encoder is Swin"), "{error}");
        stored.insert("layers.0.blocks.0.gate".into(), (vec![1], vec![0.0]));
        craft::write_state(&path, &stored);
        let error = load_swin(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("unexpected: layers.0.blocks.0.gate"), "{error}");
    }
}

#[test]
fn swins_bias_tables_are_resized_to_another_window() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swin.safetensors");
    let (config, weights) = swin();
    craft::write_state(&path, &weights);
    let mut encoder = VisionEncoder::Swin(config.at(128).init(&Device::default()).unwrap());
    let report = load_swin(&mut encoder, &Checkpoint::open(&path).unwrap()).unwrap();
    assert_eq!(report.resized.len(), 5, "{report}");
    assert!(report.resized.iter().all(|resized| (resized.from, resized.to) == (3, 7)), "{report}");
    assert_eq!(state(&encoder)["layers.0.blocks.0.attn.relative_position_bias_table"].0, [49, 1]);
}

#[test]
fn a_model_with_swin_tells_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut expected = config();
    expected.heads.mim = false;
    expected.vision = swin().0.into();
    let weights = state(&expected.init(&Device::default()).unwrap());
    craft::write_state(&path, &weights);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let settings = m3ae_weights::HyperParameters {
        num_heads: 4,
        drop_rate: 0.1,
        mim_decoder_num_heads: 2,
        norm_pix_loss: true,
        mim_layer: -1,
        image_size: 64,
        max_text_len: None,
        tokenizer: String::new(),
    };
    let text = HfTextConfig { num_attention_heads: 2, ..HfTextConfig::well_known("roberta-base").unwrap() };
    let config = m3ae_weights::infer_config(&checkpoint, &settings, &text).unwrap();
    assert_eq!((&config.vision, &config.text, &config.heads), (&expected.vision, &expected.text, &expected.heads));
    let mut model = config.init(&Device::default()).unwrap();
    m3ae_weights::load(&mut model, &checkpoint).unwrap();
    assert_eq!(state(&model), weights);
}
