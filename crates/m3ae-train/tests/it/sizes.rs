//! Sizes that follow from the weights that a recipe names.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use m3ae_model::{M3aeConfig, SwinConfig, TextConfig, TextFamily};
use m3ae_text::Tokenizer;
use m3ae_train::{RunConfig, Setup};
use m3ae_weights::{save_tensors, state_dict};

use crate::tiny::{Place, one_step, recipe};

/// Writes one part of a model's weights, under the names that its publishers use.
fn write_part(config: &M3aeConfig, prefix: &str, path: &Path) {
    let mut tensors = state_dict(&config.init(&Device::default()).unwrap());
    tensors.retain(|tensor| tensor.name.starts_with(prefix));
    for tensor in &mut tensors {
        tensor.name = tensor.name[prefix.len()..].to_owned();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    save_tensors(tensors, path, HashMap::new()).unwrap();
}

/// Sizes that no preset has.
fn bert(tokenizer: &Tokenizer) -> TextConfig {
    TextConfig::new()
        .with_family(TextFamily::Bert)
        .with_vocab_size(tokenizer.vocab_size())
        .with_pad_id(tokenizer.specials().pad as usize)
        .with_width(48)
        .with_layers(3)
        .with_heads(3)
        .with_intermediate(80)
        .with_max_positions(72)
        .with_type_vocab(2)
        .with_epsilon(1e-12)
}

/// A folder as Hugging Face has them: `config.json` and weights.
fn bert_folder(place: &Place, name: &str, text: &TextConfig) -> PathBuf {
    let folder = place.folder.path().join(name);
    let model = M3aeConfig { text: text.clone(), ..M3aeConfig::small() };
    write_part(&model, "language_encoder.", &folder.join("model.safetensors"));
    let settings = serde_json::json!({
        "model_type": "bert", "num_attention_heads": text.heads, "layer_norm_eps": text.epsilon,
        "pad_token_id": text.pad_id, "hidden_dropout_prob": 0.3,
    });
    fs::write(folder.join("config.json"), settings.to_string()).unwrap();
    folder
}

fn parse(place: &Place, changes: &[&str]) -> RunConfig {
    let mut overrides = vec![format!("run.name='run{}'", place.number())];
    overrides.extend(changes.iter().map(|&change| change.to_owned()));
    let text = recipe(place.folder.path(), "phantom");
    // The tests say the sizes.
    let (head, tail) = (text.split_once("[model]").unwrap().0, text.split_once("[phantom]").unwrap().1);
    RunConfig::parse(&format!("{head}[phantom]{tail}"), "tiny", &overrides).unwrap()
}

fn fails(place: &Place, changes: &[&str]) -> String {
    Setup::open(&parse(place, changes)).err().expect("it was to fail").to_string()
}

fn tokenizer(place: &Place) -> Tokenizer {
    Tokenizer::load(&place.folder.path().join("phantom/tokenizer")).unwrap()
}

#[test]
fn a_text_encoder_brings_its_sizes_and_a_contradiction_names_both_sides() {
    let place = Place::new();
    let text = bert(&tokenizer(&place));
    let folder = bert_folder(&place, "bert", &text);
    let named = format!("init.text='{}'", folder.display());
    let small = ["model.preset='small'", "model.vision.image_size=32", &named];

    let config = parse(&place, &small);
    let setup = Setup::open(&config).unwrap();
    // Dropout is no property of weights: it is the preset's.
    assert_eq!(setup.model.text, text.clone().with_dropout(0.1));
    assert_eq!(setup.model.fusion, M3aeConfig::small().fusion);
    one_step(&config).unwrap();

    for (change, expected) in [
        ("model.text.width=64", "model.text.width: 64 contradicts init.text = "),
        ("model.text.heads=2", "model.text.heads: 2 contradicts init.text = "),
        ("model.text.family='Roberta'", "model.text.family: \"Roberta\" contradicts init.text = "),
    ] {
        let message = fails(&place, &[&small[..], &[change]].concat());
        assert!(message.starts_with(expected), "{message}");
        assert!(message.contains("model.safetensors), which has "), "{message}");
    }
    Setup::open(&parse(&place, &[&small[..], &["model.text.width=48"]].concat())).unwrap();
    let message = fails(&place, &[&small[..], &["text.max_length=73"]].concat());
    assert!(message.contains("text.max_length: 73 is more than the position table allows, 72"), "{message}");

    let other = bert_folder(&place, "other", &text.with_vocab_size(7));
    let message = fails(&place, &[small[0], small[1], &format!("init.text='{}'", other.display())]);
    assert!(message.starts_with("text.tokenizer: the tokenizer has "), "{message}");
    assert!(message.contains("tokens, init.text = ") && message.contains(" 7: name the tokenizer"), "{message}");
}

#[test]
fn without_settings_a_text_encoder_tells_what_shapes_tell() {
    let place = Place::new();
    let tokenizer = tokenizer(&place);
    let text = bert(&tokenizer).with_family(TextFamily::Roberta).with_heads(2).with_epsilon(1e-5);
    let folder = bert_folder(&place, "bare", &text);
    fs::remove_file(folder.join("config.json")).unwrap();
    let config = parse(
        &place,
        &["model.preset='small'", "model.vision.image_size=32", &format!("init.text='{}'", folder.display())],
    );
    assert_eq!(Setup::open(&config).unwrap().model.text, text);
}

#[test]
fn classification_needs_classes_and_the_synthetic_set_has_none() {
    let message = fails(&Place::new(), &["model.preset='small'", "task.kind=classification"]);
    assert!(message.starts_with("task.kind: classification reads prepared files with classes, data.sets"), "{message}");
}

/// A Swin that no preset has, in timm's names.
fn swin() -> SwinConfig {
    let swin = SwinConfig::new().with_image_size(64).with_patch_size(4).with_width(16);
    swin.with_depths([1, 1, 2, 1]).with_heads([1, 2, 4, 8]).with_window(2)
}

#[test]
fn a_recipe_chooses_swin_and_its_image_size() {
    let place = Place::new();
    let path = place.folder.path().join("swin/model.safetensors");
    write_part(&M3aeConfig::swin(swin()), "vision_encoder.", &path);
    let named = format!("init.vision='{}'", path.display());
    let changes = [
        "model.text={ width = 32, layers = 1, heads = 2, intermediate = 32 }",
        "model.fusion={ width = 32, heads = 2, layers = 1 }",
        "model.mim={ width = 32, heads = 2, layers = 1, layer = -1 }",
        &named,
    ];
    let message = fails(&place, &changes);
    assert!(message.starts_with("objectives.mim: masked image modelling is not defined for Swin"), "{message}");
    let changes = [&changes[..], &["objectives.mim=0"]].concat();
    let config = parse(&place, &changes);
    assert_eq!(Setup::open(&config).unwrap().model.vision, swin().into());
    one_step(&config).unwrap();
    let larger = parse(&place, &[&changes[..], &["model.vision.image_size=128"]].concat());
    assert_eq!(Setup::open(&larger).unwrap().model.vision, swin().at(128).into());
    one_step(&larger).unwrap();

    let message = fails(&place, &[&changes[..], &["model.preset='swin-base-224'"]].concat());
    assert!(
        message.starts_with("model.preset: `swin-base-224` has vision.depths = [2,2,18,2], init.vision = "),
        "{message}"
    );
    let message = fails(&place, &[&changes[..], &["model.vision.encoder='clip'"]].concat());
    assert!(message.starts_with("model.vision.encoder: init.vision = "), "{message}");
    let message = fails(&place, &[&changes[..], &["model.vision.layers=2"]].concat());
    assert!(message.starts_with("model.vision.layers: is a key of the other vision encoder"), "{message}");

    // The checkpoint that was trained so, fine-tuned at a third image size.
    let checkpoint = config.folder().join("checkpoints/step-000001");
    let named = format!("init.checkpoint='{}'", checkpoint.display());
    let fine_tuning = ["task.kind='question-answering'", "train.batch_size=1", &named];
    let config = parse(&place, &[&fine_tuning[..], &["model.vision.image_size=96"]].concat());
    assert_eq!(Setup::open(&config).unwrap().model.vision, swin().at(96).into());
    one_step(&config).unwrap();
}

#[test]
fn a_whole_model_contradicts_keys_and_presets_by_name() {
    let place = Place::new();
    let first =
        RunConfig::parse(&recipe(place.folder.path(), "phantom"), "tiny", &["run.name='first'".into()]).unwrap();
    one_step(&first).unwrap();
    let named = format!("init.checkpoint='{}'", first.folder().join("checkpoints/step-000001").display());
    let fine_tuning = ["task.kind='question-answering'", "train.batch_size=1", &named];
    let setup = Setup::open(&parse(&place, &fine_tuning)).unwrap();
    assert_eq!((setup.model.fusion.width, setup.model.vision.image_size()), (32, 32));
    for (change, expected) in [
        ("model.fusion.width=64", "model.fusion.width: 64 contradicts init.checkpoint = "),
        ("model.preset='small'", "model.preset: `small` has fusion.heads = 4, init.checkpoint = "),
        ("model.vision.patch_size=8", "model.vision.patch_size: 8 contradicts init.checkpoint = "),
    ] {
        let message = fails(&place, &[&fine_tuning[..], &[change]].concat());
        assert!(message.starts_with(expected), "{message}");
    }
    // What weights do not fix is the recipe's.
    let free = ["model.vision.image_size=64", "model.text.dropout=0.5", "model.fusion.dropout=0"];
    let model = Setup::open(&parse(&place, &[&fine_tuning[..], &free].concat())).unwrap().model;
    assert_eq!((model.vision.image_size(), model.text.dropout, model.fusion.dropout), (64, 0.5, 0.0));
    let message = fails(&place, &["task.kind='question-answering'", "init.checkpoint='nowhere'"]);
    assert!(message.starts_with("init.checkpoint: "), "{message}");
}
