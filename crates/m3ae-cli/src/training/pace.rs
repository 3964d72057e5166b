//! The remaining time of a run.

use std::time::Duration;

use m3ae_train::StepReport;

/// Measures seconds per step since this process started to train.
#[derive(Debug, Default)]
pub struct Pace {
    /// The first step of this process, and the run's seconds when it was done.
    begun: Option<(usize, f64)>,
}

impl Pace {
    /// The time that the steps after this one will take, validation and saving left out. `None` after the first step of
    /// a process, which tells nothing: it compiles kernels and fills caches.
    pub fn left(&mut self, report: &StepReport, steps: usize) -> Option<Duration> {
        let (first, before) = *self.begun.get_or_insert((report.step, report.seconds));
        let done = report.step.checked_sub(first).filter(|&done| done > 0)?;
        let seconds = (report.seconds - before) / done as f64 * steps.saturating_sub(report.step) as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// A duration such as `2 d 03 h`, `1 h 05 min`, `2 min 05 s`, `9 s`.
pub fn readable(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes:02} min"),
        _ => format!("{days} d {hours:02} h"),
    }
}

#[cfg(test)]
mod tests {
    use m3ae_train::Metrics;

    use super::*;

    fn after(step: usize, seconds: f64) -> StepReport {
        let metrics = Metrics::default();
        StepReport { step, epoch: 0, metrics, learning_rate: 0.0, gradient_norm: 0.0, samples_per_second: 0.0, seconds }
    }

    #[test]
    fn steps_of_an_earlier_process_do_not_count() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(&after(101, 1000.0), 110), None);
        assert_eq!(pace.left(&after(103, 1004.0), 110), Some(Duration::from_secs(14)));
        assert_eq!(pace.left(&after(110, 1018.0), 110), Some(Duration::ZERO));
        assert_eq!(pace.left(&after(111, f64::NAN), 112), None);
    }

    #[test]
    fn times_are_readable() {
        let of = |seconds| readable(Duration::from_secs(seconds));
        assert_eq!(of(9), "9 s");
        assert_eq!(of(125), "2 min 05 s");
        assert_eq!(of(3_900), "1 h 05 min");
        assert_eq!(of(2 * 86_400 + 3 * 3_600 + 59), "2 d 03 h");
    }
}
