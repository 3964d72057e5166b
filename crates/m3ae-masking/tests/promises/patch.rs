use m3ae_masking::{PatchMask, PatchMaskBatch, PatchMaskError, kept_patches};
use m3ae_random::{Key, Stream};
use proptest::prelude::*;

fn key(seed: u64, sample: &str) -> Key<'_> {
    Key { seed, epoch: 3, sample, stream: Stream::PatchNoise }
}

/// Noise with ties, and a ratio that keeps at least one patch.
fn noise_and_ratio() -> impl Strategy<Value = (Vec<f32>, f64)> {
    (prop::collection::vec((0_u8..20).prop_map(|n| f32::from(n) / 20.0), 1..200), 0.0..1.0)
        .prop_filter("keeps a patch", |(noise, ratio)| kept_patches(noise.len(), *ratio).is_ok())
}

proptest! {
    #[test]
    fn ids_restore_undoes_the_shuffle((noise, ratio) in noise_and_ratio()) {
        let mask = PatchMask::from_noise(&noise, ratio).unwrap();
        // The decoder's sequence: the kept patches, then the removed ones in whatever order the shuffle had.
        let mut order: Vec<usize> = (0..noise.len()).collect();
        order.sort_by_key(|&patch| mask.ids_restore[patch]);
        prop_assert_eq!(&order[..mask.keep], &mask.ids_keep[..]);
        let restored: Vec<usize> = mask.ids_restore.iter().map(|&place| order[place]).collect();
        prop_assert_eq!(restored, (0..noise.len()).collect::<Vec<_>>());
    }

    #[test]
    fn kept_and_removed_patches_are_all_patches((noise, ratio) in noise_and_ratio()) {
        let mask = PatchMask::from_noise(&noise, ratio).unwrap();
        let removed: Vec<usize> = (0..noise.len()).filter(|&patch| mask.mask[patch]).collect();
        prop_assert_eq!(mask.ids_keep.len(), mask.keep);
        prop_assert_eq!(mask.patches, noise.len());
        let mut all = [mask.ids_keep, removed].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..noise.len()).collect::<Vec<_>>());
    }

    #[test]
    fn the_smallest_noise_is_kept_in_its_order_with_ties_by_patch((noise, ratio) in noise_and_ratio()) {
        let mask = PatchMask::from_noise(&noise, ratio).unwrap();
        for pair in mask.ids_keep.windows(2) {
            prop_assert!((noise[pair[0]], pair[0]) < (noise[pair[1]], pair[1]));
        }
        let last = mask.ids_keep[mask.keep - 1];
        for removed in (0..noise.len()).filter(|&patch| mask.mask[patch]) {
            prop_assert!((noise[last], last) < (noise[removed], removed));
        }
    }

    #[test]
    fn the_same_key_gives_the_same_mask_and_another_sample_another(seed: u64) {
        let mask = PatchMask::draw(324, 0.75, key(seed, "a")).unwrap();
        prop_assert_eq!(&mask, &PatchMask::draw(324, 0.75, key(seed, "a")).unwrap());
        prop_assert_ne!(&mask, &PatchMask::draw(324, 0.75, key(seed, "b")).unwrap());
        // The draw's purpose is fixed: a key made for another purpose names the same mask.
        let other = Key { stream: Stream::TextMask, ..key(seed, "a") };
        prop_assert_eq!(&mask, &PatchMask::draw(324, 0.75, other).unwrap());
    }

    #[test]
    fn a_batch_is_its_images_one_after_another(seed: u64, images in 0_usize..6) {
        let names: Vec<String> = (0..images).map(|image| format!("image {image}")).collect();
        let batch = PatchMaskBatch::draw(16, 0.75, names.iter().map(|name| key(seed, name))).unwrap();
        prop_assert_eq!((batch.batch, batch.keep, batch.patches), (images, 4, 16));
        let alone: Vec<_> = names.iter().map(|name| PatchMask::draw(16, 0.75, key(seed, name)).unwrap()).collect();
        prop_assert_eq!(batch.ids_keep, alone.iter().flat_map(|m| m.ids_keep.clone()).collect::<Vec<_>>());
        prop_assert_eq!(batch.ids_restore, alone.iter().flat_map(|m| m.ids_restore.clone()).collect::<Vec<_>>());
        prop_assert_eq!(batch.mask, alone.iter().flat_map(|m| m.mask.clone()).collect::<Vec<_>>());
    }
}

