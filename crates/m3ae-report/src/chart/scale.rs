//! From values to pixels, and the ticks between.

use crate::format::format_tick;

/// Numbers larger than this, either way, are treated like those that are not finite: differences of larger ones
/// overflow.
const LARGEST: f64 = 1e100;

/// A linear or logarithmic axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis that shows `values` and ends on ticks, from pixel `from` to pixel `to`. Numbers that are not finite are
    /// passed over, and on a logarithmic axis those that are not positive.
    pub fn around(values: impl Iterator<Item = f64>, log: bool, (from, to): (f64, f64)) -> Self {
        let shown = values.filter(|&value| value.abs() <= LARGEST && (!log || value >= f64::MIN_POSITIVE));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        if low > high {
            return Self { low: if log { 0.1 } else { 0.0 }, high: 1.0, log, from, to };
        }
        if log {
            // A margin of a twentieth of the range; a constant gets a factor of two either way.
            let margin = if high > low { ((high.ln() - low.ln()) * 0.05).exp() } else { 2.0 };
            let (low, high) = ((low / margin).max(f64::MIN_POSITIVE), high * margin);
            return Self { low, high, log, from, to };
        }
        // A range too narrow for its size cannot be divided: a constant gets one of its own.
        let narrow = high - low <= high.abs().max(low.abs()) * 1e-9;
        let (low, high) = match narrow {
            true if low == 0.0 => (0.0, 1.0),
            true => (low - low.abs() * 0.1, high + high.abs() * 0.1),
            false => (low, high),
        };
        let step = nice_step((high - low) / 5.0);
        Self { low: (low / step + 1e-9).floor() * step, high: (high / step - 1e-9).ceil() * step, log, from, to }
    }

    /// A linear axis over exactly `low..=high`.
    pub fn exactly(low: f64, high: f64, (from, to): (f64, f64)) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, log: false, from, to }
    }

    /// Where `value` is; not finite where it has no place.
    pub fn place(&self, value: f64) -> f64 {
        let share = match self.log {
            true if value < f64::MIN_POSITIVE => f64::NAN,
            true => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
            false => (value - self.low) / (self.high - self.low),
        };
        // What the axis does not reach, with room for rounding: numbers above `LARGEST`.
        if (-0.5..=1.5).contains(&share) { self.from + (self.to - self.from) * share } else { f64::NAN }
    }

    /// About `target` round values with their labels.
    pub fn ticks(&self, target: usize) -> Vec<(f64, String)> {
        if self.log {
            let ticks = self.log_ticks(target);
            if ticks.len() >= 3 {
                return ticks;
            }
        }
        let step = nice_step((self.high - self.low) / target.max(1) as f64);
        let first = (self.low / step - 1e-6).ceil();
        let count = ((self.high - first * step) / step + 1e-6).floor().clamp(0.0, 50.0) as usize;
        (0..=count).map(|i| (first + i as f64) * step).map(|value| (value, format_tick(value, step))).collect()
    }

    /// Powers of ten; with 2 and 5 times them where there are few, and every n-th where there are many.
    fn log_ticks(&self, target: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let every = ((last - first) as usize / (target + 2)).max(1);
        let inside = |mantissas: &[f64]| -> Vec<(f64, String)> {
            let powers = (first..=last).step_by(every);
            let values = powers.flat_map(|power| mantissas.iter().map(move |m| (m * 10_f64.powi(power), power)));
            let values = values.filter(|(value, _)| (self.low..=self.high).contains(value));
            values.map(|(value, power)| (value, format_tick(value, 10_f64.powi(power)))).collect()
        };
        let decades = inside(&[1.0]);
        if decades.len() >= 3 { decades } else { inside(&[1.0, 2.0, 5.0]) }
    }
}

/// The round number nearest above `rough` among 1, 2, 2.5 and 5 times powers of ten.
fn nice_step(rough: f64) -> f64 {
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let mantissa = rough / power;
    [1.0, 2.0, 2.5, 5.0].into_iter().find(|&nice| mantissa <= nice * 1.000_001).unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks(5).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_axes_end_on_round_values() {
        let scale = Scale::around([0.13, 0.87].into_iter(), false, (0.0, 100.0));
        assert_eq!(labels(&scale), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!((scale.place(0.0), scale.place(1.0)), (0.0, 100.0));
        assert_eq!(labels(&Scale::around([1.0, 600.0].into_iter(), false, (0.0, 1.0))), ["0", "200", "400", "600"]);
    }

    #[test]
    fn logarithmic_axes_have_decades_or_parts_of_them() {
        let scale = Scale::around([1e-4, 1.0].into_iter(), true, (0.0, 1.0));
        assert_eq!(labels(&scale), ["0.0001", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels(&Scale::around([0.3, 6.0].into_iter(), true, (0.0, 1.0))), ["0.5", "1", "2", "5"]);
        assert!(scale.place(-1.0).is_nan() && scale.place(0.0).is_nan());
    }

    #[test]
    fn constants_and_nothing_have_an_axis() {
        for values in [vec![], vec![0.0], vec![3.0, 3.0], vec![f64::NAN], vec![-2.0], vec![1e-300], vec![1e300]] {
            for log in [false, true] {
                let scale = Scale::around(values.iter().copied(), log, (0.0, 1.0));
                assert!(scale.low < scale.high && !scale.ticks(5).is_empty(), "{values:?} {log} {scale:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_value_is_inside_and_ticks_are_few(values in prop::collection::vec(-1e12_f64..1e12, 1..20), log: bool) {
            let scale = Scale::around(values.iter().copied(), log, (10.0, 20.0));
            let places = values.iter().map(|&value| scale.place(value)).filter(|place| place.is_finite());
            for place in places {
                prop_assert!((10.0 - 1e-6..=20.0 + 1e-6).contains(&place), "{} {:?}", place, scale);
            }
            let ticks = scale.ticks(5);
            prop_assert!((1..=15).contains(&ticks.len()), "{:?}", ticks);
            prop_assert!(ticks.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
