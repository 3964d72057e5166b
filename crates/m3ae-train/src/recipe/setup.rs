//! The data of a run, and the task that reads them.

use std::path::{Path, PathBuf};

use m3ae_data::{
    CaptionSample, CaptionSet, Loader, LoaderConfig, MixtureSource, Question, QuestionSet, Skipped,
    arrow::LABEL_COLUMNS, mix, read_captions_arrow, read_classes_arrow, read_questions_arrow, shared_vocabulary,
};
use m3ae_image::Transform;
use m3ae_model::{HeadsConfig, M3aeConfig};
use m3ae_prepare::{PrepareError, PrepareOptions, SetName, phantom, prepare, read_roco};
use m3ae_text::Tokenizer;
use m3ae_weights::resolve;

use crate::error::TrainError;
use crate::finetune::{Classification, QuestionAnswering, Retrieval};
use crate::pretrain::{BatcherConfig, Pretraining};
use crate::recipe::{FalseImages, RunConfig, RunConfigError, TaskKind};
use crate::task::Task;

/// Validation samples of pre-training, where the recipe does not say.
const PRETRAINING_VALIDATION: usize = 1000;

/// What a run reads: data, task, tokenizer, and the model's sizes that follow from them.
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
}

/// Samples of the three splits, and the task's labels for them.
struct Source {
    train: Vec<CaptionSample>,
    val: Vec<CaptionSample>,
    test: Vec<CaptionSample>,
    labels: Labels,
    unusable: Vec<Skipped>,
    lines_read: usize,
}

enum Labels {
    None,
    Questions { questions: Vec<Question>, answers: Vec<String> },
    Classes { labels: Vec<(String, usize)>, classes: usize },
}

impl Setup {
    /// Opens what the recipe names; makes the synthetic set if that is wanted and absent.
    ///
    /// # Errors
    /// A missing or damaged file, a synthetic set of another configuration, sizes that no model can have, or fewer samples than one
    /// batch.
    pub fn open(config: &RunConfig) -> Result<Self, TrainError> {
        let made = config.data.phantom.as_ref().map(|folder| phantom::ensure(folder, &config.phantom)).transpose()?;
        let tokenizer = Tokenizer::load(&tokenizer_path(config, made.as_ref().map(|set| set.tokenizer.as_path()))?)?;
        let source = match config.task.kind {
            TaskKind::Pretraining | TaskKind::Retrieval => captions(config)?,
            TaskKind::QuestionAnswering => questions(config)?,
            TaskKind::Classification => classes(config)?,
        };
        let digest = source.digest();

        // The task needs the image size and the model the task's heads: sizes first, with no head.
        let no_heads = HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false);
        let sizes = config.model_config(&tokenizer, no_heads)?.vision;
        let pad_id = tokenizer.specials().pad;
        let task: Box<dyn Task> = match (config.task.kind, source.labels) {
            (TaskKind::Retrieval, _) => Box::new(Retrieval::new(pad_id, sizes.image_size())),
            (_, Labels::Questions { questions, answers }) => {
                Box::new(QuestionAnswering::new(&questions, answers, pad_id, sizes.image_size()))
            }
            (_, Labels::Classes { labels, classes }) => {
                Box::new(Classification::new(labels, classes, pad_id, sizes.image_size()))
            }
            (_, Labels::None) => {
                let batcher = BatcherConfig {
                    seed: config.run.seed,
                    image_size: sizes.image_size(),
                    patches: sizes.patches(),
                    mask_ratio: config.masking.image_ratio,
                    text: config.text_mask(),
                    objectives: config.weights(),
                };
                Box::new(Pretraining::new(batcher, tokenizer.clone(), config.log.pictures)?)
            }
        };
        let model = config.model_config(&tokenizer, task.heads())?;

        let training = loader_config(config, sizes.image_size());
        let train = Loader::new(&source.train, &tokenizer, &training)?;
        if train.batches() == 0 {
            let (samples, batch_size) = (train.len(), config.train.batch_size);
            return Err(TrainError::TooFewSamples { split: "train", samples, batch_size });
        }
        let plain = LoaderConfig { shuffle: false, drop_last: false, transform: Transform::Clip, ..training };
        let most = match config.task.kind {
            TaskKind::Pretraining => PRETRAINING_VALIDATION,
            _ => usize::MAX,
        };
        let shown = source.val.len().min(config.log.validation_samples.unwrap_or(most));
        let val = Loader::new(&source.val[..shown], &tokenizer, &plain)?;
        let is_tested = config.task.kind != TaskKind::Pretraining && !source.test.is_empty();
        let test = is_tested.then(|| Loader::new(&source.test, &tokenizer, &plain)).transpose()?;

