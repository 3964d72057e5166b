//! The state that the dashboard shows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use m3ae_train::{Metrics, StepReport};

use super::history::History;
use crate::training::pace::Pace;

/// The number of notices kept; log.txt in the run's folder has all of them.
const NOTICES: usize = 200;

/// The state of a run.
pub struct View {
    pub name: String,
    pub folder: String,
    pub steps: usize,
    pub history: History,
    /// Index of the charted metric.
    pub chosen: usize,
    pub last: Option<StepReport>,
    pub validation: Option<Metrics>,
    /// Step and validation of the best weights that this process has seen.
    pub best: Option<(usize, Metrics)>,
    pub notices: VecDeque<String>,
    /// The number of notices no longer kept.
    pub dropped: usize,
    pub left: Option<Duration>,
    pub began: Instant,
    /// Increases with every change.
    pub version: u64,
    every: usize,
    pace: Pace,
}

/// The phase of a run, as far as its reports tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Beginning,
    Training,
    /// All steps are done; validation, test and saving remain.
    Finishing,
    Stopping,
}

impl View {
    /// The state before the start. Metrics are averaged over `every` steps.
    pub fn new(name: &str, folder: String, every: usize) -> Self {
        Self {
            name: name.to_owned(),
            folder,
            steps: 0,
            history: History::default(),
            chosen: 0,
            last: None,
            validation: None,
            best: None,
            notices: VecDeque::new(),
            dropped: 0,
            left: None,
            began: Instant::now(),
            version: 0,
            every,
            pace: Pace::default(),
        }
    }

    /// An optimiser step.
    pub fn step(&mut self, report: &StepReport) {
        let closes = report.step.is_multiple_of(self.every) || report.step == self.steps;
        self.history.step(report, closes);
        self.left = self.pace.left(report, self.steps);
        self.last = Some(report.clone());
        self.version += 1;
    }

    /// A validation.
    pub fn validated(&mut self, step: usize, metrics: &Metrics, best: bool) {
        self.history.validated(step, metrics);
        self.validation = Some(metrics.clone());
        if best {
            self.best = Some((step, metrics.clone()));
        }
        self.version += 1;
    }

    /// A notice for the user.
    pub fn notice(&mut self, text: String) {
        if self.notices.len() == NOTICES {
            self.notices.pop_front();
            self.dropped += 1;
        }
        self.notices.push_back(text);
        self.version += 1;
    }

    /// Chooses the next metric for the chart, or the previous one.
    pub fn choose(&mut self, forward: bool) {
        let count = self.history.metrics.len().max(1);
        self.chosen = (self.chosen + if forward { 1 } else { count - 1 }) % count;
        self.version += 1;
    }

    /// The current phase.
    pub fn phase(&self, stopping: bool) -> Phase {
        match &self.last {
            Some(last) if last.step >= self.steps => Phase::Finishing,
            _ if stopping => Phase::Stopping,
            Some(_) => Phase::Training,
            None => Phase::Beginning,
        }
    }

    /// The notices to print when the dashboard closes.
    pub fn remaining(&self) -> Vec<String> {
        let dropped = (self.dropped > 0).then(|| format!("{} earlier notices: see log.txt", self.dropped));
        dropped.into_iter().chain(self.notices.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_beyond_those_kept_are_counted() {
        let mut view = View::new("a", "runs/a".into(), 1);
        (0..NOTICES + 3).for_each(|number| view.notice(format!("notice {number}")));
        let kept = view.remaining();
        assert_eq!(kept.len(), NOTICES + 1);
        assert_eq!((kept[0].as_str(), kept[1].as_str()), ("3 earlier notices: see log.txt", "notice 3"));
    }

    #[test]
    fn the_choice_goes_round_and_needs_no_metric() {
        let mut view = View::new("a", "runs/a".into(), 1);
        view.choose(false);
        view.choose(true);
        assert_eq!(view.chosen, 0);
        view.validated(0, &serde_json::from_str(r#"{"a_loss": 1.0, "b_loss": 2.0}"#).unwrap(), false);
        view.choose(false);
        assert_eq!(view.chosen, 1);
        view.choose(true);
        assert_eq!(view.chosen, 0);
    }
}
