//! Pre-training of M3AE.

mod losses;
mod objectives;
mod optimizer;
mod schedule;

pub use losses::{cross_entropy, hits, mim_loss, vqa_loss};
pub use objectives::{
    MaskedTokens, Matching, MissingHead, ObjectiveWeights, PretrainBatch, PretrainOutput, pretrain_step, three_passes,
};
pub use optimizer::{AdamW, AdamWConfig, GradientNorms, Group, Rate, gradient_norms};
pub use schedule::Schedule;
