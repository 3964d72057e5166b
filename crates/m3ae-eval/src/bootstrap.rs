//! Percentile bootstrap intervals, over single items and over images.

use std::collections::HashMap;

use m3ae_random::{Key, Stream};
use serde::{Deserialize, Serialize};

use crate::error::EvalError;

/// Settings of the bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// The number of resamples.
    pub resamples: usize,
    /// The share of resamples inside the interval.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 5_000, level: 0.95, seed: 0 }
    }
}

/// An interval, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` is inside.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// A statistic with its intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The statistic of the data.
    pub value: f64,
    /// The number of items (questions, samples, queries).
    pub items: usize,
    /// The number of images these belong to.
    pub images: usize,
    /// Interval from resampling items; `None` for fewer than two.
    pub by_item: Option<Interval>,
    /// Interval from resampling images with all their items; `None` for fewer than two.
    pub by_image: Option<Interval>,
}

impl Estimate {
    /// The interval to quote: over images where there is one.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        self.by_image.or(self.by_item)
    }
}

/// The items grouped by image.
#[derive(Debug)]
pub(crate) struct Clusters {
    /// The items of each image.
    members: Vec<Vec<usize>>,
    items: usize,
}

impl Clusters {
    /// Items with the same name share an image. Images are numbered by first appearance.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        let mut items = 0;
        for (item, name) in names.into_iter().enumerate() {
            let number = *numbers.entry(name).or_insert(members.len());
            if number == members.len() {
                members.push(Vec::new());
            }
            members[number].push(item);
            items = item + 1;
        }
        Self { members, items }
    }
}

