use m3ae_masking::matched_pairs;
use proptest::prelude::*;

proptest! {
    #[test]
    fn half_of_the_batch_rounded_down_is_matched(batch in 0_usize..300, seed: u64, step: u64) {
        let matched = matched_pairs(batch, seed, step);
        prop_assert_eq!(matched.len(), batch);
        prop_assert_eq!(matched.iter().filter(|&&m| m).count(), batch / 2);
        prop_assert_eq!(matched, matched_pairs(batch, seed, step));
    }

    #[test]
    fn each_step_has_its_own_assignment(seed: u64, step in 0_u64..u64::MAX) {
        // 256 choose 128 assignments: a coincidence will not be seen.
        prop_assert_ne!(matched_pairs(256, seed, step), matched_pairs(256, seed, step + 1));
    }
}

#[test]
fn every_place_is_matched_equally_often() {
    let mut counts = [0_u32; 9];
    for step in 0..9_000 {
        for (count, matched) in counts.iter_mut().zip(matched_pairs(9, 1, step)) {
            *count += u32::from(matched);
        }
    }
    // 4 of 9 are matched: 4000 expected, standard deviation 47.
    assert!(counts.iter().all(|&n| (3_760..4_240).contains(&n)), "{counts:?}");
}
