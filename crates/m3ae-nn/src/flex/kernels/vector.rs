//! Functions of one value, written so that loops over them become vector instructions, and sums in a fixed order.

use crate::Activation;

/// Values that are summed side by side: one vector of AVX-512, two of AVX2.
const LANES: usize = 16;

/// Compiles `loops` for the widest vectors of this processor. Nothing is contracted or reordered: these loops give the
/// same numbers on every processor.
#[inline]
pub(crate) fn vectorized<R>(loops: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(loops)
}

/// e^x within 2 units in the last place; 0 below -87, where float32 has no normal number left.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    // Minimax polynomial of (e^r - 1 - r) / r² on |r| <= ln 2 / 2 (Cephes' expf).
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 0.166_666_65;
    p = p * r + 0.5;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let e = (p * r * r + r + 1.0) * f32::from_bits(power);
    if x < -87.0 { 0.0 } else { e }
}

/// The error function of x and exp(-x²): Abramowitz and Stegun's formula 7.1.26, within 1.5e-7.
#[inline(always)]
fn erf_and_bell(x: f32) -> (f32, f32) {
    let a = x.abs();
    let t = 1.0 / (0.327_591_1 * a + 1.0);
    let bell = exp(-a * a);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    ((1.0 - p * t * bell).copysign(x), bell)
}

const QUICK: f32 = Activation::QUICK_GELU_SLOPE as f32;

impl Activation {
    #[inline(always)]
    fn gelu(x: f32) -> f32 {
        let (erf, _) = erf_and_bell(x * std::f32::consts::FRAC_1_SQRT_2);
        0.5 * x * (1.0 + erf)
    }

    #[inline(always)]
    fn gelu_slope(x: f32) -> f32 {
        const DENSITY: f32 = 0.398_942_3; // 1 / √(2π)
        let (erf, bell) = erf_and_bell(x * std::f32::consts::FRAC_1_SQRT_2);
        0.5 * (1.0 + erf) + x * DENSITY * bell
    }

    #[inline(always)]
    fn quick_gelu(x: f32) -> f32 {
        x / (1.0 + exp(-QUICK * x))
    }

    #[inline(always)]
    fn quick_gelu_slope(x: f32) -> f32 {
        let gate = 1.0 / (1.0 + exp(-QUICK * x));
        gate + QUICK * x * gate * (1.0 - gate)
    }

    /// `out = activation(x)`.
    pub(crate) fn apply(self, x: &[f32], out: &mut [f32]) {
        vectorized(|| match self {
            Self::Gelu => out.iter_mut().zip(x).for_each(|(out, &x)| *out = Self::gelu(x)),
            Self::QuickGelu => out.iter_mut().zip(x).for_each(|(out, &x)| *out = Self::quick_gelu(x)),
        });
    }

    /// `gradient *= activation'(x)`.
    pub(crate) fn scale_by_slope(self, x: &[f32], gradient: &mut [f32]) {
        vectorized(|| match self {
            Self::Gelu => gradient.iter_mut().zip(x).for_each(|(g, &x)| *g *= Self::gelu_slope(x)),
            Self::QuickGelu => gradient.iter_mut().zip(x).for_each(|(g, &x)| *g *= Self::quick_gelu_slope(x)),
        });
    }
}

/// The sum of `f` over pairs of `a` and `b` (of the same length): in lanes, then across them. Always in the same order.
#[inline(always)]
pub(crate) fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b)).sum();
    across(lanes) + rest
}

/// The sum of `f` over `x`.
#[inline(always)]
pub(crate) fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum_pairs(x, x, |x, _| f(x))
}

/// The largest value, or minus infinity.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = greater(lanes[lane], block[lane]);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| greater(a, b))
}

#[inline(always)]
fn across(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for i in -86_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let error = ((f64::from(exp(x)) - exact) / exact).abs();
            assert!(error < 2.4e-7, "{x}: {error}");
        }
        assert_eq!((exp(0.0), exp(-88.0), exp(-1e4), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0, 0.0));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn activations_follow_their_definitions_and_slopes() {
        // Simpson's rule on the normal density.
        let normal = |x: f64| {
            let n = 2000;
            let h = x / f64::from(n);
            let density = |i: i32| (-0.5 * (h * f64::from(i)).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let inner: f64 = (1..n).map(|i| density(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            0.5 + h / 3.0 * (density(0) + density(n) + inner)
        };
        let quick = |x: f64| x / (1.0 + (-1.702 * x).exp());
        for i in -800..800 {
            let x = i as f32 / 100.0;
            let wide = f64::from(x);
            let value = |activation: Activation| {
                let (mut y, mut slope) = ([0.0], [1.0]);
                activation.apply(&[x], &mut y);
                activation.scale_by_slope(&[x], &mut slope);
                (f64::from(y[0]), f64::from(slope[0]))
            };
            let numeric = |f: &dyn Fn(f64) -> f64| (f(wide + 1e-4) - f(wide - 1e-4)) / 2e-4;
            let gelu = |x: f64| x * normal(x);
            for (activation, f) in [(Activation::Gelu, &gelu as &dyn Fn(f64) -> f64), (Activation::QuickGelu, &quick)] {
                let (y, slope) = value(activation);
                assert!((y - f(wide)).abs() < 2e-6, "{activation:?} {x}: {y} {}", f(wide));
                assert!((slope - numeric(f)).abs() < 5e-6, "{activation:?}' {x}: {slope} {}", numeric(f));
            }
        }
    }

    #[test]
    fn sums_and_maxima_take_every_value() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum(&x, |x| x), 666.0);
        assert_eq!(sum_pairs(&x, &x, |a, b| a - b), 0.0);
        assert_eq!(largest(&x), 36.0);
        assert_eq!(largest(&[]), f32::NEG_INFINITY);
    }
}
