//! Promises that hold for every option: transforms, cache and false texts.

use std::collections::{BTreeMap, BTreeSet};

use m3ae_image::Transform;
use proptest::prelude::*;

use super::tests::*;
use crate::*;

/// Captions of very different lengths.
fn uneven(count: usize) -> Vec<CaptionSample> {
    let mut samples = samples(count);
    for (i, sample) in samples.iter_mut().enumerate() {
        sample.caption = format!("number {i} {}", "of ".repeat(i * 7 % 23));
    }
    samples
}

fn transforms() -> impl Strategy<Value = Transform> {
    proptest::sample::select(Transform::ALL.to_vec())
}

/// Options that change batches.
fn options() -> impl Strategy<Value = LoaderConfig> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (1_usize..6, any::<u64>(), transforms(), 0_usize..4, flags).prop_map(
        |(batch_size, seed, transform, false_texts, (shuffle, drop_last, false_images))| {
            let workers = 0;
            LoaderConfig {
                batch_size,
                seed,
                transform,
                false_texts,
                shuffle,
                drop_last,
                false_images,
                workers,
                cache_mib: 0,
                ..config()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_option_lets_batches_depend_on_workers_prefetch_or_cache(
        options in options(), count in 10_usize..40, workers in 1_usize..5, prefetch in 1_usize..6,
        cache_mib in 0_usize..2, epoch in 0_u64..3,
    ) {
        let samples = uneven(count);
        let many = LoaderConfig { workers, prefetch, cache_mib, ..options.clone() };
        prop_assert_eq!(batches(&samples, &options, epoch, 0), batches(&samples, &many, epoch, 0));
    }

    #[test]
    fn every_option_resumes_exactly(options in options(), count in 10_usize..40, first in 0_usize..20) {
        let samples = uneven(count);
        let whole = batches(&samples, &options, 3, 0);
        let rest = batches(&samples, &LoaderConfig { workers: 2, ..options.clone() }, 3, first);
        prop_assert_eq!(&whole[first.min(whole.len())..], &rest[..]);
    }

    #[test]
    fn false_texts_are_other_texts_of_other_images(count in 10_usize..40, false_texts in 1_usize..20, seed in any::<u64>()) {
        let mut samples = uneven(count);
        // Image 9 % 9 = 0 says what image 1 says.
        samples[9].caption = samples[1].caption.clone();
        let images: BTreeMap<String, BTreeSet<usize>> = samples.iter().fold(BTreeMap::new(), |mut images, sample| {
            images.entry(sample.caption.trim().to_owned()).or_default().insert(own(&sample.id));
            images
        });
        for batch in batches(&samples, &LoaderConfig { seed, false_texts, side: 1, false_images: false, max_length: 128, ..config() }, 0, 0) {
            let drawn = batch.false_texts.as_ref().unwrap();
            prop_assert_eq!(drawn.len(), batch.len());
            for ((id, text), drawn) in batch.sample_ids.iter().zip(&batch.text_ids).zip(drawn) {
                prop_assert_eq!(drawn.len(), false_texts);
                for other in drawn {
                    prop_assert!(other != text);
                    let said = FIXTURE.tokenizer.decode(other, true);
                    prop_assert!(images[said.trim()].iter().any(|&image| image != own(id)), "{} {}", id, said);
                }
            }
        }
    }
}

#[test]
fn false_texts_are_uniform_over_the_other_samples() {
    // Images 0 to 8, the first three twice: sample 0#0 has 10 others.
    let samples = samples(12);
    let config = LoaderConfig { false_texts: 50, side: 1, false_images: false, workers: 0, ..config() };
    let loader = loader(&samples, &config);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for epoch in 0..100 {
        for batch in loader.epoch(epoch, 0).map(Result::unwrap) {
            if let Some(at) = batch.sample_ids.iter().position(|id| id == "0#0") {
                for text in &batch.false_texts.as_ref().unwrap()[at] {
                    *counts.entry(FIXTURE.tokenizer.decode(text, true)).or_default() += 1;
                }
            }
        }
    }
    // 500 each expected, standard deviation 21: five of them either way.
    assert_eq!(counts.len(), 10);
    assert!(counts.values().all(|count| (394..606).contains(count)), "{counts:?}");
    assert!(!counts.contains_key("image number 0") && !counts.contains_key("image number 9"));
}

#[test]
fn samples_without_any_false_text_are_named_when_the_loader_is_made() {
    let refusal = |samples: &[CaptionSample]| {
        let config = LoaderConfig { false_texts: 2, false_images: false, ..config() };
        Loader::new(samples, &FIXTURE.tokenizer, &config).err().map(|error| error.to_string())
    };
    let mut samples = samples(10);
    assert_eq!(refusal(&samples), None);
    // Image 0 has two texts, image 1 one of them, and there are no more images: image 1's text has a false one, that of
    // 0#0 not.
    samples.retain(|sample| own(&sample.id) < 2);
    samples[1].caption = samples[0].caption.clone();
    let message = refusal(&samples).unwrap();
    assert!(message.contains("false_texts") && message.contains("\"0#0\""), "{message}");
    assert!(refusal(&samples[..1]).unwrap().contains("\"0#0\""));
}

#[test]
fn random_transforms_differ_by_epoch_and_sample_and_not_by_batch() {
    let folder = tempfile::tempdir().unwrap();
    let picture = ::image::GrayImage::from_fn(40, 37, |x, y| [(x * 5 + y * 3) as u8].into());
    let samples: Vec<CaptionSample> = (0..8)
        .map(|i| {
            let image = folder.path().join(format!("{i}.png"));
            picture.save(&image).unwrap();
            CaptionSample { id: i.to_string(), image, caption: format!("image number {i}") }
        })
        .collect();
    let crops = |transform, batch_size, epoch| {
        let config = LoaderConfig { transform, batch_size, ..config() };
        let mut crops = BTreeMap::new();
        for batch in batches(&samples, &config, epoch, 0) {
            let values = batch
                .images
                .chunks_exact(3 * SIDE * SIDE)
                .zip(batch.false_images.as_ref().unwrap().chunks_exact(3 * SIDE * SIDE));
            for (id, (image, other)) in batch.sample_ids.iter().zip(values) {
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
                crops.insert(id.clone(), (bits(image), bits(other)));
            }
        }
        crops
    };
    for transform in Transform::ALL {
        let first = crops(transform, 3, 0);
        assert_eq!(first, crops(transform, 8, 0), "{transform}");
        let distinct: BTreeSet<_> = first.values().map(|(image, _)| image).collect();
        let false_distinct: BTreeSet<_> = first.values().map(|(_, image)| image).collect();
        if transform.is_random() {
            assert!(distinct.len() > 4 && false_distinct.len() > 4, "{transform}");
            assert_ne!(first, crops(transform, 3, 1), "{transform}");
        } else {
            assert_eq!((distinct.len(), false_distinct.len()), (1, 1));
        }
    }
}

#[test]
fn a_huge_batch_is_one_batch_and_no_overflow() {
    let samples = samples(9);
    let huge = LoaderConfig { batch_size: usize::MAX, ..config() };
    assert_eq!(batches(&samples, &huge, 0, 0).len(), 1);
}

#[test]
fn the_draws_of_the_options_never_change() {
    // Recorded from the first version: a change here changes every run that uses them.
    let samples = uneven(9);
    let config = LoaderConfig { false_texts: 2, batch_size: 2, side: 1, ..config() };
    let all = batches(&samples, &config, 2, 0);
    let texts: Vec<String> = all
        .iter()
        .flat_map(|batch| batch.false_texts.iter().flatten().flatten())
        .map(|text| FIXTURE.tokenizer.decode(text, true).split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!((ids(&all).join(" ").as_str(), texts.join(" ").as_str()), RECORDED);
}
const RECORDED: (&str, &str) = ("0#0 8#0 3#0 2#0 4#0 1#0 7#0 6#0 5#0", "1 4 2 3 2 5 0 7 7 1 2 6 2 0 0 8 8 7");
