//! Real images and captions: the image transform against what the reference computes with Pillow and torchvision, and a
//! real data set in ROCO's layout.

use m3ae_data::{ClipTransform, DecodeOptions, Loader, LoaderConfig, STD, SkipReason, decode, read_roco};
use m3ae_text::Tokenizer;
use safetensors::SafeTensors;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Development data beside the repository; nothing of it may be inside.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");

/// A folder of the development data; says so where it is missing.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: no development data at {}", path.display());
        return None;
    }
    Some(path)
}

/// Largest and mean absolute difference.
fn errors(values: &[f32], expected: &[f32]) -> (f32, f32) {
    assert_eq!(values.len(), expected.len());
    let differences = || values.iter().zip(expected).map(|(a, b)| (a - b).abs());
    (differences().fold(0.0, f32::max), differences().sum::<f32>() / values.len() as f32)
}

#[test]
fn transformed_images_are_the_references() {
    let Some(golden) = shared("golden/preprocess") else { return };
    let bytes = fs::read(golden.join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let expected: BTreeMap<&str, Vec<f32>> = tensors
        .iter()
        .map(|(name, view)| {
            let values = view.data().as_chunks().0;
            (name, values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        })
        .collect();
    assert!(!expected.is_empty());
    for key in expected.keys() {
        let (name, side) = key.split_once('@').unwrap();
        let image = decode(&golden.join("images").join(name), &DecodeOptions::default()).unwrap();
        let values = ClipTransform::new(side.parse().unwrap()).unwrap().apply(&image);
        // The reference saturates 16-bit grey; the same picture in 8 bits is what it should have computed.
        let truth = if name == "grey16.png" { format!("grey_l.png@{side}") } else { (*key).to_owned() };
        let (largest, mean) = errors(&values, &expected[truth.as_str()]);
        println!("{key:24} {:?} max {largest:.2e} mean {mean:.2e}", image.layout());
        // A PNG has one decoding. Of a JPEG, decoders may round the inverse transform and the colours differently.
        let step = 1.0 / 255.0 / STD[1];
        let limits = if name.ends_with(".png") { (1e-5, 1e-5) } else { (2.0 * step, 0.2 * step) };
        assert!(largest <= limits.0 && mean <= limits.1, "{key}: max {largest}, mean {mean}, allowed {limits:?}");
    }
}

#[test]
fn a_real_data_set_is_read_and_loaded_whole() {
    let (Some(root), Some(tokenizer)) = (shared("data/medpix2_roco_layout"), shared("data/tokenizers/roberta-base"))
    else {
        return;
    };
    for (split, lines) in [("train", 480), ("val", 70), ("test", 70)] {
        let set = read_roco(&root, split).unwrap();
        assert_eq!((set.lines_read, set.samples.len() + set.skipped.len()), (lines, lines));
        for skipped in &set.skipped {
            assert!(matches!(skipped.reason, SkipReason::TooFewWords { .. }), "{skipped}");
            println!("{skipped}");
        }
    }
    let set = read_roco(&root, "val").unwrap();
    let config = LoaderConfig { side: 32, drop_last: false, ..LoaderConfig::default() };
    let loader = Loader::new(&set.samples, &Tokenizer::load(&tokenizer).unwrap(), &config).unwrap();
    let batches: Vec<_> = loader.epoch(0, 0).collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), set.samples.len());
    assert!(batches.iter().all(|batch| batch.skipped.is_empty() && batch.text_ids.iter().all(|text| text.len() <= 64)));
}
