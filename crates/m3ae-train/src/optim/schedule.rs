//! The learning rate over optimiser steps (`docs/spec.md`, section 2, "Optimisation").

use serde::{Deserialize, Serialize};

/// The curve from the end of warm-up to the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// `(1 - progress)^power`; the published runs, with power 1.
    #[default]
    Polynomial,
    /// `(1 + cos(π · progress)) / 2`.
    Cosine,
}

/// Linear warm-up, then decay. Steps are optimiser steps, however many batches each of them averages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Rate at the end of warm-up.
    pub base: f64,
    /// Rate after the last step.
    pub end: f64,
    /// Steps of warm-up.
    pub warmup: usize,
    /// All steps.
    pub total: usize,
    /// The curve after warm-up.
    pub decay: Decay,
    /// Power of polynomial decay; 1 is linear.
    pub power: f64,
}

impl Schedule {
    /// What step number `step` (from 0) multiplies every group's rate with. The first step of a warm-up has factor 0,
    /// as in the reference.
    #[must_use]
    pub fn factor(&self, step: usize) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup.max(1) as f64;
        }
        let steps = self.total.saturating_sub(self.warmup);
        if step >= self.total || steps == 0 || self.base == 0.0 {
            return if self.base == 0.0 { 0.0 } else { self.end / self.base };
        }
        let progress = (step - self.warmup) as f64 / steps as f64;
        let remaining = match self.decay {
            Decay::Polynomial => (1.0 - progress).powf(self.power),
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        ((self.base - self.end) * remaining + self.end) / self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_linearly_peaks_after_warm_up_and_ends_at_the_end_rate() {
        let schedule = Schedule { base: 2.0, end: 0.5, warmup: 4, total: 12, decay: Decay::Polynomial, power: 1.0 };
        assert_eq!((0..5).map(|s| schedule.factor(s)).collect::<Vec<_>>(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert!((schedule.factor(8) - 0.625).abs() < 1e-12);
        assert_eq!(schedule.factor(12), 0.25);
        assert_eq!(schedule.factor(99), 0.25);
    }

    #[test]
    fn needs_no_warm_up() {
        let schedule = Schedule { base: 1.0, end: 0.0, warmup: 0, total: 4, decay: Decay::Polynomial, power: 2.0 };
        assert_eq!(schedule.factor(0), 1.0);
        assert_eq!(schedule.factor(2), 0.25);
        let all_warm_up = Schedule { warmup: 4, ..schedule };
        assert_eq!(all_warm_up.factor(4), 0.0);
    }

    #[test]
    fn cosine_is_half_way_down_in_the_middle() {
        let schedule = Schedule { base: 2.0, end: 1.0, warmup: 2, total: 10, decay: Decay::Cosine, power: 1.0 };
        assert!((schedule.factor(2) - 1.0).abs() < 1e-12);
        assert!((schedule.factor(6) - 0.75).abs() < 1e-12);
        assert!((schedule.factor(9) - (0.5 + 0.25 * (1.0 + (0.875 * std::f64::consts::PI).cos()))).abs() < 1e-12);
        assert_eq!(schedule.factor(10), 0.5);
    }
}
