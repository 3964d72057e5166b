//! The training loop, for all tasks.

mod folder;
mod observer;
mod skipped;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::prelude::*;
use m3ae_data::{CaptionBatch, DataError, Loader};
use m3ae_files::remove_folder;
use m3ae_model::{M3ae, Precision};
use m3ae_random::{Key, Stream};
use m3ae_weights::{Extras, export_folder, open_folder};

use crate::checkpoint::{Best, Identity, Progress, Saver, Snapshot, Verified, Window, differences};
use crate::error::TrainError;
use crate::metrics::{Metrics, Sums};
use crate::optim::{AdamW, gradient_norms, hollow};
use crate::parallel::{Devices, Work};
use crate::recipe::{RunConfig, Setup, draw_weights};
pub use folder::RunFolder;
use observer::Line;
pub use observer::{Observer, Start, StepReport};
use skipped::SkipBudget;

/// What a run ends with.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Whether all steps were done; else the run was asked to stop, saved its state and can be resumed.
    pub complete: bool,
    /// Where it stands.
    pub progress: Progress,
    /// Metrics of the test split with the best weights, where there is one (fine-tuning, complete).
    pub test: Option<Metrics>,
    /// The run's folder.
    pub folder: PathBuf,
}

/// Trains as the recipe says, or goes on from `checkpoint`. When `stop` turns true, the step is finished and the state saved.
///
/// # Errors
/// Anything that [`TrainError`] names. What was written to the run's folder until then stays.
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
        if run.saver.is_due(step) || done || stopping {
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
    /// Stands in for the model while the optimiser has it. It has no values: the weights are then nobody else's, and are updated in place.
    hollow: M3ae,
    optimizer: AdamW,
    identity: Identity,
    saver: Saver,
    skipped: SkipBudget,
    /// What is left of the epoch.
    batches: Batches,
    progress: Progress,
}

type Batches = Box<dyn Iterator<Item = Result<CaptionBatch, DataError>>>;
/// Sees the first batch of a split.
type FirstBatch<'a> = &'a mut dyn FnMut(&CaptionBatch, &RunFolder) -> Result<(), TrainError>;

impl<'a> Run<'a> {
    /// A run at its first step, with the recipe's initial weights, on `devices` (plain ones: differentiation is added here). `folder` is made once the weights are there.
    ///
    /// # Errors
    /// Weights that cannot be loaded, or a folder that cannot be written.
    pub fn begin(
        config: &'a RunConfig,
        setup: &'a Setup,
        devices: &Devices,
        folder: impl FnOnce() -> Result<RunFolder, TrainError>,
    ) -> Result<Self, TrainError> {
        Self::new(config, setup, devices, folder, None, &[])
    }

    /// A run that goes on from `checkpoint`.
    ///
    /// # Errors
    /// The checkpoint is of another recipe, data set or tokenizer, but for the keys in `allowed`; or it cannot be read.
    pub fn resume(
        config: &'a RunConfig,
        setup: &'a Setup,
        devices: &Devices,
        folder: impl FnOnce() -> Result<RunFolder, TrainError>,
        checkpoint: &Verified,
        allowed: &[String],
    ) -> Result<Self, TrainError> {
        Self::new(config, setup, devices, folder, Some(checkpoint), allowed)
    }

