//! The loader's promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use image::GrayImage;
use m3ae_image::{MEAN, STD};
use m3ae_text::Tokenizer;
use proptest::prelude::*;

use crate::*;

pub(super) const SIDE: usize = 4;
const IMAGES: usize = 9;

/// Nine images, each of one grey, and a tokenizer; made once.
pub(super) struct Fixture {
    folder: tempfile::TempDir,
    pub(super) tokenizer: Tokenizer,
}

pub(super) static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..IMAGES {
        GrayImage::from_pixel(6, 5, [grey(i)].into()).save(folder.path().join(format!("{i}.png"))).unwrap();
    }
    for (name, content) in [("empty.png", &b""[..]), ("page.png", b"<!DOCTYPE html>")] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let whole = fs::read(folder.path().join("0.png")).unwrap();
    fs::write(folder.path().join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    Fixture { folder, tokenizer: Tokenizer::train(["effusion of image number"], 261).unwrap() }
});

fn grey(image: usize) -> u8 {
    20 * image as u8 + 7
}

fn path(name: &str) -> PathBuf {
    FIXTURE.folder.path().join(name)
}

/// `count` samples over the nine images, in turn.
pub(super) fn samples(count: usize) -> Vec<CaptionSample> {
    (0..count)
        .map(|i| CaptionSample {
            id: format!("{}#{}", i % IMAGES, i / IMAGES),
            image: path(&format!("{}.png", i % IMAGES)),
            caption: format!("image number {i}"),
        })
        .collect()
}

pub(super) fn config() -> LoaderConfig {
    LoaderConfig { batch_size: 4, side: SIDE, max_length: 32, drop_last: false, ..LoaderConfig::default() }
}

pub(super) fn loader(samples: &[CaptionSample], config: &LoaderConfig) -> Loader {
    Loader::new(samples, &FIXTURE.tokenizer, config).unwrap()
}

pub(super) fn batches(samples: &[CaptionSample], config: &LoaderConfig, epoch: u64, first: usize) -> Vec<CaptionBatch> {
    loader(samples, config).epoch(epoch, first).collect::<Result<_, _>>().unwrap()
}

pub(super) fn ids(batches: &[CaptionBatch]) -> Vec<&str> {
    batches.iter().flat_map(|batch| &batch.sample_ids).map(String::as_str).collect()
}

/// Which of the nine images each `[3, S, S]` block is.
fn which(values: &[f32]) -> Vec<usize> {
    let expected: Vec<f32> = (0..IMAGES).map(|i| (f32::from(grey(i)) / 255.0 - MEAN[0]) / STD[0]).collect();
    let blocks = values.chunks_exact(3 * SIDE * SIDE);
    blocks.map(|block| expected.iter().position(|&value| (value - block[0]).abs() < 1e-6).unwrap()).collect()
}

