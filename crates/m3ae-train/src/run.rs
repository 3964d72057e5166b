//! The training loop, for all tasks.

mod evaluate;
mod folder;
mod observer;
mod skipped;
mod step;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::prelude::*;
use m3ae_data::{CaptionBatch, DataError, Loader};
use m3ae_model::M3ae;
use m3ae_random::{Key, Stream};

use crate::checkpoint::{CheckpointError, CheckpointManager, Identity, Progress, RunCheckpoint, Snapshot, differences};
use crate::error::{RunFolderError, TrainError};
use crate::metrics::Metrics;
use crate::optim::{AdamW, placeholder};
use crate::parallel::Devices;
use crate::recipe::{RunConfig, draw_weights};
use crate::setup::Setup;
use observer::Line;
use skipped::SkipBudget;

pub use folder::RunFolder;
pub use observer::{Observer, Start, StepReport};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Whether all steps were done; else the run was asked to stop, saved its state and can be resumed.
    pub complete: bool,
    /// Where it stands.
    pub progress: Progress,
    /// Metrics of the test split with the best weights, if there is such a split (fine-tuning, complete).
    pub test: Option<Metrics>,
    /// The run's folder.
    pub folder: PathBuf,
}

/// Trains until the last step of the recipe. When `stop` turns true, the current step is finished and the state saved.
///
/// # Errors
/// Any [`TrainError`]. What was written to the run's folder until then stays.
pub fn train(mut run: Run<'_>, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Summary, TrainError> {
    let setup = run.setup;
    run.announce(observer)?;
    if run.progress.step == 0 {
        run.validate(observer)?;
    }
    while run.progress.step < setup.steps {
        let batches = run.next_batches()?;
        run.optimise(&batches, observer)?;
        let step = run.progress.step;
        let done = step == setup.steps;
        if step.is_multiple_of(setup.validate_every) || done {
            run.validate(observer)?;
        }
        let stopping = stop.load(Ordering::Relaxed);
        if run.checkpoints.is_due(step) || done || stopping {
            run.save(observer)?;
        }
        if stopping && !done {
            return run.interrupted(observer);
        }
    }
    run.finish(observer)
}

/// Everything that a run carries from step to step.
pub struct Run<'a> {
    config: &'a RunConfig,
    setup: &'a Setup,
    folder: RunFolder,
    /// For differentiation; the first one holds weights and moments.
    devices: Devices,
    device: Device,
    start: Start,
    model: M3ae,
    /// Stands in for the model while the optimiser has it. It has no values: nobody else then holds the weights, which
    /// are updated in place.
    placeholder: M3ae,
    optimizer: AdamW,
    identity: Identity,
    checkpoints: CheckpointManager,
    skipped: SkipBudget,
    /// The rest of the epoch.
    batches: Box<dyn Iterator<Item = Result<CaptionBatch, DataError>>>,
    progress: Progress,
}

/// A run's state at its first step, or at the step of a checkpoint.
struct State {
    model: M3ae,
    optimizer: AdamW,
    progress: Progress,
    /// Where initial weights came from: a report each.
    initial: Vec<String>,
}

impl<'a> Run<'a> {
    /// A run at its first step, with the recipe's initial weights, on `devices` (plain ones: differentiation is added
    /// here). `folder` is opened once the weights are there.
    ///
    /// # Errors
    /// Weights that cannot be loaded, or a folder that cannot be written.
    pub fn begin(
        config: &'a RunConfig,
        setup: &'a Setup,
        devices: &Devices,
        folder: impl FnOnce() -> Result<RunFolder, RunFolderError>,
    ) -> Result<Self, TrainError> {
        let devices = devices.differentiating(config.train.gradient_checkpointing);
        let (mut model, optimizer) = fresh(config, setup, devices.first())?;
        let initial = setup.initial.load(&mut model, &setup.model, config)?;
        let initial = initial.iter().map(|(key, report)| format!("{key}: {report}")).collect();
        let state = State { model, optimizer, progress: Progress::default(), initial };
        Self::new(config, setup, devices, state, folder()?)
    }

    /// A run that continues from `checkpoint`, which was found in its `folder`. The keys in `allowed` may have changed
    /// since.
    ///
    /// # Errors
    /// The checkpoint is of another recipe, data set or tokenizer, or it cannot be read.
    pub fn resume(
        config: &'a RunConfig,
        setup: &'a Setup,
        devices: &Devices,
        folder: RunFolder,
        checkpoint: &RunCheckpoint,
        allowed: &[String],
    ) -> Result<Self, TrainError> {
        let differences = differences(checkpoint, &config.to_toml()?, &identity(setup), allowed)?;
        if !differences.is_empty() {
            return Err(CheckpointError::Changed { path: checkpoint.path.clone(), differences }.into());
        }
        let devices = devices.differentiating(config.train.gradient_checkpointing);
        let (mut model, mut optimizer) = fresh(config, setup, devices.first())?;
        checkpoint.restore(&mut model, &mut optimizer, devices.first())?;
        let state = State { model, optimizer, progress: checkpoint.progress.clone(), initial: Vec::new() };
        Self::new(config, setup, devices, state, folder)
    }

