//! The pre-training loop.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use m3ae_data::{CaptionBatch, DataError, Loader, Skipped};
use m3ae_model::{M3ae, M3aeConfig};
use m3ae_random::{Key, Stream};
use m3ae_weights::{Extras, export_folder};
use serde::Serialize;

use crate::batch::{Batcher, BatcherConfig};
use crate::config::RunConfig;
use crate::corpus::{Corpus, SkipBudget};
use crate::error::TrainError;
use crate::initial::load_initial;
use crate::metrics::{PretrainMetrics, PretrainSums, StepLosses};
use crate::objectives::pretrain_step;
use crate::optimizer::{AdamW, gradient_norms};
use crate::pictures::draw_reconstructions;
use crate::run_folder::RunFolder;

/// Told what happens, as it happens.
pub trait Observer {
    /// Data and model are ready.
    fn start(&mut self, start: &Start);
    /// An optimiser step is done.
    fn step(&mut self, step: &StepReport);
    /// The validation split was evaluated after `step` steps.
    fn validated(&mut self, step: usize, metrics: &PretrainMetrics);
}

/// What a run begins with.
#[derive(Debug, Clone, Serialize)]
pub struct Start {
    /// Model parameters.
    pub parameters: usize,
    /// Training samples and the images they share.
    pub train_samples: usize,
    /// Different training images.
    pub train_images: usize,
    /// Validation samples.
    pub val_samples: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Captions that `text.max_length` cuts.
    pub truncated: usize,
    /// Optimiser steps to come.
    pub steps: usize,
    /// Where initial weights came from, if not from chance: a report each.
    pub initial: Vec<String>,
}

/// One optimiser step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Steps done.
    pub step: usize,
    /// Epoch of its last batch.
    pub epoch: u64,
    /// Means since the last line of metrics.
    pub metrics: PretrainMetrics,
    /// Base learning rate of the step.
    pub learning_rate: f64,
    /// Norm of the averaged gradient.
    pub gradient_norm: f64,
    /// Samples per second since the last line of metrics.
    pub samples_per_second: f64,
    /// Since the first step began, validation left out.
    pub seconds: f64,
}

/// What a run ends with.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Metrics of the validation split before the first step.
    pub untrained: PretrainMetrics,
    /// And after the last.
    pub trained: PretrainMetrics,
    /// Samples per second over all steps, validation left out.
    pub samples_per_second: f64,
    /// What could not be used.
    pub skipped: Vec<Skipped>,
    /// The run's folder.
    pub folder: PathBuf,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Start(&'a Start),
    Train(&'a StepReport),
    Validation { step: usize, metrics: PretrainMetrics },
}

/// Pre-trains as the recipe says, on `device` (a plain one: differentiation is added here).
///
/// # Errors
/// Anything that [`TrainError`] names. What was written to the run's folder until then stays.
pub fn pretrain(
    config: &RunConfig,
    device: &Device,
    folder: &mut RunFolder,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let corpus = Corpus::open(config)?;
    let model_config = config.model_config(&corpus.tokenizer)?;
    let mut run = Run::new(config, &corpus, &model_config, device, folder)?;
    observer.start(&run.start);
    run.folder.record(&Line::Start(&run.start))?;

    let untrained = run.validate(0, observer)?;
    let mut trained = untrained;
    while run.step < config.train.steps {
        let micro_batches = run.next_batches()?;
        let report = run.optimise(&micro_batches)?;
        observer.step(&report);
        let done = run.step == config.train.steps;
        if run.step.is_multiple_of(config.log.every) || done {
            run.folder.record(&Line::Train(&report))?;
            run.window = Window::default();
        }
        if run.step.is_multiple_of(config.log.validate_every) || done {
            trained = run.validate(run.step, observer)?;
        }
    }
    run.save()?;
    let samples_per_second = run.samples / run.training_time.as_secs_f64().max(f64::MIN_POSITIVE);
    let skipped = run.skipped.skipped().to_vec();
    Ok(Summary { untrained, trained, samples_per_second, skipped, folder: run.folder.path().to_owned() })
}

/// Everything that a run carries from step to step.
struct Run<'a> {
    config: &'a RunConfig,
    model_config: &'a M3aeConfig,
    corpus: &'a Corpus,
    folder: &'a mut RunFolder,
    device: Device,
    start: Start,
    model: M3ae,
    optimizer: AdamW,
    batcher: Batcher,
    train: Loader,
    val: Loader,
    skipped: SkipBudget,
    epoch: u64,
    /// What is left of the epoch.
    batches: Batches,
    /// Optimiser steps done.
    step: usize,
    window: Window,
    samples: f64,
    training_time: Duration,
}

