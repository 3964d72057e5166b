//! What a run reads: data, tokenizer, task, and the model's sizes that follow from them.

mod loaders;

use std::path::PathBuf;

use m3ae_data::{Loader, Skipped};
use m3ae_model::{HeadsConfig, M3aeConfig};
use m3ae_prepare::phantom;
use m3ae_text::Tokenizer;
use m3ae_weights::{CONFIG_FILE, TOKENIZER_FILE, folder_settings};

use crate::checkpoint::RunCheckpoint;
use crate::error::TrainError;
use crate::recipe::{InitialWeights, RunConfig, RunConfigError, Sizes, model_config};
use crate::source::Source;
use crate::task::Task;
use crate::tasks::find_task;
use loaders::Loaders;

/// What a run reads: data, task, tokenizer, weights to start from, and the model's sizes that follow from them.
pub struct Setup {
    /// What is trained.
    pub task: Box<dyn Task>,
    /// The model's configuration.
    pub model: M3aeConfig,
    /// The texts' tokenizer.
    pub tokenizer: Tokenizer,
    /// To train on: every epoch in its own order.
    pub train: Loader,
    /// To validate on, in the file's order.
    pub val: Loader,
    /// To test fine-tuned models on, where there is such a split.
    pub test: Option<Loader>,
    /// Optimiser steps of the run.
    pub steps: usize,
    /// Optimiser steps between validations.
    pub validate_every: usize,
    /// What could not be used.
    pub unusable: Vec<Skipped>,
    /// Samples and unusable lines.
    pub lines_read: usize,
    /// Hash of all splits' ids, texts and labels.
    pub digest: String,
    /// The weights of `[init]`; none for a run that goes on.
    pub(crate) initial: InitialWeights,
}

/// Where a run starts.
enum Origin {
    /// At its first step, from the weights of `[init]`.
    Beginning(Box<InitialWeights>),
    /// At a checkpoint of its own, with this configuration and this tokenizer.
    Checkpoint { model: Box<M3aeConfig>, tokenizer: PathBuf },
}

impl Setup {
    /// Opens everything that the recipe names, for a run that begins; makes the synthetic set if that is wanted and
    /// absent.
    ///
    /// # Errors
    /// A missing or damaged file, a synthetic set of another configuration, sizes that no model can have or that
    /// contradict the weights of `[init]`, or fewer samples than one batch.
    pub fn open(config: &RunConfig) -> Result<Self, TrainError> {
        Self::assemble(config, Origin::Beginning(Box::new(InitialWeights::open(&config.init)?)))
    }

    /// As [`open`](Self::open), for a run that goes on from `checkpoint`: the model's configuration is the checkpoint's
    /// own, and the weights of `[init]` are not opened.
    ///
    /// # Errors
    /// As [`open`](Self::open), or the checkpoint's configuration cannot be read.
    pub fn resume(config: &RunConfig, checkpoint: &RunCheckpoint) -> Result<Self, TrainError> {
        let path = checkpoint.path.join(CONFIG_FILE);
        let settings = folder_settings(&path)?;
        let settings = settings.ok_or_else(|| TrainError::Io { path, source: std::io::ErrorKind::NotFound.into() })?;
        let tokenizer = checkpoint.path.join(TOKENIZER_FILE);
        Self::assemble(config, Origin::Checkpoint { model: Box::new(settings.config), tokenizer })
    }

    fn assemble(config: &RunConfig, origin: Origin) -> Result<Self, TrainError> {
        let tokenizer = tokenizer(config, &origin)?;
        let (source, new_task) = (find_task(&config.task.kind)?.open)(config)?;
        let sizes = match &origin {
            Origin::Beginning(weights) => Sizes::Weights(weights),
            Origin::Checkpoint { model, .. } => Sizes::Resumed(model),
        };
        // The task needs the image size and the model the task's heads: sizes first, with no head.
        let no_heads = HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false);
        let vision = model_config(config, &tokenizer, no_heads, &sizes)?.vision;
        config.check_batch(vision.image_size())?;
        let task = new_task(config, &tokenizer, &vision)?;
        let model = model_config(config, &tokenizer, task.heads(), &sizes)?;
        let loaders = Loaders::new(config, &tokenizer, vision.image_size(), &source)?;
        let (steps, validate_every) = steps(config, loaders.train.batches())?;
        let initial = match origin {
            Origin::Beginning(weights) => *weights,
            Origin::Checkpoint { .. } => InitialWeights::none(),
        };
        let digest = source.digest();
        let Source { unusable, lines_read, .. } = source;
        let Loaders { train, val, test } = loaders;
        Ok(Self {
            task,
            model,
            tokenizer,
            train,
            val,
            test,
            steps,
            validate_every,
            unusable,
            lines_read,
            digest,
            initial,
        })
    }
}

/// The recipe's tokenizer; else that of the checkpoint that the run goes on from, the one beside `init.checkpoint`, or
/// the synthetic set's.
fn tokenizer(config: &RunConfig, origin: &Origin) -> Result<Tokenizer, TrainError> {
    let in_phantom = TrainError::of_key("data.phantom");
    let made = config.data.phantom.as_ref().map(|folder| phantom::ensure(folder, &config.phantom)).transpose();
    let made = made.map_err(in_phantom)?;
    let beside = match origin {
        Origin::Checkpoint { tokenizer, .. } => Some(tokenizer.clone()),
        Origin::Beginning(weights) => weights.tokenizer(),
    };
    let named = config.text.tokenizer.clone();
    let Some(path) = named.or(beside).or(made.map(|set| set.tokenizer)) else {
        let problem = "is missing, and there is no tokenizer.json beside init.checkpoint: name the folder of the \
                       checkpoint's tokenizer";
        return Err(RunConfigError::value("text.tokenizer", problem).into());
    };
    Tokenizer::load(&path).map_err(TrainError::of_key("text.tokenizer"))
}

/// Optimiser steps of the run, and between two validations.
fn steps(config: &RunConfig, batches: usize) -> Result<(usize, usize), TrainError> {
    let accumulate = config.train.accumulate;
    let steps = match (config.train.steps, config.train.epochs) {
        (Some(steps), _) => steps,
        // The schedule counts optimiser steps; what an epoch leaves over is carried into the next.
        (None, epochs) => (epochs.unwrap_or(1).saturating_mul(batches) / accumulate).max(1),
    };
    if config.train.warmup > steps as f64 {
        let problem = format!("{} is beyond the end, at step {steps}", config.train.warmup);
        return Err(RunConfigError::value("train.warmup", problem).into());
    }
    let by_epochs = if config.train.epochs.is_some() { (batches / accumulate).max(1) } else { 1000 };
    Ok((steps, config.log.validate_every.unwrap_or(by_epochs)))
}
