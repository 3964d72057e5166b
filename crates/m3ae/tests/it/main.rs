//! Promises of the facade, on a tiny model with random weights.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

use std::fs;
use std::path::PathBuf;

use burn::prelude::*;
use m3ae::{Model, ModelError, OpenOptions};
use m3ae_image::{Image, Layout};
use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, SwinConfig, TextConfig, Texts};
use m3ae_text::Tokenizer;
use m3ae_weights::{Extras, export_folder};

fn config(tokens: usize) -> M3aeConfig {
    M3aeConfig::new(
        ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64).with_layers(1),
        TextConfig::new()
            .with_vocab_size(tokens)
            .with_width(16)
            .with_layers(1)
            .with_heads(2)
            .with_intermediate(32)
            .with_max_positions(20),
        FusionConfig::new().with_width(24).with_heads(4).with_layers(2),
        MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(Some(1)),
        HeadsConfig::new().with_vqa(Some(4)),
    )
    .with_initializer_range(0.2)
}

/// A model folder in a temporary folder.
fn exported() -> (tempfile::TempDir, PathBuf) {
    exported_with(|config| config)
}

/// The same with a changed configuration.
fn exported_with(change: impl Fn(M3aeConfig) -> M3aeConfig) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = Tokenizer::train(["is there an effusion", "which plane is this"], 300).unwrap();
    tokenizer.save(&folder.path().join("tokenizer")).unwrap();
    let config = change(config(tokenizer.vocab_size()));
    let device = Device::default();
    device.seed(5);
    let model = config.init(&device).unwrap();
    let answers = ["yes", "no", "axial", "coronal"].map(String::from).to_vec();
    let extras =
        Extras { tokenizer: Some(folder.path().join("tokenizer")), answers: Some(answers), max_length: Some(12) };
    let out = folder.path().join("model");
    export_folder(&model, &config, &extras, &out).unwrap();
    (folder, out)
}

fn open(path: &std::path::Path) -> Model {
    Model::open(path.to_str().unwrap(), &Device::default()).unwrap()
}

fn image(shade: u8) -> Image {
    let pixels = (0..40 * 30).map(|i| ((i * 7) % 200) as u8 ^ shade).collect();
    Image::new(40, 30, Layout::Grey, pixels).unwrap()
}

#[test]
fn a_model_with_swin_opens_at_another_image_size() {
    let (_folder, path) = exported_with(|config| {
        let swin = SwinConfig::new().with_width(8).with_depths([1, 2, 1, 1]).with_heads([1, 2, 2, 4]).at(64);
        M3aeConfig { heads: HeadsConfig { mim: false, ..config.heads.clone() }, ..config }.with_vision(swin)
    });
    let larger = OpenOptions::new().image_size(Some(96)).open(path.to_str().unwrap(), &Device::default()).unwrap();
    assert_eq!(larger.config().vision.swin().map(|swin| (swin.image_size, swin.window)), Some((96, 3)));
    // Every stage's bias tables follow the window's side.
    assert!(!larger.load_report().resized.is_empty());
    assert_eq!(larger.answer(&image(1), "which plane", 4).unwrap().top.len(), 4);
    assert_eq!(open(&path).config().vision.image_size(), 64);
}

#[test]
fn a_model_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Model>();
    let (_folder, path) = exported();
    let model = open(&path);
    let alone = model.answer(&image(1), "which plane", 4).unwrap();
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..3).map(|_| scope.spawn(|| model.answer(&image(1), "which plane", 4).unwrap())).collect();
        asked.into_iter().for_each(|asked| assert_eq!(asked.join().unwrap(), alone));
    });
}

