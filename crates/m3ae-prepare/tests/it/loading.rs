//! Folders in ROCO's layout, loaded.

use std::fs;

use image::GrayImage;
use m3ae_data::{Loader, LoaderConfig, SkipReason};
use m3ae_image::{MEAN, STD};
use m3ae_prepare::read_roco;
use m3ae_text::Tokenizer;

use crate::locate::{golden, larger_golden};

#[test]
fn the_images_of_a_folder_reach_the_loader() {
    const SIDE: usize = 4;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("val/radiology");
    fs::create_dir_all(folder.join("images")).unwrap();
    fs::write(folder.join("captions.txt"), "a\tone two three\nb\tfour five six\n").unwrap();
    for (name, grey) in [("a.png", 60), ("b.png", 100)] {
        GrayImage::from_pixel(6, 5, [grey].into()).save(folder.join("images").join(name)).unwrap();
    }
    let set = read_roco(root.path(), "val").unwrap();
    let tokenizer = Tokenizer::train(["one two three four five six"], 261).unwrap();
    let config = LoaderConfig { batch_size: 2, side: SIDE, shuffle: false, ..LoaderConfig::default() };
    let loader = Loader::new(&set.samples, &tokenizer, &config).unwrap();
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    let firsts = |values: &[f32]| values.iter().step_by(3 * SIDE * SIDE).copied().collect::<Vec<f32>>();
    let red = |grey: f32| (grey / 255.0 - MEAN[0]) / STD[0];
    assert_eq!(firsts(&batch.images), [red(60.0), red(100.0)]);
    assert_eq!(firsts(batch.false_images.as_ref().unwrap()), [red(100.0), red(60.0)]);
}

#[test]
fn a_real_data_set_is_read_and_loaded_whole() {
    let Some(root) = larger_golden("data/medpix2_roco_layout") else { return };
    let tokenizer = golden("text/roberta-base");
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