/// The image in a sample's id.
pub(super) fn own(id: &str) -> usize {
    id.split('#').next().unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn batches_do_not_depend_on_workers_prefetch_or_cache(
        count in 2_usize..30, batch_size in 1_usize..7, workers in 1_usize..5, prefetch in 1_usize..6,
        cache_mib in 0_usize..2, seed in any::<u64>(), epoch in 0_u64..3, drop_last in any::<bool>(),
    ) {
        let samples = samples(count);
        let alone = LoaderConfig { batch_size, seed, drop_last, workers: 0, cache_mib: 0, ..config() };
        let many = LoaderConfig { workers, prefetch, cache_mib, ..alone.clone() };
        prop_assert_eq!(batches(&samples, &alone, epoch, 0), batches(&samples, &many, epoch, 0));
    }

    #[test]
    fn resuming_gives_the_rest_of_the_epoch(
        count in 2_usize..30, batch_size in 1_usize..7, first in 0_usize..12, seed in any::<u64>(),
    ) {
        let samples = samples(count);
        let config = LoaderConfig { batch_size, seed, ..config() };
        let whole = batches(&samples, &config, 5, 0);
        let rest = batches(&samples, &config, 5, first);
        prop_assert_eq!(&whole[first.min(whole.len())..], &rest[..]);
        prop_assert!(whole.iter().enumerate().all(|(i, batch)| (batch.epoch, batch.index) == (5, i)));
    }

    #[test]
    fn an_epoch_visits_every_sample_once(count in 2_usize..40, batch_size in 1_usize..9, seed in any::<u64>()) {
        let samples = samples(count);
        let config = LoaderConfig { batch_size, seed, ..config() };
        let whole = batches(&samples, &config, 0, 0);
        let visited: BTreeSet<&str> = ids(&whole).into_iter().collect();
        prop_assert_eq!(visited, samples.iter().map(|sample| sample.id.as_str()).collect());
        prop_assert_eq!(ids(&whole).len(), count);
        // Only the last batch may be smaller, and drop_last drops just that.
        let full = batches(&samples, &LoaderConfig { drop_last: true, ..config }, 0, 0);
        prop_assert!(full.iter().all(|batch| batch.len() == batch_size));
        prop_assert_eq!(&whole[..count / batch_size], &full[..]);
    }

    #[test]
    fn images_texts_and_false_images_belong_to_their_sample(count in 2_usize..30, seed in any::<u64>()) {
        let samples = samples(count);
        for batch in batches(&samples, &LoaderConfig { seed, ..config() }, 0, 0) {
            let owns: Vec<usize> = batch.sample_ids.iter().map(|id| own(id)).collect();
            prop_assert_eq!(&which(&batch.images), &owns);
            let others = which(batch.false_images.as_ref().unwrap());
            prop_assert!(others.iter().zip(&owns).all(|(other, own)| other != own));
            for (id, text) in batch.sample_ids.iter().zip(&batch.text_ids) {
                let caption = &samples.iter().find(|sample| sample.id == *id).unwrap().caption;
                prop_assert_eq!(&FIXTURE.tokenizer.decode(text, true), caption);
            }
        }
    }
}

#[test]
fn epochs_and_seeds_differ_and_no_shuffle_keeps_the_order() {
    let samples = samples(20);
    let order = |config: &LoaderConfig, epoch| ids(&batches(&samples, config, epoch, 0)).join(" ");
    let (first, other) = (config(), LoaderConfig { seed: 1, ..config() });
    assert_ne!(order(&first, 0), order(&first, 1));
    assert_ne!(order(&first, 0), order(&other, 0));
    let plain: Vec<&str> = samples.iter().map(|sample| sample.id.as_str()).collect();
    assert_eq!(order(&LoaderConfig { shuffle: false, ..config() }, 3), plain.join(" "));
}

#[test]
fn false_images_are_uniform_over_the_others() {
    let samples = samples(IMAGES);
    let loader = loader(&samples, &LoaderConfig { workers: 0, ..config() });
    let mut drawn: BTreeMap<usize, usize> = BTreeMap::new();
    for epoch in 0..600 {
        for batch in loader.epoch(epoch, 0) {
            let batch = batch.unwrap();
            let at = batch.sample_ids.iter().position(|id| own(id) == 4);
            at.into_iter()
                .for_each(|at| *drawn.entry(which(batch.false_images.as_ref().unwrap())[at]).or_default() += 1);
        }
    }
    // 75 each expected of the 8 others, standard deviation 8: five of them either way.
    assert_eq!(drawn.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 5, 6, 7, 8]);
    assert!(drawn.values().all(|count| (35..115).contains(count)), "{drawn:?}");
}

