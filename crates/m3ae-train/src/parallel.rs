//! Data parallelism: the batches of one optimiser step on several devices of a machine.
//!
//! Every device has the same weights and takes every n-th batch of the step; gradients come together on the first device, where the
//! update is made. That is the same sum as on one device, in another order. Gradients and weights cross between devices once per
//! step, by the backend's device-to-device copies; no collective library is needed, so it works wherever a backend has more than
//! one device.

use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_model::{M3ae, Precision, with_precision};

use crate::error::TrainError;
use crate::metrics::{NonFinite, Sums};
use crate::task::Task;

/// What a step's gradients are made of.
pub(crate) struct Work<'a> {
    pub task: &'a dyn Task,
    pub batches: &'a [CaptionBatch],
    /// The number of the first batch since the run began.
    pub first: u64,
    pub precision: Precision,
}

/// What a device brings: its gradient, and what it measured, or the first loss that is not finite.
type Share = Result<(GradientsParams, Result<(), NonFinite>, Sums), TrainError>;

impl Work<'_> {
    /// The mean gradient over all batches, on the first device; sums of what was measured are added to `sums`.
    pub(crate) fn gradients(
        &self,
        model: &M3ae,
        devices: &[Device],
        sums: &mut Sums,
    ) -> Result<Result<GradientsParams, NonFinite>, TrainError> {
        let [first, others @ ..] = devices else { return Err(TrainError::NoDevice) };
        let count = devices.len();
        let shares: Vec<Share> = thread::scope(|scope| {
            let others: Vec<_> = others
                .iter()
                .enumerate()
                .map(|(number, device)| {
                    scope.spawn(move || {
                        let replica = model.clone().fork(device);
                        let (gradients, problem, sums) = self.share(&replica, device, number + 1, count)?;
                        Ok((gradients.to_device(first, &replica), problem, sums))
                    })
                })
                .collect();
            let own = self.share(model, first, 0, count);
            let others = others.into_iter().map(|thread| thread.join().unwrap_or(Err(TrainError::DevicePanicked)));
            std::iter::once(own).chain(others).collect()
        });
        let mut total = GradientsAccumulator::new();
        for share in shares {
            let (gradients, problem, measured) = share?;
            sums.join(measured);
            if let Err(problem) = problem {
                return Ok(Err(problem));
            }
            total.accumulate(model, gradients);
        }
        Ok(Ok(total.grads()))
    }

    /// The batches of device `number` of `count`.
    fn share(&self, model: &M3ae, device: &Device, number: usize, count: usize) -> Share {
        let share = 1.0 / self.batches.len().max(1) as f64;
        let (mut gradients, mut sums) = (GradientsAccumulator::new(), Sums::default());
        for (part, samples) in self.batches.iter().enumerate().skip(number).step_by(count) {
            let index = self.first + part as u64;
            let measured = with_precision(self.precision, || self.task.step(model, samples, index, device))?;
            if let Err(problem) = sums.add(&measured)? {
                return Ok((GradientsParams::new(), Err(problem), sums));
            }
            gradients.accumulate(model, GradientsParams::from_grads((measured.loss * share).backward(), model));
        }
        Ok((gradients.grads(), Ok(()), sums))
    }
}

#[cfg(test)]
mod tests;
