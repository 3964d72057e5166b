//! Several sources in one pre-training set.

use m3ae_random::{Key, Stream};

use crate::{CaptionSample, DataError};

/// A source of a mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct MixtureSource {
    /// Its samples.
    pub samples: Vec<CaptionSample>,
    /// How often each of its samples is seen in an epoch: 1 once; 2 twice; 0.5 every second one, drawn by the seed. Not
    /// negative, not above 100.
    pub weight: f64,
}

/// No recipe needs to see a sample more often in an epoch.
const MAX_WEIGHT: f64 = 100.0;

/// Joins sources into one set of samples, source after source, each weighted. Repeated samples get ids of their own
/// (`…~1`, `…~2`), and so their own random draws. Which samples a fractional weight takes depends on the seed and each
/// sample's id only: no source's change moves another's.
///
/// # Errors
/// When a weight is impossible or nothing remains.
pub fn mix(sources: &[MixtureSource], seed: u64) -> Result<Vec<CaptionSample>, DataError> {
    let mut mixed = Vec::new();
    for source in sources {
        if !(0.0..=MAX_WEIGHT).contains(&source.weight) {
            return Err(DataError::config("weight", format!("{}: choose 0 to {MAX_WEIGHT}", source.weight)));
        }
        let (whole, rest) = (source.weight.trunc() as usize, source.weight.fract());
        let mut order: Vec<usize> = (0..source.samples.len()).collect();
        order.sort_by_cached_key(|&i| {
            let sample = &source.samples[i].id;
            (Key { seed, epoch: 0, sample, stream: Stream::Split }.generator().bits(), i)
        });
        let mut repeats = vec![whole; source.samples.len()];
        let extra = (rest * source.samples.len() as f64).round() as usize;
        order.iter().take(extra).for_each(|&i| repeats[i] += 1);
        for (sample, repeats) in source.samples.iter().zip(repeats) {
            mixed.extend((0..repeats).map(|repeat| CaptionSample {
                id: if repeat == 0 { sample.id.clone() } else { format!("{}~{repeat}", sample.id) },
                ..sample.clone()
            }));
        }
    }
    match mixed.is_empty() {
        true => Err(DataError::NoSamples),
        false => Ok(mixed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, count: usize, weight: f64) -> MixtureSource {
        let sample =
            |i| CaptionSample { id: format!("{name}{i}"), image: format!("{i}.jpg").into(), caption: "c".into() };
        MixtureSource { samples: (0..count).map(sample).collect(), weight }
    }

    fn ids(sources: &[MixtureSource], seed: u64) -> Vec<String> {
        mix(sources, seed).unwrap().into_iter().map(|sample| sample.id).collect()
    }

    #[test]
    fn weights_say_how_often_a_sample_is_seen() {
        assert_eq!(ids(&[source("a", 2, 1.0), source("b", 1, 2.0)], 0), ["a0", "a1", "b0", "b0~1"]);
        let half = ids(&[source("a", 100, 0.5), source("b", 3, 0.0)], 0);
        assert_eq!(half.len(), 50);
        assert_ne!(half, ids(&[source("a", 100, 0.5)], 1));
        assert_eq!(ids(&[source("a", 100, 1.5)], 0).len(), 150);
    }

    #[test]
    fn a_source_keeps_its_draw_whatever_stands_beside_it() {
        let alone = ids(&[source("a", 50, 0.3)], 7);
        assert_eq!(ids(&[source("b", 9, 1.0), source("a", 50, 0.3)], 7)[9..], alone);
    }

    #[test]
    fn impossible_weights_and_empty_mixtures_are_refused() {
        for weight in [-1.0, f64::NAN, 1e9] {
            assert!(matches!(mix(&[source("a", 1, weight)], 0), Err(DataError::Config { field: "weight", .. })));
        }
        assert!(matches!(mix(&[source("a", 5, 0.0)], 0), Err(DataError::NoSamples)));
    }
}