        let accumulate = config.train.accumulate;
        let per_epoch = (train.batches() / accumulate).max(1);
        let steps = match (config.train.steps, config.train.epochs) {
            (Some(steps), _) => steps,
            // The schedule counts optimiser steps; what an epoch leaves over is carried into the next.
            (None, epochs) => (epochs.unwrap_or(1) * train.batches() / accumulate).max(1),
        };
        if config.train.warmup > steps as f64 {
            let problem = format!("{} is beyond the end, at step {steps}", config.train.warmup);
            return Err(RunConfigError::Value { key: "train.warmup", problem }.into());
        }
        let by_epochs = if config.train.epochs.is_some() { per_epoch } else { 1000 };
        let validate_every = config.log.validate_every.unwrap_or(by_epochs);
        let (unusable, lines_read) = (source.unusable, source.lines_read);
        Ok(Self { task, model, tokenizer, train, val, test, steps, validate_every, unusable, lines_read, digest })
    }
}

fn loader_config(config: &RunConfig, image_size: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: config.train.batch_size,
        workers: config.data.workers,
        seed: config.run.seed,
        side: image_size,
        transform: config.data.transform,
        max_length: config.text.max_length,
        cache_mib: config.data.cache_mib,
        false_images: config.task.kind == TaskKind::Pretraining
            && config.objectives.itm > 0.0
            && config.objectives.false_images == FalseImages::DataSet,
        false_texts: if config.task.kind == TaskKind::Retrieval { config.task.false_texts } else { 0 },
        ..LoaderConfig::default()
    }
}

/// The recipe's tokenizer, or the synthetic set's, or the one that lies beside the checkpoint.
fn tokenizer_path(config: &RunConfig, own: Option<&Path>) -> Result<PathBuf, TrainError> {
    if let Some(path) = &config.text.tokenizer {
        return Ok(path.clone());
    }
    let initial = config.init.checkpoint.as_deref().filter(|name| !name.is_empty());
    let beside = initial.map(resolve).transpose()?.map(|path| {
        let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("")) };
        folder.join("tokenizer.json")
    });
    match (beside.filter(|path| path.is_file()), own) {
        (Some(path), _) => Ok(path),
        (None, Some(own)) => Ok(own.to_owned()),
        (None, None) => {
            let problem = "is missing, and there is no tokenizer.json beside init.checkpoint: \
                           name the folder of the checkpoint's tokenizer";
            Err(RunConfigError::Value { key: "text.tokenizer", problem: problem.into() }.into())
        }
    }
}

/// The files of one split: those of the recipe's sets. The test split may be absent.
fn files(config: &RunConfig, split: &str) -> Result<Vec<PathBuf>, TrainError> {
    let mut files = Vec::new();
    for name in &config.data.sets {
        let stem = SetName::from_name(name).map_or(name.as_str(), |set| set.file_stem());
        let path = config.data.prepared.join(format!("{stem}_{split}.arrow"));
        if path.is_file() {
            files.push(path);
        } else if split != "test" {
            let out = config.data.prepared.display();
            let expected =
                format!("a prepared file of {name}: `cargo xtask prepare {name} --raw <folder> --out {out}`");
            return Err(PrepareError::Missing { path, expected }.into());
        }
    }
    Ok(files)
}

