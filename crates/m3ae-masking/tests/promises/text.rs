use m3ae_masking::{
    IGNORED, MAX_PREDICTIONS, MaskedText, TextMaskConfig, TextMaskError, TextMasker, Unit, Vocabulary, VocabularyError,
};
use m3ae_random::{Key, Stream};
use proptest::prelude::*;

const START: u32 = 0;
const PADDING: u32 = 1;
const END: u32 = 2;
const MASK: u32 = 99;
const SPECIAL: [u32; 5] = [START, PADDING, END, 50, MASK];

fn masker(config: TextMaskConfig) -> TextMasker {
    TextMasker::new(config, Vocabulary::new(100, MASK, PADDING, &[START, END, 50]).unwrap()).unwrap()
}

fn key(seed: u64, sample: &str) -> Key<'_> {
    Key { seed, epoch: 3, sample, stream: Stream::TextMask }
}

/// The chosen positions.
fn chosen(masked: &MaskedText) -> Vec<usize> {
    (0..masked.labels.len()).filter(|&position| masked.labels[position] != IGNORED).collect()
}

/// A caption between its special tokens, then padding; for each token whether it starts a word.
fn caption() -> impl Strategy<Value = (Vec<u32>, Vec<bool>)> {
    (prop::collection::vec((3_u32..99, any::<bool>()), 0..120), 0_usize..20).prop_map(|(tokens, padding)| {
        let (body, starts): (Vec<u32>, Vec<bool>) = tokens.into_iter().unzip();
        let ids = [&[START], &body[..], &[END], &vec![PADDING; padding][..]].concat();
        (ids, [&[true], &starts[..], &vec![true; 1 + padding][..]].concat())
    })
}

