//! Data parallelism: the batches of one optimiser step on several devices of a machine.
//!
//! Every device has the same weights and takes every n-th batch of the step; gradients come together, by one of the two
//! ways of [`Exchange`], on the first device, where the update is made and whose weights all others copy at the next
//! step. So there is one truth: what is validated, saved and resumed is the first device's, and replicas cannot drift
//! apart. The sum is the same as on one device, in another order.
//!
//! Burn also has hooks in the backward pass that reduce each gradient as it appears (`Tensor::set_distributed`). They
//! are not used: they would do so in every backward pass instead of once per step, and a device that stops (a sample
//! that cannot be read, a loss that is not finite) would leave the others waiting for ever. Here all devices first meet
//! at a [barrier], once they have their gradients.

mod barrier;
mod devices;
mod sum;

use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use m3ae_data::CaptionBatch;
use m3ae_model::M3ae;

use crate::error::TrainError;
use crate::metrics::{NonFinite, Sums};
use crate::task::Task;
use barrier::{ParamsWithGrad, barrier};
use devices::Exchange;

pub use devices::Devices;

/// The batches of one optimiser step, and how to compute their gradients.
pub(crate) struct Work<'a> {
    pub task: &'a dyn Task,
    pub batches: &'a [CaptionBatch],
    /// Optimiser step, from 0: for messages.
    pub step: usize,
    /// The number of the first batch since the run began.
    pub first: u64,
}

/// One device's part of the result.
struct Share {
    gradients: GradientsParams,
    /// The first loss that is not finite; then the gradients are of no use.
    problem: Option<NonFinite>,
    sums: Sums,
}

impl Share {
    /// The parameters that have a gradient; `None` where the gradients are of no use.
    fn params_with_grad(&self, model: &M3ae) -> Option<ParamsWithGrad> {
        self.problem.is_none().then(|| sum::params_with_grad(model, &self.gradients))
    }
}

impl Work<'_> {
    /// The mean gradient over all batches, on the first device. What was measured is added to `sums`.
    ///
    /// # Errors
    /// A batch's step fails, or its loss is not finite.
    pub(crate) fn gradients(
        &self,
        model: &M3ae,
        devices: &Devices,
        sums: &mut Sums,
    ) -> Result<GradientsParams, TrainError> {
        let (first, others) = (devices.first(), devices.others());
        let (count, exchange) = (devices.all().len(), devices.exchange());
        let (leader, followers) = barrier(others.len());
        let shares: Vec<Result<Share, TrainError>> = thread::scope(|scope| {
            let others: Vec<_> = others
                .iter()
                .zip(followers)
                .zip(1..)
                .map(|((device, follower), number)| {
                    scope.spawn(move || {
                        let replica = model.clone().fork(device);
                        let mut share = self.share(&replica, device, number, count)?;
                        let params = share.params_with_grad(&replica);
                        let gradients = std::mem::take(&mut share.gradients);
                        match exchange {
                            Exchange::Copy => share.gradients = gradients.to_device(first, &replica),
                            Exchange::Collective(reducer) => {
                                if let Some(all) = follower.wait(params) {
                                    sum::start(&replica, gradients, &all, device, number, &**reducer).wait();
                                }
                            }
                        }
                        Ok(share)
                    })
                })
                .collect();
            let mut own = self.share(model, first, 0, count);
            if let Exchange::Collective(reducer) = exchange {
                let params = own.as_ref().ok().and_then(|share| share.params_with_grad(model));
                if let (Some(all), Ok(share)) = (leader.wait(params), &mut own) {
                    let gradients = std::mem::take(&mut share.gradients);
                    let parts = sum::start(model, gradients, &all, first, 0, &**reducer).wait();
                    share.gradients = sum::unpack(model, all, parts);
                }
            }
            let others = others.into_iter().map(|thread| thread.join().unwrap_or(Err(TrainError::DevicePanicked)));
            std::iter::once(own).chain(others).collect()
        });
        let mut total = GradientsAccumulator::new();
        for share in shares {
            let Share { gradients, problem, sums: measured } = share?;
            sums.join(measured);
            if let Some(problem) = problem {
                return Err(self.not_finite(problem));
            }
            total.accumulate(model, gradients);
        }
        Ok(total.grads())
    }

    /// The error for a number of this step that is NaN or infinite.
    pub(crate) fn not_finite(&self, NonFinite { name, value }: NonFinite) -> TrainError {
        let samples = self.batches.iter().flat_map(|batch| batch.sample_ids.iter().cloned()).collect();
        TrainError::NonFinite { step: self.step, what: name.to_owned(), value, samples }
    }

    /// The batches of device `number` of `count`.
    fn share(&self, model: &M3ae, device: &Device, number: usize, count: usize) -> Result<Share, TrainError> {
        let share = 1.0 / self.batches.len().max(1) as f64;
        let (mut gradients, mut sums) = (GradientsAccumulator::new(), Sums::default());
        for (part, samples) in self.batches.iter().enumerate().skip(number).step_by(count) {
            let index = self.first + part as u64;
            let measured = self.task.step(model, samples, index, device)?;
            if let Some(problem) = sums.add(&measured)? {
                return Ok(Share { gradients: GradientsParams::new(), problem: Some(problem), sums });
            }
            gradients.accumulate(model, GradientsParams::from_grads((measured.loss * share).backward(), model));
        }
        Ok(Share { gradients: gradients.grads(), problem: None, sums })
    }
}

#[cfg(test)]
mod tests;
