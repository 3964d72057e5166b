//! Which samples an epoch's batches hold: a function of seed and epoch.

use std::ops::Range;

use m3ae_random::{Key, Stream};

use super::{LoaderConfig, Shard};

/// Everything that decides the order.
pub(super) struct Order {
    seed: u64,
    batch_size: usize,
    shuffle: bool,
    length_window: usize,
    shard: Shard,
    /// Batches per epoch of this rank.
    batches: usize,
}

impl Order {
    pub fn new(config: &LoaderConfig, samples: usize) -> Self {
        let LoaderConfig { batch_size, shard, .. } = *config;
        // All ranks have equally many batches: of the last round, either none or all get one.
        let batches = match config.drop_last {
            true => samples / batch_size / shard.world,
            false => samples.div_ceil(batch_size).div_ceil(shard.world),
        };
        let LoaderConfig { seed, shuffle, length_window, .. } = *config;
        Self { seed, batch_size, shuffle, length_window, shard, batches }
    }

    pub fn batches(&self) -> usize {
        self.batches
    }

    /// The samples' numbers in the order in which the epoch visits them, for all ranks.
    pub fn of(&self, epoch: u64, samples: usize, length: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..samples).collect();
        let mut generator = Key { seed: self.seed, epoch, sample: "", stream: Stream::Order }.generator();
        if self.shuffle {
            generator.shuffle(&mut order);
        }
        if self.length_window == 0 {
            return order;
        }
        // What fills no batch stays as it is: sorted along, it would always be the longest texts that `drop_last`
        // leaves out.
        let whole = samples - samples % self.batch_size;
        for window in order[..whole].chunks_mut(self.batch_size.saturating_mul(self.length_window)) {
            window.sort_by_key(|&sample| length(sample));
            if self.shuffle {
                let mut batches: Vec<Vec<usize>> = window.chunks(self.batch_size).map(<[usize]>::to_vec).collect();
                generator.shuffle(&mut batches);
                window.iter_mut().zip(batches.into_iter().flatten()).for_each(|(place, sample)| *place = sample);
            }
        }
        order
    }

    /// Where in the order this rank's batch `index` is; empty behind the end.
    pub fn members(&self, index: usize, samples: usize) -> Range<usize> {
        let global = index.saturating_mul(self.shard.world).saturating_add(self.shard.rank);
        let start = global.saturating_mul(self.batch_size).min(samples);
        start..start.saturating_add(self.batch_size).min(samples)
    }
}
