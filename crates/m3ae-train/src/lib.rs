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

mod batch;
mod checkpoint;
mod config;
mod error;
mod initial;
mod losses;
mod metrics;
mod objectives;
mod observer;
mod optimizer;
mod parallel;
mod pictures;
mod progress;
mod resume;
mod run_folder;
mod saver;
mod schedule;
mod setup;
mod skipped;
pub mod stages;
mod task;
mod tasks;
mod train;

pub use batch::{Batcher, BatcherConfig};
pub use checkpoint::{FileEntry, Identity, Manifest, Verified};
pub use config::{
    AllReduce, CheckpointSection, DataSection, FalseImages, InitSection, LogSection, MaskingSection, ModelSection,
    ObjectivesSection, OnFailure, RunConfig, RunConfigError, RunSection, TaskKind, TaskSection, TextSection,
    TrainSection,
};
pub use error::TrainError;
pub use losses::{cross_entropy, hits, mim_loss, vqa_loss};
pub use metrics::{Measured, Metrics, NonFinite, Sums, Term};
pub use objectives::{
    MaskedTokens, Matching, MissingHead, ObjectiveWeights, PretrainBatch, PretrainOutput, pretrain_step, three_passes,
};
pub use observer::{Observer, Start, StepReport};
pub use optimizer::{AdamW, AdamWConfig, GradientNorms, Group, Rate, gradient_norms};
pub use parallel::Devices;
pub use pictures::draw_reconstructions;
pub use progress::{Best, Progress, Window};
pub use resume::{Difference, Found, find_checkpoint};
pub use run_folder::RunFolder;
pub use schedule::{Decay, Schedule};
pub use setup::Setup;
pub use task::Task;
pub use tasks::{Classification, Pretraining, QuestionAnswering, Retrieval};
pub use train::{Run, Summary, train};