#[test]
fn the_masks_are_the_reference_implementations() {
    // The first rows of `mim_noise`, `mim_ids_restore` and `mim_mask` of the golden data: `tiny` and `bert`.
    let noise = [
        0.539_249_3,
        0.781_298,
        0.989_819_5,
        0.040_973_782,
        0.401_742_28,
        0.690_072_9,
        0.754_353_2,
        0.117_810_31,
        0.283_528_45,
        0.254_459_92,
        0.255_132_38,
        0.008_469_224,
        0.574_222_56,
        0.496_452_93,
        0.167_292_77,
        0.669_409_16,
    ];
    let tiny = PatchMask::from_noise(&noise, 0.75).unwrap();
    assert_eq!(tiny.ids_restore, [9, 14, 15, 1, 7, 12, 13, 2, 6, 4, 5, 0, 10, 8, 3, 11]);
    let mask: Vec<u8> = tiny.mask.iter().map(|&removed| removed.into()).collect();
    assert_eq!(mask, [1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1]);
    assert_eq!(tiny.ids_keep, [11, 3, 7, 14]);
    let bert = PatchMaskBatch::from_noise(&[0.626_859_5, 0.454_141_68, 0.749_282_7, 0.548_353_7], 4, 0.75).unwrap();
    assert_eq!(bert.ids_restore, [2, 0, 3, 1]);
    assert_eq!(bert.mask, [true, false, true, true]);
}

#[test]
fn the_kept_count_is_pythons() {
    // int(N * (1 - ratio)), computed by Python 3; 0.9 and 0.7 are where a float32 or a rounding would differ.
    for (patches, ratio, keep) in
        [(324, 0.75, 81), (16, 0.75, 4), (10, 0.9, 0), (100, 0.9, 9), (10, 0.7, 3), (576, 0.6, 230), (7, 0.0, 7)]
    {
        let expected = if keep == 0 { Err(PatchMaskError::NothingKept { patches, ratio }) } else { Ok(keep) };
        assert_eq!(kept_patches(patches, ratio), expected, "{patches} {ratio}");
    }
}

#[test]
fn every_patch_is_kept_equally_often() {
    let mut kept = [0_u32; 16];
    for seed in 0..8_000 {
        for patch in PatchMask::draw(16, 0.75, key(seed, "a")).unwrap().ids_keep {
            kept[patch] += 1;
        }
    }
    // 2000 expected, standard deviation 39.
    assert!(kept.iter().all(|&n| (1_800..2_200).contains(&n)), "{kept:?}");
}

#[test]
fn rejects_ratios_outside_the_unit_interval_and_masks_that_keep_nothing() {
    for ratio in [-0.1, 1.0, 1.5, f64::INFINITY] {
        assert_eq!(kept_patches(16, ratio), Err(PatchMaskError::Ratio(ratio)));
    }
    assert!(matches!(kept_patches(16, f64::NAN), Err(PatchMaskError::Ratio(_))));
    assert_eq!(kept_patches(3, 0.75), Err(PatchMaskError::NothingKept { patches: 3, ratio: 0.75 }));
    assert_eq!(PatchMask::from_noise(&[], 0.0), Err(PatchMaskError::NothingKept { patches: 0, ratio: 0.0 }));
}

#[test]
fn rejects_noise_without_an_order_or_a_shape() {
    assert_eq!(PatchMask::from_noise(&[0.1, f32::NAN, 0.3, 0.2], 0.5), Err(PatchMaskError::Noise(1)));
    let ragged = PatchMaskBatch::from_noise(&[0.1; 5], 4, 0.5);
    assert_eq!(ragged, Err(PatchMaskError::Shape { noise: 5, patches: 4 }));
    assert!(PatchMaskBatch::from_noise(&[0.1], 0, 0.5).is_err());
}
