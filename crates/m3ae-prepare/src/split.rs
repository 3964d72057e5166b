//! Seeded splits.

use std::collections::HashSet;

use m3ae_random::{Key, Stream};

/// One image in this many goes from train to validation.
const VAL_SHARE: usize = 10;

/// Which of these images make up a validation split: a tenth, at least one of two or more. Depends on the seed and the
/// names only.
pub(crate) fn validation<'a>(seed: u64, images: impl IntoIterator<Item = &'a str>) -> HashSet<String> {
    let mut unique: Vec<&str> = images.into_iter().collect::<HashSet<_>>().into_iter().collect();
    unique.sort_unstable();
    let count = match unique.len() {
        0 | 1 => 0,
        images => (images / VAL_SHARE).max(1),
    };
    shuffle(seed, "validation", &mut unique);
    unique.truncate(count);
    unique.into_iter().map(str::to_owned).collect()
}

/// Puts items into the seed's order.
pub(crate) fn shuffle<T>(seed: u64, what: &str, items: &mut [T]) {
    Key { seed, epoch: 0, sample: what, stream: Stream::Split }.generator().shuffle(items);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_is_a_tenth_that_follows_from_seed_and_names() {
        let names: Vec<String> = (0..57).map(|i| i.to_string()).collect();
        let draw = |seed, names: &mut dyn Iterator<Item = &String>| validation(seed, names.map(String::as_str));
        let val = draw(1, &mut names.iter());
        assert_eq!(val.len(), 5);
        assert_eq!(val, draw(1, &mut names.iter().rev().chain(&names)));
        assert_ne!(val, draw(2, &mut names.iter()));
        assert_eq!((validation(1, ["a"]).len(), validation(1, ["a", "b"]).len()), (0, 1));
    }
}
