//! The devices of a run, and how their gradients come together.

use std::sync::Arc;
use std::thread;

use burn::prelude::*;

use super::sum::{Collectives, Reducer};
use crate::error::TrainError;
use crate::recipe::AllReduce;

/// The devices of a run, all of one backend. The first holds weights and moments.
#[derive(Clone, Debug)]
pub struct Devices {
    all: Vec<Device>,
    exchange: Exchange,
}

/// How gradients come together on the first device.
#[derive(Clone, Debug)]
pub(super) enum Exchange {
    /// Each device's are copied there and added there.
    Copy,
    /// Every device gets the sum, by as many transfers at once as there are devices.
    Collective(Arc<dyn Reducer>),
}

impl Devices {
    /// Takes these devices; `collectives` tells whether the backend can sum over them by itself (with Burn 0.22, CUDA
    /// where NCCL can be loaded). Where such sums are to be used, one of known numbers is made first.
    ///
    /// # Errors
    /// There is no device, collectives are asked for and the backend has none, or their sum is wrong.
    pub fn open(all: Vec<Device>, wanted: AllReduce, collectives: bool) -> Result<Self, TrainError> {
        let exchange = match (wanted, collectives) {
            _ if all.len() < 2 => Exchange::Copy,
            (AllReduce::Copy, _) | (AllReduce::Auto, false) => Exchange::Copy,
            (AllReduce::Collective, false) => return Err(TrainError::NoCollectives { devices: all.len() }),
            (AllReduce::Auto | AllReduce::Collective, true) => Exchange::Collective(Arc::new(Collectives(all.clone()))),
        };
        Self::checked(all, exchange)
    }

    pub(super) fn checked(all: Vec<Device>, exchange: Exchange) -> Result<Self, TrainError> {
        if all.is_empty() {
            return Err(TrainError::NoDevice);
        }
        if let Exchange::Collective(reducer) = &exchange {
            check(&all, &**reducer)?;
        }
        Ok(Self { all, exchange })
    }

    /// The device that holds weights and moments.
    pub(crate) fn first(&self) -> &Device {
        &self.all[0] // There is one: `checked` refuses an empty list.
    }

    /// All devices but the first.
    pub(super) fn others(&self) -> &[Device] {
        &self.all[1..]
    }

    /// All devices.
    #[must_use]
    pub fn all(&self) -> &[Device] {
        &self.all
    }

    /// How gradients come together, in words; nothing for a single device.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        let count = self.all.len();
        (count > 1).then(|| match self.exchange {
            Exchange::Copy => format!("gradients of {count} devices are copied to the first and added there"),
            Exchange::Collective(_) => format!("gradients of {count} devices are summed by the backend's collectives"),
        })
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The same devices for differentiation.
    pub(crate) fn differentiating(&self, checkpointing: bool) -> Self {
        let with = |device: &Device| {
            let device = device.clone().autodiff();
            if checkpointing { device.gradient_checkpointing() } else { device }
        };
        Self { all: self.all.iter().map(with).collect(), exchange: self.exchange.clone() }
    }
}

/// Sums 1, 2, ... over the devices.
fn check(devices: &[Device], reducer: &dyn Reducer) -> Result<(), TrainError> {
    let expected = (devices.len() * (devices.len() + 1) / 2) as f32;
    let sums: Vec<Result<Vec<f32>, TrainError>> = thread::scope(|scope| {
        let threads: Vec<_> = devices
            .iter()
            .enumerate()
            .map(|(number, device)| {
                scope.spawn(move || {
                    let part = Tensor::<1>::full([1000], (number + 1) as f32, &device.clone().inner());
                    Ok(reducer.start(number, part)().try_into_vec_as::<f32>()?)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(TrainError::DevicePanicked))).collect()
    });
    for sum in sums {
        if let Some(found) = sum?.into_iter().find(|&value| value != expected) {
            return Err(TrainError::WrongCollective { devices: devices.len(), expected, found });
        }
    }
    Ok(())
}