    fn new(
        config: &'a RunConfig,
        setup: &'a Setup,
        devices: Devices,
        state: State,
        mut folder: RunFolder,
    ) -> Result<Self, TrainError> {
        let State { model, optimizer, progress, initial } = state;
        let model = model.with_precision(config.train.precision);
        let identity = identity(setup);
        let resumed_at = (progress.step > 0).then_some(progress.step);
        let start = Start {
            task: config.task.kind.clone(),
            parameters: model.num_params(),
            train_samples: setup.train.len(),
            train_images: setup.train.images(),
            val_samples: setup.val.len(),
            test_samples: setup.test.as_ref().map(Loader::len),
            answers: identity.answers.as_ref().map(Vec::len),
            vocabulary: setup.tokenizer.vocab_size(),
            truncated: setup.train.truncated(),
            steps: setup.steps,
            resumed_at,
            initial,
        };
        folder.begin(&config.to_toml()?, &progress)?;
        Ok(Self {
            config,
            setup,
            checkpoints: CheckpointManager::new(folder.path(), &config.checkpoint, resumed_at)?,
            folder,
            device: devices.first().clone(),
            devices,
            start,
            placeholder: placeholder(&model),
            model,
            optimizer,
            identity,
            skipped: SkipBudget::new(config.data.max_skipped_share, setup.lines_read, progress.skipped.clone()),
            batches: Box::new(setup.train.epoch(progress.epoch, progress.batch)),
            progress,
        })
    }

    /// The run's folder.
    #[must_use]
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    fn announce(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.skipped.note(&self.setup.unusable, &self.folder)?;
        self.setup.tokenizer.save(self.folder.path())?;
        match self.start.resumed_at {
            Some(step) => tracing::info!("resumed after step {step}"),
            None => self.start.initial.iter().for_each(|report| tracing::info!("{report}")),
        }
        if let Some(how) = self.devices.describe() {
            tracing::info!("{how}");
        }
        observer.start(&self.start, &self.folder);
        if let Some(best) = self.progress.best.take_if(|best| !self.checkpoints.best(best.step).is_dir()) {
            observer.notice(&format!("the best weights so far, those of step {}, are lost", best.step));
        }
        Ok(self.folder.record(&Line::Start(&self.start))?)
    }

    fn snapshot(&self, with_moments: bool) -> Snapshot {
        let mut progress = self.progress.clone();
        progress.metrics_bytes = self.folder.metrics_bytes();
        progress.skipped = self.skipped.skipped().to_vec();
        Snapshot {
            model: self.model.valid(),
            config: self.setup.model.clone(),
            moments: with_moments.then(|| self.optimizer.moments()),
            progress,
            recipe: self.config.to_toml().unwrap_or_default(),
            identity: self.identity.clone(),
            tokenizer: self.folder.file("tokenizer.json"),
            max_length: self.config.text.max_length,
        }
    }

    fn save(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let problem = self.checkpoints.save(self.snapshot(true))?;
        notice_failure(problem, observer);
        Ok(())
    }

    fn interrupted(mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        notice_failure(self.checkpoints.wait()?, observer);
        let folder = self.folder.path().to_owned();
        Ok(Summary { complete: false, progress: self.progress, test: None, folder })
    }
}

/// A model with random weights, and an optimiser that has not stepped yet.
fn fresh(config: &RunConfig, setup: &Setup, device: &Device) -> Result<(M3ae, AdamW), TrainError> {
    let key = Key { seed: config.run.seed, epoch: 0, sample: "", stream: Stream::Initialisation };
    device.seed(key.generator().bits());
    let model = setup.model.init(device)?;
    draw_weights(&model);
    Ok((model, AdamW::new(config.optimizer())))
}

fn identity(setup: &Setup) -> Identity {
    Identity {
        tokenizer: setup.tokenizer.hash(),
        answers: setup.task.answers().map(<[String]>::to_vec),
        data: setup.digest.clone(),
    }
}

fn notice_failure(problem: Option<CheckpointError>, observer: &mut dyn Observer) {
    if let Some(problem) = problem {
        observer.notice(&format!("a checkpoint could not be saved, earlier ones are whole: {problem}"));
    }
}