/// The words of a caption: what the special tokens and the word starts leave between them.
fn words(ids: &[u32], starts: &[bool]) -> Vec<Vec<usize>> {
    let mut words = vec![Vec::new()];
    for (position, (id, &starts)) in ids.iter().zip(starts).enumerate() {
        let special = SPECIAL.contains(id);
        if starts || special {
            words.push(Vec::new());
        }
        if !special {
            words.last_mut().unwrap().push(position);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

proptest! {
    #[test]
    fn the_count_of_masked_tokens_follows_the_rule_exactly((ids, _) in caption(), seed: u64) {
        let masked = masker(TextMaskConfig::default()).mask(&ids, |_| true, key(seed, "a"));
        let length = ids.iter().filter(|&&id| id != PADDING).count();
        let maskable = ids.iter().filter(|&&id| !SPECIAL.contains(&id)).count();
        // Nearest, halves to the even, in whole numbers: 3 of 20.
        let (share, rest) = (length * 3 / 20, length * 3 % 20);
        let rounded = share + usize::from(rest > 10 || (rest == 10 && share % 2 == 1));
        prop_assert_eq!(chosen(&masked).len(), rounded.max(1).min(maskable));
    }

    #[test]
    fn special_tokens_and_padding_are_never_masked_and_never_drawn((ids, starts) in caption(), seed: u64) {
        for unit in [Unit::Token, Unit::WholeWord] {
            // Everything random, as much as there is: the hardest case.
            let config = TextMaskConfig { probability: 1.0, replace: 0.0, random: 1.0, unit };
            let masked = masker(config).mask(&ids, |position| starts[position], key(seed, "a"));
            for (position, &id) in ids.iter().enumerate() {
                let special = SPECIAL.contains(&id);
                prop_assert_eq!(masked.labels[position] == IGNORED, special);
                let now = masked.ids[position];
                let kept_out = if special { now == id } else { now < MASK && !SPECIAL.contains(&now) };
                prop_assert!(kept_out, "{} became {}", id, now);
            }
        }
    }

    #[test]
    fn labels_are_the_original_tokens_and_all_else_is_untouched((ids, starts) in caption(), seed: u64) {
        for unit in [Unit::Token, Unit::WholeWord] {
            let masker = masker(TextMaskConfig { unit, ..TextMaskConfig::default() });
            let masked = masker.mask(&ids, |position| starts[position], key(seed, "a"));
            prop_assert_eq!((masked.ids.len(), masked.labels.len()), (ids.len(), ids.len()));
            for (position, &id) in ids.iter().enumerate() {
                match masked.labels[position] {
                    IGNORED => prop_assert_eq!(masked.ids[position], id),
                    label => prop_assert_eq!(label, i64::from(id)),
                }
            }
        }
    }

    #[test]
    fn the_tokens_of_a_word_are_masked_together((ids, starts) in caption(), seed: u64) {
        let masker = masker(TextMaskConfig { unit: Unit::WholeWord, ..TextMaskConfig::default() });
        let masked = masker.mask(&ids, |position| starts[position], key(seed, "a"));
        let count = chosen(&masked).len();
        let allowed = masker.predictions(ids.iter().filter(|&&id| id != PADDING).count());
        prop_assert!(count <= allowed);
        for word in words(&ids, &starts) {
            let of_word = word.iter().filter(|&&position| masked.labels[position] != IGNORED).count();
            prop_assert!(of_word == 0 || of_word == word.len());
            // A word is left out only because it no longer fitted.
            prop_assert!(of_word > 0 || count + word.len() > allowed);
        }
    }

    #[test]
    fn padding_changes_nothing((ids, starts) in caption(), seed: u64, padding in 0_usize..40) {
        for unit in [Unit::Token, Unit::WholeWord] {
            let masker = masker(TextMaskConfig { unit, ..TextMaskConfig::default() });
            let short = masker.mask(&ids, |position| starts[position], key(seed, "a"));
            let padded = [&ids[..], &vec![PADDING; padding][..]].concat();
            let long = masker.mask(&padded, |position| starts[position], key(seed, "a"));
            prop_assert_eq!(&long.ids[..ids.len()], &short.ids[..]);
            prop_assert_eq!(&long.labels[..ids.len()], &short.labels[..]);
        }
    }

    #[test]
    fn the_same_key_gives_the_same_mask_and_another_sample_another(seed: u64) {
        let masker = masker(TextMaskConfig::default());
        // 38 of 250 tokens: a coincidence will not be seen.
        let ids: Vec<u32> = (0..250).map(|position| 3 + position % 40).collect();
        let masked = masker.mask(&ids, |_| true, key(seed, "a"));
        prop_assert_eq!(&masked, &masker.mask(&ids, |_| true, key(seed, "a")));
        prop_assert_ne!(&masked.labels, &masker.mask(&ids, |_| true, key(seed, "b")).labels);
        // The draw's purpose is fixed: a key made for another purpose names the same mask.
        let other = Key { stream: Stream::PatchNoise, ..key(seed, "a") };
        prop_assert_eq!(&masked, &masker.mask(&ids, |_| true, other));
    }
}

#[test]
fn eight_in_ten_become_the_mask_one_a_random_token_and_one_stays() {
    let masker = masker(TextMaskConfig::default());
    let ids = [START, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, END];
    let mut position_counts = [0_u32; 20];
    let mut drawn = [0_u32; 100];
    let (mut masks, mut same) = (0_u32, 0_u32);
    for seed in 0..20_000 {
        let masked = masker.mask(&ids, |_| true, key(seed, "a"));
        for position in chosen(&masked) {
            position_counts[position] += 1;
            match masked.ids[position] {
                MASK => masks += 1,
                id if id == ids[position] => same += 1,
                id => drawn[id as usize] += 1,
            }
        }
    }
    // 3 of 20 tokens each: 60 000 chosen. Standard deviations: 98 of the masks, 73 of the others.
    assert!((47_500..48_500).contains(&masks), "{masks}");
    // A random token is the original one in 95 draws: 63 more stay.
    assert!((5_690..6_440).contains(&same), "{same}");
    // 18 maskable positions, 3333 expected in each, standard deviation 53.
    assert!(position_counts[1..19].iter().all(|&n| (3_060..3_610).contains(&n)), "{position_counts:?}");
    // 95 tokens can be drawn, 62.5 expected of each, standard deviation 8.
    for (id, &count) in drawn.iter().enumerate() {
        let special = SPECIAL.contains(&(id as u32));
        assert!(if special { count == 0 } else { (22..105).contains(&count) }, "{id}: {count}");
    }
}

#[test]
fn the_count_rounds_halves_to_the_even_and_has_its_limits() {
    let masker = masker(TextMaskConfig::default());
    // Python: min(512, max(1, int(round(length * 0.15)))).
    for (length, count) in [(0, 1), (3, 1), (10, 2), (12, 2), (30, 4), (50, 8), (64, 10), (5_000, MAX_PREDICTIONS)] {
        assert_eq!(masker.predictions(length), count, "{length}");
    }
}

#[test]
fn a_caption_with_nothing_to_mask_gives_no_label() {
    let ids = [START, 50, END, PADDING, PADDING];
    for unit in [Unit::Token, Unit::WholeWord] {
        let masker = masker(TextMaskConfig { unit, ..TextMaskConfig::default() });
        let masked = masker.mask(&ids, |_| false, key(1, "a"));
        assert_eq!((&masked.ids[..], chosen(&masked)), (&ids[..], vec![]));
    }
}

#[test]
fn a_word_ends_at_a_special_token() {
    // Three words of two tokens, none of which claims to start a word: the special tokens part them.
    let ids = [START, 10, 11, 50, 12, 13, END, 14, 15];
    let config = TextMaskConfig { probability: 0.25, unit: Unit::WholeWord, ..TextMaskConfig::default() };
    for seed in 0..50 {
        let masked = masker(config).mask(&ids, |_| false, key(seed, "a"));
        assert!([vec![1, 2], vec![4, 5], vec![7, 8]].contains(&chosen(&masked)), "{masked:?}");
    }
}

#[test]
fn rejects_shares_that_are_none() {
    let default = TextMaskConfig::default();
    for (config, error) in [
        (TextMaskConfig { probability: 0.0, ..default }, TextMaskError::Probability(0.0)),
        (TextMaskConfig { probability: 1.1, ..default }, TextMaskError::Probability(1.1)),
        (TextMaskConfig { replace: -0.1, ..default }, TextMaskError::Replace(-0.1)),
        (TextMaskConfig { random: 1.5, ..default }, TextMaskError::Random(1.5)),
        (TextMaskConfig { random: 0.3, ..default }, TextMaskError::Shares { replace: 0.8, random: 0.3 }),
    ] {
        assert_eq!(config.validate(), Err(error));
    }
    assert!(TextMaskConfig { probability: f64::NAN, ..default }.validate().is_err());
    assert!(TextMaskConfig { replace: f64::NAN, ..default }.validate().is_err());
    assert!(TextMaskConfig { random: f64::NAN, ..default }.validate().is_err());
    // 0.7 + 0.2 + 0.1 and the like must not fail by a rounding.
    assert_eq!(TextMaskConfig { replace: 0.9, random: 0.1, ..default }.validate(), Ok(()));
}

#[test]
fn rejects_vocabularies_that_cannot_be_masked() {
    assert_eq!(Vocabulary::new(10, 10, 1, &[]), Err(VocabularyError::Special { id: 10, size: 10 }));
    assert_eq!(Vocabulary::new(3, 2, 1, &[0]), Err(VocabularyError::AllSpecial(3)));
    let vocabulary = Vocabulary::new(4, 2, 1, &[0]).unwrap();
    assert_eq!([0, 1, 2, 3].map(|id| vocabulary.is_special(id)), [true, true, true, false]);
}