fn captions(config: &RunConfig) -> Result<Source, TrainError> {
    let folder = config.data.phantom.as_ref().map(|folder| folder.join("roco")).or_else(|| config.data.roco.clone());
    let mut source = Source {
        train: Vec::new(),
        val: Vec::new(),
        test: Vec::new(),
        labels: Labels::None,
        unusable: Vec::new(),
        lines_read: 0,
    };
    for split in ["train", "val", "test"] {
        // Pre-training never looks at the test split.
        if split == "test" && config.task.kind == TaskKind::Pretraining {
            continue;
        }
        let sets: Vec<CaptionSet> = match &folder {
            Some(folder) => vec![read_roco(folder, split)?],
            None => files(config, split)?.iter().map(|path| read_captions_arrow(path)).collect::<Result<_, _>>()?,
        };
        let mut sources = Vec::with_capacity(sets.len());
        for (number, set) in sets.into_iter().enumerate() {
            // Weights are for training; every sample counts once in validation.
            let weight = if split == "train" { config.data.weights.get(number).copied() } else { None };
            sources.push(MixtureSource { samples: set.samples, weight: weight.unwrap_or(1.0) });
            source.unusable.extend(set.skipped);
            source.lines_read += set.lines_read;
        }
        let samples = if sources.is_empty() { Vec::new() } else { mix(&sources, config.run.seed)? };
        match split {
            "train" => source.train = samples,
            "val" => source.val = samples,
            _ => source.test = samples,
        }
    }
    Ok(source)
}

fn questions(config: &RunConfig) -> Result<Source, TrainError> {
    let files = |split: &str| match &config.data.phantom {
        Some(folder) => {
            let out = folder.join("arrows");
            let file = |split: &str| out.join(format!("{}_{split}.arrow", SetName::Phantom.file_stem()));
            // Once they are there, several runs may read them at the same time.
            if !["train", "val", "test"].into_iter().all(|split| file(split).is_file()) {
                // Or are just being made by another run.
                let options = PrepareOptions { wait: true, ..PrepareOptions::default() };
                prepare(SetName::Phantom, folder, &out, &options, &mut |_| {})?;
            }
            Ok(vec![file(split)])
        }
        None => files(config, split),
    };
    let read = |split: &str| -> Result<Option<QuestionSet>, TrainError> {
        Ok(files(split)?.first().map(|path| read_questions_arrow(path)).transpose()?)
    };
    let sets = [read("train")?, read("val")?, read("test")?];
    let answers = shared_vocabulary(&sets.iter().flatten().collect::<Vec<_>>())?.answers().to_vec();
    let mut samples = sets.iter().map(|set| {
        let questions = set.iter().flat_map(|set| &set.questions);
        questions.map(|question| question.sample.clone()).collect::<Vec<_>>()
    });
    let mut next = || samples.next().unwrap_or_default();
    let (train, val, test) = (next(), next(), next());
    let lines_read = train.len() + val.len() + test.len();
    let questions = sets.into_iter().flatten().flat_map(|set| set.questions).collect();
    let labels = Labels::Questions { questions, answers };
    Ok(Source { train, val, test, labels, unusable: Vec::new(), lines_read })
}

fn classes(config: &RunConfig) -> Result<Source, TrainError> {
    let column = LABEL_COLUMNS.iter().position(|&column| column == config.task.label).ok_or_else(|| {
        let problem = format!("there is no column {:?}; choose one of {}", config.task.label, LABEL_COLUMNS.join(", "));
        RunConfigError::Value { key: "task.label", problem }
    })?;
    let mut splits = [const { Vec::new() }; 3];
    let (mut labels, mut classes) = (Vec::new(), 0);
    for (samples, split) in splits.iter_mut().zip(["train", "val", "test"]) {
        for path in files(config, split)? {
            let set = read_classes_arrow(&path)?;
            classes = classes.max(set.names[column].len());
            for classified in set.samples {
                labels.push((classified.sample.id.clone(), classified.labels[column]));
                samples.push(classified.sample);
            }
        }
    }
    let [train, val, test] = splits;
    let lines_read = labels.len();
    let labels = Labels::Classes { labels, classes };
    Ok(Source { train, val, test, labels, unusable: Vec::new(), lines_read })
}

impl Source {
    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for split in [&self.train, &self.val, &self.test] {
            field(&(split.len() as u64).to_le_bytes());
            for sample in split {
                field(sample.id.as_bytes());
                field(sample.caption.as_bytes());
            }
        }
        match &self.labels {
            Labels::None => {}
            Labels::Questions { questions, answers } => {
                answers.iter().for_each(|answer| field(answer.as_bytes()));
                for &(class, score) in questions.iter().flat_map(|question| &question.targets) {
                    field(&(class as u64).to_le_bytes());
                    field(&score.to_le_bytes());
                }
            }
            Labels::Classes { labels, .. } => {
                labels.iter().for_each(|(_, class)| field(&(*class as u64).to_le_bytes()));
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}
