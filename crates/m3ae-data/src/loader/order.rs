//! Which samples an epoch's batches hold: a function of seed and epoch.

use std::ops::Range;

use m3ae_random::{Key, Stream};

use super::LoaderConfig;

/// Everything that decides the order.
pub(super) struct Order {
    seed: u64,
    batch_size: usize,
    shuffle: bool,
    /// Batches per epoch.
    batches: usize,
}

impl Order {
    pub fn new(config: &LoaderConfig, samples: usize) -> Self {
        let LoaderConfig { batch_size, seed, shuffle, drop_last, .. } = *config;
        let batches = if drop_last { samples / batch_size } else { samples.div_ceil(batch_size) };
        Self { seed, batch_size, shuffle, batches }
    }

    pub fn batches(&self) -> usize {
        self.batches
    }

    /// The samples' numbers in the order in which the epoch visits them.
    pub fn of(&self, epoch: u64, samples: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..samples).collect();
        if self.shuffle {
            Key { seed: self.seed, epoch, sample: "", stream: Stream::Order }.generator().shuffle(&mut order);
        }
        order
    }

    /// Where in the order batch `index` is; empty behind the end.
    pub fn members(&self, index: usize, samples: usize) -> Range<usize> {
        let start = index.saturating_mul(self.batch_size).min(samples);
        start..start.saturating_add(self.batch_size).min(samples)
    }
}