/// What accumulates between two lines of metrics.
#[derive(Default)]
struct Window {
    sums: PretrainSums,
    time: Duration,
}

type Batches = Box<dyn Iterator<Item = Result<CaptionBatch, DataError>>>;

impl<'a> Run<'a> {
    fn new(
        config: &'a RunConfig,
        corpus: &'a Corpus,
        model_config: &'a M3aeConfig,
        device: &Device,
        folder: &'a mut RunFolder,
    ) -> Result<Self, TrainError> {
        let seed = config.run.seed;
        let vision = &model_config.vision;
        let train = corpus.train_loader(config, vision.image_size)?;
        let val = corpus.val_loader(config, vision.image_size)?;
        let lines = corpus.train.lines_read + corpus.val.lines_read;
        let mut skipped = SkipBudget::new(config.data.max_skipped_share, lines);
        skipped.note(&corpus.train.skipped, folder)?;
        skipped.note(&corpus.val.skipped, folder)?;
        let batcher = BatcherConfig {
            seed,
            image_size: vision.image_size,
            patches: vision.patches(),
            mask_ratio: config.masking.image_ratio,
            text: config.text_mask(),
        };
        let device = device.clone().autodiff();
        device.seed(Key { seed, epoch: 0, sample: "", stream: Stream::Initialisation }.generator().bits());
        // Parameters are lazy: drawing them all now, in order, ties them to the seed above, whatever is loaded then.
        let mut model = model_config.init(&device)?.materialize();
        let initial = load_initial(&mut model, &config.init)?;
        for (key, report) in &initial {
            tracing::info!("{key}: {report}");
        }
        let start = Start {
            parameters: model.num_params(),
            train_samples: train.len(),
            train_images: train.images(),
            val_samples: val.len(),
            vocabulary: corpus.tokenizer.vocab_size(),
            truncated: train.truncated(),
            steps: config.train.steps,
            initial: initial.iter().map(|(key, report)| format!("{key}: {report}")).collect(),
        };
        Ok(Self {
            config,
            model_config,
            batcher: Batcher::new(batcher, &corpus.tokenizer)?,
            corpus,
            folder,
            device,
            start,
            epoch: 0,
            batches: Box::new(train.epoch(0, 0)),
            model,
            optimizer: AdamW::new(config.optimizer()),
            train,
            val,
            skipped,
            step: 0,
            window: Window::default(),
            samples: 0.0,
            training_time: Duration::ZERO,
        })
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
                self.epoch += 1;
                self.batches = Box::new(self.train.epoch(self.epoch, 0));
                continue;
            };
            self.skipped.note(&batch.skipped, self.folder)?;
            if !batch.is_empty() {
                chosen.push(batch);
            }
        }
        Ok(chosen)
    }

    /// Forward, backward and update.
    fn optimise(&mut self, micro_batches: &[CaptionBatch]) -> Result<StepReport, TrainError> {
        let began = Instant::now();
        let step = self.step;
        // Dropout draws from the backend: its seed belongs to the step, so that a resumed run draws the same.
        let key = Key { seed: self.config.run.seed, epoch: step as u64, sample: "", stream: Stream::Backend };
        self.device.seed(key.generator().bits());

        let share = 1.0 / micro_batches.len().max(1) as f64;
        let mut gradients = GradientsAccumulator::new();
        for (part, samples) in micro_batches.iter().enumerate() {
            let number = (step * self.config.train.accumulate + part) as u64;
            let batch = self.batcher.batch(samples, number, &self.device)?;
            let output = pretrain_step(&self.model, &batch)?;
            let loss = output.total(self.config.weights()) * share;
            let losses = self.window.sums.add(&batch, &output)?;
            guard(step, losses, micro_batches)?;
            gradients.accumulate(&self.model, GradientsParams::from_grads(loss.backward(), &self.model));
        }
        let gradients = gradients.grads();
        let gradient_norm = gradient_norms(&self.model, &gradients).total;
        finite(step, "gradient's norm", gradient_norm, micro_batches)?;

        let factor = self.config.schedule().factor(step);
        self.model = self.optimizer.step(self.model.clone(), gradients, factor);
        self.step += 1;

        let time = began.elapsed();
        self.training_time += time;
        self.window.time += time;
        self.samples += micro_batches.iter().map(CaptionBatch::len).sum::<usize>() as f64;
        Ok(StepReport {
            step: self.step,
            epoch: micro_batches.last().map_or(0, |batch| batch.epoch),
            metrics: self.window.sums.means(),
            learning_rate: self.config.train.learning_rate * factor,
            gradient_norm,
            samples_per_second: self.window.sums.samples() / self.window.time.as_secs_f64().max(f64::MIN_POSITIVE),
            seconds: self.training_time.as_secs_f64(),
        })
    }

    /// Evaluates the validation split without dropout, with masks that never change, and draws the picture.
    fn validate(&mut self, step: usize, observer: &mut dyn Observer) -> Result<PretrainMetrics, TrainError> {
        let model = self.model.valid();
        let device = self.device.clone().inner();
        let mut sums = PretrainSums::default();
        for (number, samples) in self.val.epoch(0, 0).enumerate() {
            let samples = samples?;
            self.skipped.note(&samples.skipped, self.folder)?;
            if samples.is_empty() {
                continue;
            }
            let batch = self.batcher.batch(&samples, number as u64, &device)?;
            let output = pretrain_step(&model, &batch)?;
            sums.add(&batch, &output)?;
            if number == 0 && self.config.log.pictures > 0 {
                let path = self.folder.file(&format!("reconstructions-{step:06}.png"));
                draw_reconstructions(&model, &batch, output.patches, self.config.log.pictures, &path)?;
            }
        }
        let metrics = sums.means();
        self.folder.record(&Line::Validation { step, metrics })?;
        observer.validated(step, &metrics);
        Ok(metrics)
    }

    /// Writes a self-sufficient model folder: weights, configuration, tokenizer.
    fn save(&self) -> Result<(), TrainError> {
        self.corpus.tokenizer.save(self.folder.path())?;
        let extras = Extras { tokenizer: Some(self.folder.file("tokenizer.json")), answers: None };
        Ok(export_folder(&self.model.valid(), self.model_config, &extras, &self.folder.file("model"))?)
    }
}

fn guard(step: usize, losses: StepLosses, batches: &[CaptionBatch]) -> Result<(), TrainError> {
    finite(step, "masked language modelling loss", losses.mlm, batches)?;
    finite(step, "masked image modelling loss", losses.mim, batches)?;
    finite(step, "image-text matching loss", losses.itm, batches)
}

fn finite(step: usize, what: &'static str, value: f64, batches: &[CaptionBatch]) -> Result<(), TrainError> {
    if value.is_finite() {
        return Ok(());
    }
    let samples = batches.iter().flat_map(|batch| batch.sample_ids.iter().cloned()).collect();
    Err(TrainError::NonFinite { step, what, value, samples })
}