#[test]
fn shared_encodings_and_batches_give_what_single_full_passes_give() {
    let (_folder, path) = exported();
    let model = OpenOptions::new().batch_size(Some(2)).open(path.to_str().unwrap(), &Device::default()).unwrap();
    let images = [image(0), image(90), image(33)];
    let questions =
        [(2, "which plane is this"), (0, "is there an effusion"), (2, "effusion"), (1, "plane"), (0, "plane")];
    let answers = model.answer_batch(&images, &questions, 4).unwrap();
    for (&(row, question), answers) in questions.iter().zip(&answers) {
        // The whole network, without any sharing.
        let pixels = model.pixels(&[model.crop(&images[row]).unwrap()]);
        let texts = Texts::new(&[model.tokens(question).unwrap().ids], 0, model.device());
        let cls = model.network().forward(texts, pixels).pooled;
        let logits: Vec<f32> = model
            .network()
            .vqa_head
            .as_ref()
            .unwrap()
            .forward(cls, model.network().precision())
            .try_into_vec_as()
            .unwrap();
        assert_eq!(answers.top.len(), 4);
        for answer in &answers.top {
            let expected = 1.0 / (1.0 + (-f64::from(logits[answer.class])).exp());
            assert!((answer.probability - expected).abs() < 1e-5, "{question}: {answer:?}, {expected}");
        }
        assert!(answers.top.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
    }
}

#[test]
fn features_and_matches_are_the_same_alone_and_together() {
    let (_folder, path) = exported();
    let model = open(&path);
    let images = [image(0), image(90)];
    assert_eq!(model.embed_image(&images[1]).unwrap().len(), 64);
    assert_eq!(model.embed_text("plane").unwrap().len(), 16);
    let pair = model.embed_pair(&images[1], "plane").unwrap();
    assert_eq!(pair.len(), 48);
    let encoded = model.encode_images(&images).unwrap();
    let together = model.embed_pairs(&encoded, &[(0, "an effusion is there"), (1, "plane")]).unwrap();
    assert!(pair.iter().zip(&together[1]).all(|(a, b)| (a - b).abs() < 1e-5));
    let matched = model.match_score(&images[1], "plane").unwrap();
    let probability = matched.probability.unwrap();
    assert!((0.0..=1.0).contains(&probability), "{matched:?}");
    assert_ne!(matched, model.match_score(&images[0], "plane").unwrap());
}

#[test]
fn scores_of_many_pairs_are_those_of_whole_passes() {
    let (_folder, path) = exported();
    let model = OpenOptions::new().batch_size(Some(2)).open(path.to_str().unwrap(), &Device::default()).unwrap();
    let images = [image(0), image(90)];
    let captions = ["which plane is this", "plane", "is there an effusion", "an effusion"];
    let texts = model.encode_texts(&captions).unwrap();
    let encoded = model.encode_images(&images).unwrap();
    for (row, image) in images.iter().enumerate() {
        let scores = model.score_image(&encoded, row, &texts).unwrap();
        for (caption, score) in captions.iter().zip(scores) {
            let pixels = model.pixels(&[model.crop(image).unwrap()]);
            let texts = Texts::new(&[model.tokens(caption).unwrap().ids], 0, model.device());
            let cls = model.network().forward(texts, pixels).pooled;
            let logits: Vec<f32> = model
                .network()
                .itm_head
                .as_ref()
                .unwrap()
                .forward(cls, model.network().precision())
                .try_into_vec_as()
                .unwrap();
            assert!((score - logits[1]).abs() < 1e-5, "{caption}: {score} {logits:?}");
        }
    }
    assert!(model.score_image(&encoded, 2, &texts).is_err());
}

#[test]
fn masked_words_and_patches_are_filled() {
    let (_folder, path) = exported();
    let model = open(&path);
    let images = model.encode_images(&[image(3)]).unwrap();
    assert_eq!(model.mask_token(), "<mask>");
    let filled = model.fill_masks(&images, 0, "which <mask> is <mask>", 3).unwrap();
    assert_eq!(filled.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    assert!(filled[0][0].probability >= filled[0][1].probability && filled[0][0].probability < 1.0);
    assert!(matches!(model.fill_masks(&images, 0, "which plane", 3), Err(ModelError::NoMask { .. })));
    let draw = |seed| model.reconstruct(&image(3), "", 0.5, seed).unwrap();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let error = model.reconstruct(&image(3), "", 1.5, 0).unwrap_err().to_string();
    assert!(error.contains("share of patches"), "{error}");
}

#[test]
fn attention_is_a_share_of_the_patches() {
    let (_folder, path) = exported();
    let model = open(&path);
    let images = model.encode_images(&[image(3)]).unwrap();
    let map = &model.attention(&images, &[(0, "which plane")]).unwrap()[0];
    assert_eq!((map.grid, map.weights.len()), (4, 16));
    let sum: f32 = map.weights.iter().sum();
    assert!(sum > 0.5 && sum < 1.0, "{sum}");
}

#[test]
fn long_questions_lose_their_end_and_say_so() {
    let (_folder, path) = exported();
    let model = open(&path);
    assert_eq!(model.max_length(), 12);
    let long = "is there an effusion ".repeat(30);
    assert!(model.answer(&image(0), &long, 1).unwrap().truncated);
    assert!(!model.answer(&image(0), "plane", 1).unwrap().truncated);
    // The position table bounds what can be asked for.
    let long = OpenOptions::new().max_length(Some(500)).open(path.to_str().unwrap(), &Device::default()).unwrap();
    assert_eq!(long.max_length(), 18);
}

#[test]
fn what_cannot_be_answered_is_an_error_that_says_why() {
    let (folder, path) = exported();
    let model = open(&path);
    assert!(matches!(model.answer(&image(0), " \t", 1), Err(ModelError::EmptyText)));
    let tiny = Image::new(1, 40, Layout::Grey, vec![0; 40]).unwrap();
    let error = model.answer(&tiny, "plane", 1).unwrap_err().to_string();
    assert!(error.contains("1×40 pixels: too small"), "{error}");
    let error = model.answer_batch(&[image(0)], &[(1, "plane")], 1).unwrap_err().to_string();
    assert!(error.contains("image 1 of 1"), "{error}");

    let open = |options: OpenOptions| options.open(path.to_str().unwrap(), &Device::default()).map(|_| ());
    let error = open(OpenOptions::new().answers(Some(vec!["yes".into()]))).unwrap_err().to_string();
    assert!(error.contains("gives 4 classes, but the vocabulary has 1 answers"), "{error}");
    Tokenizer::train(["quite other words than those that were there before"; 3], 400)
        .unwrap()
        .save(&folder.path().join("other"))
        .unwrap();
    let error = open(OpenOptions::new().tokenizer(Some(folder.path().join("other")))).unwrap_err().to_string();
    assert!(error.contains("it is another model's"), "{error}");
    let error = open(OpenOptions::new().image_size(Some(33))).unwrap_err().to_string();
    assert!(error.contains("33 is not a multiple"), "{error}");
    fs::remove_file(path.join("answers.json")).unwrap();
    let error = self::open(&path).answer(&image(0), "plane", 1).unwrap_err().to_string();
    assert!(error.contains("no answers.json"), "{error}");
    fs::remove_file(path.join("tokenizer.json")).unwrap();
    let error = open(OpenOptions::new()).unwrap_err().to_string();
    assert!(error.contains("no tokenizer beside it"), "{error}");
}

#[test]
fn damaged_weights_never_become_an_answer() {
    let (_folder, path) = exported();
    let weights = path.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let end = bytes.len();
    // The last tensor in alphabetical order is the question-answering head's.
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, bytes).unwrap();
    let error = open(&path).answer(&image(0), "plane", 1).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
}
