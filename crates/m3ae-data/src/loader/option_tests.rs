//! Promises that hold for every option: transforms, sorting by length, ranks and false texts.

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
    let shards = (1_usize..4).prop_flat_map(|world| (0..world).prop_map(move |rank| Shard { rank, world }));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (1_usize..6, any::<u64>(), transforms(), 0_usize..4, 0_usize..4, shards, flags).prop_map(
        |(batch_size, seed, transform, length_window, false_texts, shard, (shuffle, drop_last, false_images))| {
            let workers = 0;
            LoaderConfig {
                batch_size,
                seed,
                transform,
                length_window,
                false_texts,
                shard,
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
    fn ranks_share_the_batches_of_one_process(options in options(), count in 10_usize..60, world in 1_usize..5) {
        let samples = uneven(count);
        let of = |shard| batches(&samples, &LoaderConfig { shard, side: 1, ..options.clone() }, 1, 0);
        let alone = of(Shard::default());
        let ranks: Vec<Vec<CaptionBatch>> = (0..world).map(|rank| of(Shard { rank, world })).collect();
        let rounds = ranks[0].len();
        prop_assert!(ranks.iter().all(|batches| batches.len() == rounds));
        for (index, batch) in (0..rounds).flat_map(|round| ranks.iter().map(move |batches| &batches[round])).enumerate() {
            match alone.get(index) {
                Some(expected) => {
                    let renumbered = CaptionBatch { index, ..batch.clone() };
                    prop_assert_eq!(&renumbered, expected);
                }
                None => prop_assert!(batch.is_empty() && batch.skipped.is_empty() && !options.drop_last),
            }
        }
        // Nothing is lost but what fills no round.
        let expected = if options.drop_last { alone.len() / world } else { alone.len().div_ceil(world) };
        prop_assert_eq!(rounds, expected);
    }

    #[test]
    fn windows_keep_their_samples_and_pad_no_more(
        batch_size in 1_usize..6, length_window in 1_usize..5, count in 10_usize..60, seed in any::<u64>(),
    ) {
        let samples = uneven(count);
        let plain = LoaderConfig { batch_size, seed, side: 1, false_images: false, ..config() };
        let sorted = LoaderConfig { length_window, ..plain.clone() };
        let (plain, sorted) = (batches(&samples, &plain, 2, 0), batches(&samples, &sorted, 2, 0));
        let padded = |batches: &[CaptionBatch]| {
            batches.iter().map(|batch| pad(&batch.text_ids, 1).ids.len()).sum::<usize>()
        };
        let whole = count / batch_size;
        for (plain, sorted) in plain[..whole].chunks(length_window).zip(sorted[..whole].chunks(length_window)) {
            prop_assert_eq!(ids(plain).into_iter().collect::<BTreeSet<_>>(), ids(sorted).into_iter().collect());
            prop_assert!(padded(sorted) <= padded(plain));
        }
        prop_assert_eq!(&plain[whole..], &sorted[whole..]);
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
fn impossible_options_are_refused_by_name() {
    let refusal = |config| Loader::new(&samples(9), &FIXTURE.tokenizer, &config).err().unwrap().to_string();
    for shard in [Shard { rank: 0, world: 0 }, Shard { rank: 2, world: 2 }] {
        assert!(refusal(LoaderConfig { shard, ..config() }).contains("shard"));
    }
}

#[test]
fn huge_options_end_in_empty_epochs_and_not_in_overflows() {
    let samples = samples(9);
    let huge = LoaderConfig { batch_size: usize::MAX, length_window: usize::MAX, ..config() };
    assert_eq!(batches(&samples, &huge, 0, 0).len(), 1);
    let shard = Shard { rank: usize::MAX - 1, world: usize::MAX };
    let last = batches(&samples, &LoaderConfig { shard, ..huge }, 0, 0);
    assert!(last.len() == 1 && last[0].is_empty());
}

#[test]
fn the_draws_of_the_options_never_change() {
    // Recorded from the first version: a change here changes every run that uses them.
    let samples = uneven(9);
    let config = LoaderConfig { length_window: 2, false_texts: 2, batch_size: 2, side: 1, ..config() };
    let all = batches(&samples, &config, 2, 0);
    let texts: Vec<String> = all
        .iter()
        .flat_map(|batch| batch.false_texts.iter().flatten().flatten())
        .map(|text| FIXTURE.tokenizer.decode(text, true).split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!((ids(&all).join(" ").as_str(), texts.join(" ").as_str()), RECORDED);
}
const RECORDED: (&str, &str) = ("0#0 8#0 3#0 2#0 1#0 6#0 7#0 4#0 5#0", "1 4 2 3 2 5 0 7 2 6 0 8 2 0 7 1 8 7");