impl Bootstrap {
    /// # Errors
    /// There are too few resamples for the ends of the interval, or the level is not between 0 and 1.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(EvalError::Bootstrap(format!("level = {} is not between 0 and 1", self.level)));
        }
        // At least ten resamples beyond each end.
        let least = (20.0 / (1.0 - self.level)).ceil();
        if (self.resamples as f64) < least {
            let problem =
                format!("resamples = {} are too few for level = {}: at least {least}", self.resamples, self.level);
            return Err(EvalError::Bootstrap(problem));
        }
        Ok(())
    }

    /// The mean of `values` with its intervals. Fast: an image is a sum and a count. `name` keys the draws.
    pub(crate) fn mean(&self, name: &str, values: &[f64], clusters: &Clusters) -> Estimate {
        let sums: Vec<(f64, usize)> = clusters
            .members
            .iter()
            .map(|members| (members.iter().map(|&item| values[item]).sum(), members.len()))
            .collect();
        let mean = |drawn: &[usize]| drawn.iter().map(|&item| values[item]).sum::<f64>() / drawn.len() as f64;
        let ratio = |drawn: &[usize]| {
            let total =
                drawn.iter().fold((0.0, 0), |(sum, count), &image| (sum + sums[image].0, count + sums[image].1));
            total.0 / total.1 as f64
        };
        Estimate {
            value: values.iter().sum::<f64>() / values.len().max(1) as f64,
            items: values.len(),
            images: sums.len(),
            by_item: self.interval(&format!("{name}/items"), values.len(), mean),
            by_image: self.interval(&format!("{name}/images"), sums.len(), ratio),
        }
    }

    /// Any statistic with its intervals. `of` is given the indices of the drawn items, each as often as it was drawn.
    pub(crate) fn statistic(&self, name: &str, clusters: &Clusters, mut of: impl FnMut(&[usize]) -> f64) -> Estimate {
        let all: Vec<usize> = (0..clusters.items).collect();
        let value = of(&all);
        let by_item = self.interval(&format!("{name}/items"), clusters.items, &mut of);
        let mut items = Vec::new();
        let by_image = self.interval(&format!("{name}/images"), clusters.members.len(), |drawn| {
            items.clear();
            drawn.iter().for_each(|&image| items.extend_from_slice(&clusters.members[image]));
            of(&items)
        });
        Estimate { value, items: clusters.items, images: clusters.members.len(), by_item, by_image }
    }

    /// The percentile interval of a statistic of `count` units drawn with replacement.
    fn interval(&self, name: &str, count: usize, mut of: impl FnMut(&[usize]) -> f64) -> Option<Interval> {
        if count < 2 {
            return None;
        }
        let mut generator = Key { seed: self.seed, epoch: 0, sample: name, stream: Stream::Bootstrap }.generator();
        let mut drawn = vec![0; count];
        let mut values: Vec<f64> = Vec::with_capacity(self.resamples);
        for _ in 0..self.resamples {
            drawn.iter_mut().for_each(|unit| *unit = generator.below(count));
            values.push(of(&drawn));
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Some(Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
    }
}

/// The quantile of sorted, non-empty values, linear between neighbours (Hyndman and Fan's type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::{image_of, pseudo};

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| image_of(i).to_string()).collect()
    }

    /// 400 questions on images of very different numbers of questions.
    fn data() -> (Vec<f64>, Clusters) {
        let values = (0..400).map(|i| f64::from(u8::from(pseudo(i) < 0.77))).collect();
        (values, Clusters::new(names(400).iter().map(String::as_str)))
    }

    #[test]
    fn intervals_agree_with_other_implementations() {
        let (values, clusters) = data();
        let bootstrap = Bootstrap { resamples: 20_000, ..Bootstrap::default() };
        let estimate = bootstrap.mean("test", &values, &clusters);
        assert_eq!((estimate.items, estimate.images), (400, IMAGES));
        assert!((estimate.value - MEAN).abs() < 1e-12);
        // Monte Carlo error of an end is about 0.0006 here, and values lie on a grid of 1/400 = 0.0025.
        for (ours, theirs) in [(estimate.by_item, BY_ITEM), (estimate.by_image, BY_IMAGE)] {
            let Interval { low, high } = ours.unwrap();
            assert!((low - theirs.0).abs() < 0.0035 && (high - theirs.1).abs() < 0.0035, "{low} {high} {theirs:?}");
        }
    }
    const IMAGES: usize = 49;
    const MEAN: f64 = 0.785;
    /// `scipy.stats.bootstrap(method="percentile", n_resamples=50000)`.
    const BY_ITEM: (f64, f64) = (0.745, 0.825);
    /// Images drawn with numpy, 50 000 times; `numpy.percentile`.
    const BY_IMAGE: (f64, f64) = (0.738_805_970, 0.83);

    #[test]
    fn a_mean_is_the_same_through_either_way() {
        let (values, clusters) = data();
        let bootstrap = Bootstrap { resamples: 400, ..Bootstrap::default() };
        let mean = |drawn: &[usize]| drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64;
        assert_eq!(bootstrap.mean("a", &values, &clusters), bootstrap.statistic("a", &clusters, mean));
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_does_not() {
        let (values, clusters) = data();
        let interval = |seed| Bootstrap { seed, ..Bootstrap::default() }.mean("a", &values, &clusters).by_image;
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
    }

    #[test]
    fn images_with_many_equal_answers_widen_the_interval() {
        // Ten images of forty questions each, all right or all wrong: ten independent facts, not four hundred.
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i / 40 < 7))).collect();
        let names: Vec<String> = (0..400).map(|i| (i / 40).to_string()).collect();
        let estimate = Bootstrap::default().mean("a", &values, &Clusters::new(names.iter().map(String::as_str)));
        let width = |interval: Option<Interval>| interval.map(|i| i.high - i.low).unwrap();
        assert!(width(estimate.by_image) > 4.0 * width(estimate.by_item), "{estimate:?}");
    }

    #[test]
    fn quantiles_are_linear_between_neighbours() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.1, 0.5, 0.9, 1]).
        let got = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| quantile(&[1.0, 2.0, 4.0, 8.0], share));
        for (got, expected) in got.into_iter().zip([1.0, 1.3, 3.0, 6.8, 8.0]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    #[test]
    fn too_few_resamples_and_odd_levels_are_refused() {
        for (resamples, level) in [(399, 0.95), (5_000, 0.0), (5_000, 1.0), (5_000, f64::NAN), (0, 0.5)] {
            assert!(Bootstrap { resamples, level, seed: 0 }.check().is_err(), "{resamples} {level}");
        }
        assert!(Bootstrap { resamples: 400, level: 0.95, seed: 0 }.check().is_ok());
    }

    #[test]
    fn one_unit_has_no_interval() {
        let estimate = Bootstrap::default().mean("a", &[1.0, 0.0], &Clusters::new(["x", "x"]));
        assert!(estimate.by_item.is_some() && estimate.by_image.is_none());
        assert_eq!(estimate.interval(), estimate.by_item);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_interval_is_within_the_values(values in prop::collection::vec(-5.0_f64..5.0, 2..40), seed: u64) {
            let names = names(values.len());
            let clusters = Clusters::new(names.iter().map(String::as_str));
            let estimate = Bootstrap { resamples: 400, level: 0.95, seed }.mean("a", &values, &clusters);
            let low = values.iter().copied().fold(f64::INFINITY, f64::min) - 1e-9;
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 1e-9;
            for interval in [estimate.by_item, estimate.by_image].into_iter().flatten() {
                prop_assert!(low <= interval.low && interval.low <= interval.high && interval.high <= high);
            }
        }
    }
}
