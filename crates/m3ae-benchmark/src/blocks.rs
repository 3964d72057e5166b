//! Runs of items that share an encoded image.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::Range;

/// Consecutive ranges of items with at most `most` different keys each. Consecutive items with the same key
/// stay together.
#[must_use]
pub fn blocks<K: Eq + Hash>(keys: &[K], most: usize) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut seen) = (0, HashSet::new());
    for (number, key) in keys.iter().enumerate() {
        if !seen.contains(key) && seen.len() == most.max(1) {
            blocks.push(start..number);
            (start, seen) = (number, HashSet::new());
        }
        seen.insert(key);
    }
    if start < keys.len() {
        blocks.push(start..keys.len());
    }
    blocks
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_never_part_a_run_of_a_key_and_have_no_more_keys_than_asked() {
        let blocks = |keys: &[&str], most| -> Vec<(usize, usize)> {
            super::blocks(keys, most).into_iter().map(|range| (range.start, range.end)).collect()
        };
        let keys = ["a", "a", "b", "c", "c", "c", "d"];
        assert_eq!(blocks(&keys, 2), [(0, 3), (3, 7)]);
        assert_eq!(blocks(&keys, 9), [(0, 7)]);
        assert_eq!(blocks(&keys, 1), [(0, 2), (2, 3), (3, 6), (6, 7)]);
        assert_eq!(blocks(&["a", "b", "a", "b"], 2), [(0, 4)]);
        assert!(blocks(&[], 3).is_empty());
    }
}
