//! One line of a chart: its points, smoothing, and thinning for display.

/// One line of a [`LineChart`](super::LineChart).
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub(super) name: String,
    /// In the order of x; a y that is not finite is a gap.
    pub(super) points: Vec<(f64, f64)>,
    pub(super) smoothing: Option<f64>,
    pub(super) markers: bool,
}

impl Series {
    /// A line through `points`, which are in the order of x. A y that is not finite is a gap.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, smoothing: None, markers: false }
    }

    /// Draws the points thinly and over them their exponential moving average with this weight of the past, in `0..1`.
    #[must_use]
    pub fn smoothed(mut self, weight: f64) -> Self {
        self.smoothing = Some(weight.clamp(0.0, 0.999));
        self
    }

    /// Marks every point with a dot, for series of few points.
    #[must_use]
    pub fn with_markers(mut self) -> Self {
        self.markers = true;
        self
    }
}

/// Exponential moving average that begins at the first value: the weights are divided by their sum, so that early
/// values are not drawn towards 0. Gaps stay and do not count.
pub(super) fn smooth(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let (mut sum, mut weights) = (0.0, 0.0);
    let average = |&(x, y): &(f64, f64)| {
        if !y.is_finite() {
            return (x, y);
        }
        sum = sum * weight + y;
        weights = weights * weight + 1.0;
        (x, sum / weights)
    };
    points.iter().map(average).collect()
}

/// At most about `limit` points that look like all of them: of each stretch the lowest and the highest, and a gap if it
/// has one.
pub(super) fn thin(points: &[(f64, f64)], limit: usize) -> Vec<(f64, f64)> {
    if points.len() <= limit {
        return points.to_vec();
    }
    let stretch = (points.len() * 2).div_ceil(limit.max(2));
    let mut kept = Vec::with_capacity(limit + limit / 2);
    for part in points.chunks(stretch) {
        let finite = || part.iter().enumerate().filter(|(_, (_, y))| y.is_finite());
        let by_y = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
        let mut ends: Vec<usize> =
            [finite().min_by(by_y), finite().max_by(by_y)].into_iter().flatten().map(|(i, _)| i).collect();
        ends.sort_unstable();
        ends.dedup();
        kept.extend(ends.into_iter().map(|i| part[i]));
        kept.extend(part.iter().find(|(_, y)| !y.is_finite()));
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn smoothing_is_the_weighted_mean_of_the_past() {
        let smoothed = smooth(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 0.0)], 0.5);
        // 1; (1·½ + 3) / 1.5; (1·¼ + 3·½ + 0) / 1.75.
        assert_eq!(smoothed[0].1, 1.0);
        assert!(smoothed[1].1.is_nan());
        assert!((smoothed[2].1 - 3.5 / 1.5).abs() < 1e-12 && (smoothed[3].1 - 1.0).abs() < 1e-12, "{smoothed:?}");
    }

    #[test]
    fn thinning_keeps_spikes_and_gaps() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), (f64::from(i) * 0.01).sin())).collect();
        points[4_321].1 = 50.0;
        points[7_777].1 = f64::NAN;
        let thinned = thin(&points, 1_000);
        assert!(thinned.len() <= 1_001, "{}", thinned.len());
        assert!(thinned.contains(&(4_321.0, 50.0)));
        assert_eq!(thinned.iter().filter(|(_, y)| y.is_nan()).count(), 1);
    }

    proptest! {
        #[test]
        fn thinning_keeps_the_range_and_only_real_points(ys in prop::collection::vec(-1e3_f64..1e3, 1..500), limit in 2_usize..100) {
            let points: Vec<(f64, f64)> = ys.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
            let thinned = thin(&points, limit);
            let range = |points: &[(f64, f64)]| {
                points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &(_, y)| (a.min(y), b.max(y)))
            };
            prop_assert_eq!(range(&thinned), range(&points));
            prop_assert!(thinned.len() <= limit + 1, "{} > {}", thinned.len(), limit);
            prop_assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(thinned.iter().all(|point| points.contains(point)));
        }
    }
}
