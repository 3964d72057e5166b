//! The image transform against what the reference computes with Pillow and torchvision.

use std::fs;
use std::path::Path;

use m3ae_image::{ClipTransform, DecodeOptions, MEAN, STD, decode};
use safetensors::{Dtype, SafeTensors};

use crate::locate::{golden, larger_golden};

/// Largest and mean absolute difference.
fn errors(values: &[f32], expected: &[f32]) -> (f32, f32) {
    assert_eq!(values.len(), expected.len());
    let differences = || values.iter().zip(expected).map(|(a, b)| (a - b).abs());
    (differences().fold(0.0, f32::max), differences().sum::<f32>() / values.len() as f32)
}

/// A tensor [3, S, S] of the reference: its floats, or the 8-bit values from which it computed them.
fn expected(tensors: &SafeTensors, key: &str) -> Vec<f32> {
    let view = tensors.tensor(key).unwrap();
    match view.dtype() {
        Dtype::F32 => view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::U8 => {
            let channel = view.data().len() / 3;
            let normalised =
                |(i, &value): (usize, &u8)| (f32::from(value) / 255.0 - MEAN[i / channel]) / STD[i / channel];
            view.data().iter().enumerate().map(normalised).collect()
        }
        other => panic!("{key} is {other:?}"),
    }
}

/// Transforms every image that `expected.safetensors` has a tensor of, under the name `<file>@<side>`.
fn compare(folder: &Path, tensors_at_least: usize) {
    let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.len() >= tensors_at_least);
    for key in tensors.names() {
        let (name, side) = key.split_once('@').unwrap();
        let image = decode(&folder.join("images").join(name), &DecodeOptions::default()).unwrap();
        let values = ClipTransform::new(side.parse().unwrap()).unwrap().apply(&image);
        // The reference saturates 16-bit grey; the same picture in 8 bits is what it should have computed.
        let truth = if name == "grey16.png" { format!("grey_l.png@{side}") } else { key.to_owned() };
        let (largest, mean) = errors(&values, &expected(&tensors, &truth));
        println!("{key:24} {:?} max {largest:.2e} mean {mean:.2e}", image.layout());
        // A PNG has one decoding. JPEG decoders may round the inverse transform and the colours differently.
        let step = 1.0 / 255.0 / STD[1];
        let limits = if name.ends_with(".png") { (1e-5, 1e-5) } else { (2.0 * step, 0.2 * step) };
        assert!(largest <= limits.0 && mean <= limits.1, "{key}: max {largest}, mean {mean}, allowed {limits:?}");
    }
}

#[test]
fn transformed_images_are_the_references() {
    compare(&golden("preprocess"), 18);
}

#[test]
fn transformed_images_of_the_larger_set_are_the_references() {
    if let Some(folder) = larger_golden("golden/preprocess") {
        compare(&folder, 25);
    }
}
