//! Dropout masks as a function of a seed and a position, so that the backward pass draws them again instead of keeping
//! them.

/// Which values of a tensor are dropped, and the factor of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dropout {
    probability: f64,
    /// Kept where the hash is at least this.
    threshold: u32,
    scale: f32,
    seed: u64,
}

/// A bijective mix of 32 bits in which every input bit changes every output bit about half of the time.
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x21f0_aaad);
    x ^= x >> 15;
    x = x.wrapping_mul(0xd35a_2d97);
    x ^ (x >> 15)
}

impl Dropout {
    /// Drops with `probability`, 0 <= p < 1.
    pub fn new(probability: f64, seed: u64) -> Self {
        let threshold = (probability * 4_294_967_296.0) as u32;
        Self { probability, threshold, scale: (1.0 / (1.0 - probability)) as f32, seed }
    }

    /// Whether anything is dropped.
    pub fn is_active(&self) -> bool {
        self.probability > 0.0
    }

    /// The factors of one row, as a function of the place in it: 0, or 1 / (1 - p).
    #[inline(always)]
    pub fn row(&self, row: u64) -> impl Fn(usize) -> f32 + Copy + use<> {
        let row_seed = self.seed.wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let key = mix(row_seed as u32) ^ mix((row_seed >> 32) as u32 ^ 0x5851_f42d);
        let (threshold, scale) = (self.threshold, self.scale);
        move |column| {
            if mix(key.wrapping_add((column as u32).wrapping_mul(0x9e37_79b9))) >= threshold { scale } else { 0.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_dropped_is_the_probability_and_rows_and_seeds_differ() {
        let dropout = Dropout::new(0.1, 7);
        let row = |seed, row| {
            let factor = Dropout::new(0.1, seed).row(row);
            (0..1000).map(factor).collect::<Vec<f32>>()
        };
        let dropped = (0..1000).flat_map(|i| row(7, i)).filter(|&factor| factor == 0.0).count();
        // A binomial count of a million draws: standard deviation 300.
        assert!((98_500..101_500).contains(&dropped), "{dropped}");
        assert_eq!(dropout.scale, (1.0 / 0.9) as f32);
        assert_ne!(row(7, 0), row(7, 1));
        assert_ne!(row(7, 0), row(8, 0));
        assert_eq!(row(7, 3), row(7, 3));
        // Neighbours agree as often as independent draws do.
        let (a, b) = (row(7, 5), row(7, 6));
        let both = a.iter().zip(&b).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
        assert!(both < 30, "{both}");
    }

    #[test]
    fn nothing_is_dropped_with_probability_zero() {
        let factor = Dropout::new(0.0, 1).row(0);
        assert!((0..1000).all(|column| factor(column) == 1.0));
    }
}