#[test]
fn unreadable_images_leave_their_batch_with_a_reason() {
    let mut samples = samples(6);
    for (index, name) in [(1, "empty.png"), (2, "page.png"), (4, "cut.png"), (5, "absent.png")] {
        samples[index].image = path(name);
    }
    let config = LoaderConfig { shuffle: false, batch_size: 3, ..config() };
    let all = batches(&samples, &config, 0, 0);
    assert_eq!(ids(&all), ["0#0", "3#0"]);
    for batch in &all {
        // What is left is whole, and the false images are readable ones.
        assert_eq!((batch.len(), batch.is_empty()), (1, false));
        assert_eq!(which(&batch.images), [own(&batch.sample_ids[0])]);
        assert_eq!(which(batch.false_images.as_ref().unwrap()).len(), 1);
    }
    let skipped: Vec<String> = all.iter().flat_map(|batch| &batch.skipped).map(ToString::to_string).collect();
    let expected = [
        ("empty.png (1#0)", "empty"),
        ("page.png (2#0)", "neither"),
        ("cut.png (4#0)", ""),
        ("absent.png (5#0)", "read"),
    ];
    assert_eq!(skipped.len(), expected.len());
    for (message, (file, reason)) in skipped.iter().zip(expected) {
        assert!(message.contains(file) && message.contains(reason), "{message}");
    }
}

#[test]
fn a_sample_without_any_readable_false_image_is_skipped() {
    let mut samples = samples(2);
    samples[1].image = path("empty.png");
    let all = batches(&samples, &LoaderConfig { shuffle: false, ..config() }, 0, 0);
    assert_eq!((all.len(), all[0].len(), all[0].skipped.len()), (1, 0, 2));
    assert!(matches!(&all[0].skipped[0].reason, SkipReason::NoFalseImage { last, .. } if last.contains("empty.png")));
    let without = LoaderConfig { false_images: false, ..config() };
    let all = batches(&samples, &without, 0, 0);
    assert_eq!((all[0].len(), all[0].skipped.len(), &all[0].false_images), (1, 1, &None));
}

#[test]
fn captions_are_cut_to_the_length_and_counted() {
    let mut samples = samples(3);
    samples[1].caption = "of ".repeat(40);
    let loader = loader(&samples, &LoaderConfig { shuffle: false, ..config() });
    assert_eq!((loader.len(), loader.images(), loader.batches(), loader.truncated()), (3, 3, 1, 1));
    assert_eq!(loader.epoch(0, 0).next().unwrap().unwrap().text_ids[1].len(), 32);
}

#[test]
fn impossible_settings_are_refused_by_name() {
    let refusal = |samples: &[CaptionSample], config: LoaderConfig| {
        Loader::new(samples, &FIXTURE.tokenizer, &config).err().unwrap().to_string()
    };
    let three = samples(3);
    assert!(refusal(&three, LoaderConfig { batch_size: 0, ..config() }).contains("batch_size"));
    assert!(refusal(&three, LoaderConfig { prefetch: 0, ..config() }).contains("prefetch"));
    assert!(refusal(&three, LoaderConfig { side: 0, ..config() }).contains("side"));
    assert!(refusal(&three, LoaderConfig { max_length: 1, ..config() }).contains("max_length"));
    assert!(refusal(&[], config()).contains("no sample"));
    assert!(refusal(&[three[0].clone(), three[0].clone()], config()).contains("\"0#0\""));
    assert!(refusal(&samples(1), config()).contains("false_images"));
}

#[test]
fn an_abandoned_epoch_ends_its_threads() {
    let samples = samples(30);
    let loader = loader(&samples, &LoaderConfig { batch_size: 1, workers: 4, ..config() });
    let mut epoch = loader.epoch(0, 0);
    epoch.next().unwrap().unwrap();
    drop(epoch);
    // Threads hold the images; those of an ended epoch do not any more.
    assert_eq!(Arc::strong_count(&loader.shared), 1);
}

#[test]
fn the_draws_of_a_seed_never_change() {
    // Recorded from the first version: a change here changes every run.
    let all = batches(&samples(9), &config(), 2, 0);
    assert_eq!(ids(&all).join(" "), "0#0 8#0 3#0 2#0 4#0 1#0 7#0 6#0 5#0");
    let drawn: Vec<usize> = all.iter().flat_map(|batch| which(batch.false_images.as_ref().unwrap())).collect();
    assert_eq!(drawn, [3, 4, 5, 1, 3, 7, 4, 5, 3]);
}
