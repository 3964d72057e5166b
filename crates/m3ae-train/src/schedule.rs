//! The learning rate over optimiser steps (spec 2, "Optimisation").

use serde::{Deserialize, Serialize};

/// Linear warm-up, then polynomial decay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Rate at the end of warm-up.
    pub base: f64,
    /// Rate after the last step.
    pub end: f64,
    /// Steps of warm-up.
    pub warmup: usize,
    /// All steps.
    pub total: usize,
    /// Power of the decay; 1 is linear.
    pub power: f64,
}

impl Schedule {
    /// What step number `step` (from 0) multiplies every group's rate with. The first step of a warm-up has factor 0, as in
    /// the reference.
    #[must_use]
    pub fn factor(&self, step: usize) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup.max(1) as f64;
        }
        let decay = self.total.saturating_sub(self.warmup);
        if step >= self.total || decay == 0 || self.base == 0.0 {
            return if self.base == 0.0 { 0.0 } else { self.end / self.base };
        }
        let remaining = 1.0 - (step - self.warmup) as f64 / decay as f64;
        ((self.base - self.end) * remaining.powf(self.power) + self.end) / self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_linearly_peaks_after_warm_up_and_ends_at_the_end_rate() {
        let schedule = Schedule { base: 2.0, end: 0.5, warmup: 4, total: 12, power: 1.0 };
        assert_eq!((0..5).map(|s| schedule.factor(s)).collect::<Vec<_>>(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert!((schedule.factor(8) - 0.625).abs() < 1e-12);
        assert_eq!(schedule.factor(12), 0.25);
        assert_eq!(schedule.factor(99), 0.25);
    }

    #[test]
    fn needs_no_warm_up() {
        let schedule = Schedule { base: 1.0, end: 0.0, warmup: 0, total: 4, power: 2.0 };
        assert_eq!(schedule.factor(0), 1.0);
        assert_eq!(schedule.factor(2), 0.25);
        let all_warm_up = Schedule { warmup: 4, ..schedule };
        assert_eq!(all_warm_up.factor(4), 0.0);
    }
}
