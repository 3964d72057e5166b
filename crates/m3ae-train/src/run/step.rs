//! One optimiser step: batches, gradients, update.

use std::time::Instant;

use m3ae_data::{CaptionBatch, DataError};
use m3ae_random::{Key, Stream};

use super::Run;
use super::observer::{Line, Observer, StepReport};
use crate::checkpoint::Window;
use crate::error::TrainError;
use crate::metrics::NonFinite;
use crate::optim::gradient_norm;
use crate::parallel::Work;

impl Run<'_> {
    /// The batches of one optimiser step, from the next epoch where this one ends. A batch without a readable sample is
    /// passed over.
    pub(super) fn next_batches(&mut self) -> Result<Vec<CaptionBatch>, TrainError> {
        let mut chosen = Vec::with_capacity(self.config.train.accumulate);
        let mut epochs_begun = 0;
        while chosen.len() < self.config.train.accumulate {
            let Some(batch) = self.batches.next().transpose()? else {
                epochs_begun += 1;
                if epochs_begun > 1 && chosen.is_empty() {
                    return Err(DataError::NoSamples.into()); // A whole epoch, and nothing could be read.
                }
                (self.progress.epoch, self.progress.batch) = (self.progress.epoch + 1, 0);
                self.batches = Box::new(self.setup.train.epoch(self.progress.epoch, 0));
                continue;
            };
            self.progress.batch = batch.index + 1;
            self.skipped.note(&batch.skipped, &self.folder)?;
            if !batch.is_empty() {
                chosen.push(batch);
            }
        }
        Ok(chosen)
    }

    /// Forward, backward and update.
    pub(super) fn optimise(
        &mut self,
        micro_batches: &[CaptionBatch],
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let began = Instant::now();
        let step = self.progress.step;
        self.seed_devices();
        let work = Work {
            task: &*self.setup.task,
            batches: micro_batches,
            step,
            first: (step * self.config.train.accumulate) as u64,
        };
        let gradients = work.gradients(&self.model, &self.devices, &mut self.progress.window.sums)?;
        let norm = gradient_norm(&self.model, &gradients);
        if !norm.is_finite() {
            return Err(work.not_finite(NonFinite { name: "gradient's norm", value: norm }));
        }
        // As PyTorch's clip_grad_norm_, its epsilon included.
        let clip = self.config.train.clip_norm.map(|most| most / (norm + 1e-6)).filter(|&scale| scale < 1.0);
        let factor = self.config.schedule(self.setup.steps).factor(step);
        let model = std::mem::replace(&mut self.model, self.placeholder.clone());
        self.model = self.optimizer.step_scaled(model, gradients, factor, clip);

        let seconds = began.elapsed().as_secs_f64();
        let progress = &mut self.progress;
        progress.step += 1;
        progress.seconds += seconds;
        progress.window.seconds += seconds;
        progress.samples += micro_batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        let report = StepReport {
            step: progress.step,
            epoch: micro_batches.last().map_or(0, |batch| batch.epoch),
            metrics: progress.window.sums.means(),
            learning_rate: self.config.train.learning_rate * factor,
            gradient_norm: norm,
            samples_per_second: progress.window.sums.samples() / progress.window.seconds.max(f64::MIN_POSITIVE),
            seconds: progress.seconds,
        };
        observer.step(&report);
        if progress.step.is_multiple_of(self.config.log.every) || progress.step == self.setup.steps {
            progress.window = Window::default();
            self.folder.record(&Line::Train(&report))?;
        }
        Ok(())
    }

    /// Dropout draws from the backend's generator: its seed belongs to the step, so that a resumed run draws the same.
    fn seed_devices(&self) {
        for (number, device) in self.devices.all().iter().enumerate() {
            let sample = if number == 0 { String::new() } else { format!("device {number}") };
            let (seed, epoch) = (self.config.run.seed, self.progress.step as u64);
            device.seed(Key { seed, epoch, sample: &sample, stream: Stream::Backend }.generator().bits());
        }
    }
}
