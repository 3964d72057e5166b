//! The image transform against what the reference computes with Pillow and torchvision.

use m3ae_image::{ClipTransform, DecodeOptions, STD, decode};
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
