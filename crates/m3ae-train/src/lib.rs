//! Pre-training of M3AE: objectives, optimiser groups, schedule, loop and run folders.
//!
//! ```text
//! RunConfig ─ Corpus ─ Loader ─ Batcher ─▶ PretrainBatch ─ pretrain_step ─▶ losses ─ backward ─ AdamW
//! ```
//!
//! [`pretrain`] is the loop; [`pretrain_step`] is the model's part of a step, with the encodings that the objectives share
//! computed once; [`AdamW`] has the reference's parameter groups by name; [`RunConfig`] is the recipe in TOML.

mod batch;
mod config;
mod corpus;
mod error;
mod initial;
mod losses;
mod metrics;
mod objectives;
mod optimizer;
mod pictures;
mod pretrain;
mod run_folder;
mod schedule;

pub use batch::{Batcher, BatcherConfig, visible_patches};
pub use config::{
    DataSection, InitSection, LogSection, MaskingSection, ModelSection, ObjectivesSection, RunConfig, RunConfigError,
    RunSection, TextSection, TrainSection,
};
pub use corpus::{Corpus, SkipBudget};
pub use error::TrainError;
pub use initial::load_initial;
pub use losses::{cross_entropy, hits, mim_loss, vqa_loss};
pub use metrics::{PretrainMetrics, PretrainSums, StepLosses};
pub use objectives::{
    MaskedTokens, Matching, MissingHead, ObjectiveWeights, PretrainBatch, PretrainOutput, pretrain_step, three_passes,
};
pub use optimizer::{AdamW, AdamWConfig, GradientNorms, Group, Rate, gradient_norms};
pub use pictures::draw_reconstructions;
pub use pretrain::{Observer, Start, StepReport, Summary, pretrain};
pub use run_folder::RunFolder;
pub use schedule::{Decay, Schedule};
