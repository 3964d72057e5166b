//! Training of M3AE: objectives, optimiser groups, schedule, loop, checkpoints and run folders.
//!
//! ```text
//! RunConfig ─ Setup { Loader, Task } ─▶ CaptionBatch ─ Task::step ─▶ loss ─ backward ─ AdamW
//!                 └───────────────── train(): validate, save, resume ──────────────────┘
//! ```
//!
//! [`train`] is the loop that pre-training and fine-tuning share; a [`Task`] is what differs. [`pretrain_step`] is the
//! model's part of a pre-training step, with the encodings that the objectives share computed once; [`AdamW`] has the reference's
//! parameter groups by name; [`RunConfig`] is the recipe in TOML.
//!
//! Everything random is keyed by seed, epoch, step and sample, and a checkpoint holds all the rest: a run that is killed and
//! resumed ends with the parameters, bit for bit, of one that was not (on a backend that is deterministic, as the CPU's are).

mod checkpoint;
mod error;
mod finetune;
mod losses;
mod metrics;
mod optim;
mod parallel;
pub mod pretrain;
mod recipe;
mod run;
mod task;
#[cfg(test)]
mod testing;

pub use checkpoint::{Best, CheckpointError, Difference, Identity, Manifest, Progress, RunCheckpoint, Window};
pub use error::{MissingHead, TrainError};
pub use finetune::{Classification, QuestionAnswering, Retrieval};
pub use losses::{cross_entropy, hits, mim_loss, vqa_loss};
pub use metrics::{Measured, Metrics, NonFinite, Sums, Term};
pub use optim::{AdamW, AdamWConfig, Decay, GradientNorms, Group, Rate, Schedule, gradient_norms};
pub use parallel::Devices;
pub use pretrain::{
    Batcher, BatcherConfig, ItmOutput, MaskedTokens, Matching, MimOutput, MlmOutput, ObjectiveWeights, PretrainBatch,
    PretrainOutput, Pretraining, pretrain_step, three_passes,
};
pub use recipe::{
    AllReduce, CheckpointSection, DataSection, FalseImages, InitSection, LogSection, MaskingSection, ModelSection,
    ObjectivesSection, OnFailure, RunConfig, RunConfigError, RunSection, Setup, TaskKind, TaskSection, TextSection,
    TrainSection,
};
pub use run::{Observer, Run, RunFolder, RunFolderError, Start, StepReport, Summary, train};
pub use task::Task;