    fn new(
        config: &'a RunConfig,
        setup: &'a Setup,
        devices: &Devices,
        folder: impl FnOnce() -> Result<RunFolder, TrainError>,
        checkpoint: Option<&Verified>,
        allowed: &[String],
    ) -> Result<Self, TrainError> {
        let identity = Identity {
            tokenizer: setup.tokenizer.hash(),
            answers: setup.task.answers().map(<[String]>::to_vec),
            data: setup.digest.clone(),
        };
        if let Some(checkpoint) = checkpoint {
            let differences = differences(checkpoint, config, &identity, allowed)?;
            if !differences.is_empty() {
                return Err(TrainError::Changed { path: checkpoint.path.clone(), differences });
            }
        }
        let devices = devices.differentiating(config.train.gradient_checkpointing);
        let device = devices.all().first().ok_or(TrainError::NoDevice)?.clone();
        let key = Key { seed: config.run.seed, epoch: 0, sample: "", stream: Stream::Initialisation };
        device.seed(key.generator().bits());
        let mut model = setup.model.init(&device)?;
        draw_weights(&model);
        let mut optimizer = AdamW::new(config.optimizer());
        let mut initial = Vec::new();
        let progress = match checkpoint {
            Some(checkpoint) => {
                checkpoint.restore(&mut model, &mut optimizer, &device)?;
                checkpoint.progress.clone()
            }
            None => {
                initial = setup.initial.load(&mut model, &setup.model, config)?;
                Progress::default()
            }
        };
        let model = model.with_precision(config.train.precision);
        let start = Start {
            task: config.task.kind,
            parameters: model.num_params(),
            train_samples: setup.train.len(),
            train_images: setup.train.images(),
            val_samples: setup.val.len(),
            test_samples: setup.test.as_ref().map(Loader::len),
            answers: identity.answers.as_ref().map(Vec::len),
            vocabulary: setup.tokenizer.vocab_size(),
            truncated: setup.train.truncated(),
            steps: setup.steps,
            resumed_at: checkpoint.map(|checkpoint| checkpoint.progress.step),
            initial: initial.iter().map(|(key, report)| format!("{key}: {report}")).collect(),
        };
        let mut folder = folder()?;
        folder.rewind(&progress)?;
        let skipped = SkipBudget::new(config.data.max_skipped_share, setup.lines_read, progress.skipped.clone());
        let saved = checkpoint.map(|checkpoint| checkpoint.progress.step);
        Ok(Self {
            config,
            setup,
            saver: Saver::new(folder.path(), &config.checkpoint, saved)?,
            folder,
            devices,
            device,
            start,
            hollow: hollow(&model),
            model,
            optimizer,
            identity,
            skipped,
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
            Some(step) => tracing::info!("going on after step {step}"),
            None => self.start.initial.iter().for_each(|report| tracing::info!("{report}")),
        }
        if let Some(how) = self.devices.describe() {
            tracing::info!("{how}");
        }
        observer.start(&self.start, &self.folder);
        self.folder.record(&Line::Start(&self.start))
    }

    /// The batches of one optimiser step, from the next epoch where this one ends. A batch without a readable sample is passed
    /// over.
    fn next_batches(&mut self) -> Result<Vec<CaptionBatch>, TrainError> {
        let mut chosen = Vec::with_capacity(self.config.train.accumulate);
        let mut epochs_begun = 0;
        while chosen.len() < self.config.train.accumulate {
            let Some(batch) = self.batches.next().transpose()? else {
                epochs_begun += 1;
                if epochs_begun > 1 && chosen.is_empty() {
                    return Err(DataError::NoSamples.into()); // A whole epoch, and nothing could be read.
                }
                (self.progress.epoch, self.progress.batch) = (self.progress.epoch + 1, 0);
                self.batches = Box::new(self.setup.train.epoch(self.progress.epoch, 0));
                continue;
            };
            self.progress.batch = batch.index + 1;
            self.skipped.note(&batch.skipped, &self.folder)?;
            if !batch.is_empty() {
                chosen.push(batch);
            }
        }
        Ok(chosen)
    }

    /// Forward, backward and update.
    fn optimise(&mut self, micro_batches: &[CaptionBatch], observer: &mut dyn Observer) -> Result<(), TrainError> {
        let began = Instant::now();
        let step = self.progress.step;
        // Dropout draws from the backend: its seed belongs to the step, so that a resumed run draws the same.
        for (number, device) in self.devices.all().iter().enumerate() {
            let sample = if number == 0 { String::new() } else { format!("device {number}") };
            let key = Key { seed: self.config.run.seed, epoch: step as u64, sample: &sample, stream: Stream::Backend };
            device.seed(key.generator().bits());
        }

        let work = Work {
            task: &*self.setup.task,
            batches: micro_batches,
            first: (step * self.config.train.accumulate) as u64,
        };
        let gradients = work.gradients(&self.model, &self.devices, &mut self.progress.window.sums)?;
        let gradients = gradients.map_err(|problem| not_finite(step, problem.name, problem.value, micro_batches))?;
        let norm = gradient_norms(&self.model, &gradients).total;
        if !norm.is_finite() {
            return Err(not_finite(step, "gradient's norm", norm, micro_batches));
        }
        // As PyTorch's clip_grad_norm_, its epsilon included.
        let clip = self.config.train.clip_norm.map(|most| most / (norm + 1e-6)).filter(|&scale| scale < 1.0);
        let factor = self.config.schedule(self.setup.steps).factor(step);
        let model = std::mem::replace(&mut self.model, self.hollow.clone());
        self.model = self.optimizer.step_scaled(model, gradients, factor, clip);

        let seconds = began.elapsed().as_secs_f64();
        let progress = &mut self.progress;
        progress.step += 1;
        progress.seconds += seconds;
        progress.window.seconds += seconds;
        progress.samples += micro_batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        let report = StepReport {
            step: progress.step,
            epoch: micro_batches.last().map_or(0, |batch| batch.epoch),
            metrics: progress.window.sums.means(),
            learning_rate: self.config.train.learning_rate * factor,
            gradient_norm: norm,
            samples_per_second: progress.window.sums.samples() / progress.window.seconds.max(f64::MIN_POSITIVE),
            seconds: progress.seconds,
        };
        observer.step(&report);
        if progress.step.is_multiple_of(self.config.log.every) || progress.step == self.setup.steps {
            progress.window = Window::default();
            self.folder.record(&Line::Train(&report))?;
        }
        Ok(())
    }

    /// Evaluates the validation split; keeps the weights if they are the best so far.
    fn validate(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let (step, device) = (self.progress.step, self.device.clone().inner());
        // Pictures are made in float32.
        let model = self.model.valid().with_precision(Precision::F32);
        let metrics = self.evaluate(&model, &self.setup.val, &mut |samples, folder| {
            self.setup.task.show(&model, samples, step, &device, folder.path())
        })?;
        self.progress.skipped = self.skipped.skipped().to_vec();
        self.folder.record(&Line::Validation { step, metrics: &metrics })?;
        if step == 0 {
            self.progress.untrained = Some(metrics.clone());
        }
        self.progress.trained = Some(metrics.clone());
        let score = self.setup.task.score(&metrics);
        let is_best = step > 0 && self.progress.best.as_ref().is_none_or(|best| score > best.score);
        if is_best {
            let former = self.progress.best.replace(Best { step, score, metrics: metrics.clone() });
            if let Some(problem) = self.saver.save_best(&self.snapshot(false))? {
                self.progress.best = former;
                observer.notice(&format!("the best weights so far could not be saved: {problem}"));
            }
        }
        observer.validated(step, &metrics, is_best);
        Ok(())
    }

    /// Metrics of a split without dropout, in the recipe's precision, with draws that never change; `first` sees its first batch.
    fn evaluate(&mut self, model: &M3ae, loader: &Loader, first: FirstBatch<'_>) -> Result<Metrics, TrainError> {
        let device = self.device.clone().inner();
        let model = model.clone().with_precision(self.config.train.precision);
        let mut sums = Sums::default();
        for (number, samples) in loader.epoch(0, 0).enumerate() {
            let samples = samples?;
            self.skipped.note(&samples.skipped, &self.folder)?;
            if samples.is_empty() {
                continue;
            }
            // What is not finite here shows in the metrics.
            let _ = sums.add(&self.setup.task.step(&model, &samples, number as u64, &device)?)?;
            if number == 0 {
                first(&samples, &self.folder)?;
            }
        }
        Ok(sums.means())
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
        let problem = self.saver.save(self.snapshot(true))?;
        notice_failure(problem, observer);
        Ok(())
    }

    fn interrupted(mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        notice_failure(self.saver.wait()?, observer);
        let folder = self.folder.path().to_owned();
        Ok(Summary { complete: false, progress: self.progress, test: None, folder })
    }

    /// Tests the best weights and leaves them as a model folder; pre-training leaves the last.
    fn finish(mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        notice_failure(self.saver.wait()?, observer);
        let fine_tuning = self.config.task.kind != crate::recipe::TaskKind::Pretraining;
        let mut model = self.model.valid();
        let best = self.progress.best.as_ref().map(|best| best.step);
        if let Some(step) = best.filter(|&step| fine_tuning && step != self.progress.step) {
            let path = self.saver.best(step);
            let lost = |problem| TrainError::BestLost { path: path.clone(), problem };
            let found = Verified::open(&path).map_err(lost)?;
            model = open_folder(&found.path)?.load(&self.device.clone().inner())?.0;
        }
        let mut test = None;
        if let Some(loader) = &self.setup.test {
            let metrics = self.evaluate(&model, loader, &mut |_, _| Ok(()))?;
            self.folder.record(&Line::Test { step: best.unwrap_or(self.progress.step), metrics: &metrics })?;
            test = Some(metrics);
        }
        let extras = Extras {
            tokenizer: Some(self.folder.file("tokenizer.json")),
            answers: self.setup.task.answers().map(<[String]>::to_vec),
            max_length: Some(self.config.text.max_length),
        };
        let out = self.folder.file("model");
        if out.is_dir() {
            // Of an earlier end of this run, which was resumed since.
            remove_folder(&out)?;
        }
        export_folder(&model, &self.setup.model, &extras, &out)?;
        self.progress.skipped = self.skipped.skipped().to_vec();
        let folder = self.folder.path().to_owned();
        Ok(Summary { complete: true, progress: self.progress, test, folder })
    }
}

fn notice_failure(problem: Option<TrainError>, observer: &mut dyn Observer) {
    if let Some(problem) = problem {
        observer.notice(&format!("a checkpoint could not be saved, earlier ones are whole: {problem}"));
    }
}

fn not_finite(step: usize, what: &str, value: f64, batches: &[CaptionBatch]) -> TrainError {
    let samples = batches.iter().flat_map(|batch| batch.sample_ids.iter().cloned()).collect();
    TrainError::NonFinite { step, what: what.to_owned(), value, samples }
}
