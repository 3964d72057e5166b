//! Training of M3AE: pre-training and fine-tuning from a recipe, with validation, checkpoints and resuming.
//!
//! ```text
//! RunConfig ─ Setup { loaders, Task } ─▶ samples ─ Task::step ─▶ loss ─ backward ─ AdamW
//!                 └──────────── train(): validate, save, resume ────────────┘
//! ```
//!
//! - [`pretrain`]: the pre-training step on one page, with its masks and losses.
//! - [`TASKS`]: pre-training and each kind of fine-tuning; a [`Task`] is the part of a run that differs between them.
//! - [`train`]: the loop that all tasks share; an [`Observer`] sees its progress.
//! - [`AdamW`] has the reference's parameter groups by name, [`Schedule`] the learning rate, [`Devices`] several
//!   devices.
//! - [`RunConfig`]: the recipe, in TOML.
//!
//! Everything random is keyed by seed, epoch, step and sample, and a [`RunCheckpoint`] holds all the rest: a run that
//! is killed and resumed ends with the parameters, bit for bit, of one that was not (on a backend that is
//! deterministic, as the CPU's are).
//!
//! # Example
//! A run from a recipe. `examples/minimal_loop.rs` trains without recipes and run folders, in about 60 lines.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::atomic::AtomicBool;
//!
//! use burn::prelude::Device;
//! use m3ae_train::{AllReduce, Devices, Run, RunConfig, RunFolder, Setup, train};
//!
//! let config = RunConfig::load(Path::new("configs/pretrain/small.toml"), &["train.steps=100".into()])?;
//! let setup = Setup::open(&config)?;
//! let devices = Devices::open(vec![Device::default()], AllReduce::Auto, false)?;
//! let run = Run::begin(&config, &setup, &devices, || RunFolder::create(&config, false))?;
//! let summary = train(run, &mut (), &AtomicBool::new(false))?;
//! println!("{} steps; the model is in {}", summary.progress.step, summary.folder.join("model").display());
//! # Ok::<(), m3ae_train::TrainError>(())
//! ```
//!
//! The backend is a feature of `burn`, which your crate chooses: `flex` for the CPU, `cuda` or `wgpu` for GPUs.
//! `Device::default()` is then the first device of that backend.

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
mod setup;
mod source;
mod task;
mod tasks;
#[cfg(test)]
mod testing;

pub use checkpoint::{Best, CheckpointError, Difference, Identity, Manifest, Progress, RunCheckpoint, Window};
pub use error::{MissingHead, RunFolderError, TrainError};
pub use finetune::{Classification, QuestionAnswering, Retrieval};
pub use losses::{cross_entropy, hits, mim_loss, vqa_loss};
pub use metrics::{Measured, Metrics, NonFinite, Sums, Term};
pub use optim::{AdamW, AdamWConfig, Decay, GradientNorms, Group, Rate, Schedule, gradient_norm, gradient_norms};
pub use parallel::Devices;
pub use pretrain::{
    Batcher, BatcherConfig, ItmOutput, MaskedTokens, Matching, MimOutput, MlmOutput, ObjectiveWeights, PretrainBatch,
    PretrainOutput, Pretraining, pretrain_step, three_passes,
};
pub use recipe::{
    AllReduce, CheckpointSection, DataSection, FalseImages, InitSection, LogSection, MaskingSection, ModelSection,
    ObjectivesSection, OnFailure, RunConfig, RunConfigError, RunSection, TaskSection, TextSection, TrainSection,
};
pub use run::{Observer, Run, RunFolder, Start, StepReport, Summary, train};
pub use setup::Setup;
pub use task::{Task, TaskSpec};
pub use tasks::{TASKS, describe_metric, find_task};
