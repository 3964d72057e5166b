//! The samples of a run's three splits, with the labels of its task.

use std::path::{Path, PathBuf};

use m3ae_data::{
    CaptionSample, CaptionSet, MixtureSource, Question, QuestionSet, Skipped, arrow::LABEL_COLUMNS, mix,
    read_captions_arrow, read_classes_arrow, read_questions_arrow, shared_vocabulary,
};
use m3ae_prepare::{PrepareError, PrepareOptions, SetName, prepare, prepared_file_name, read_roco};

use crate::error::TrainError;
use crate::recipe::{RunConfig, RunConfigError, TaskKind};

/// Samples of the three splits, and the task's labels for them.
pub(super) struct Source {
    pub train: Vec<CaptionSample>,
    pub val: Vec<CaptionSample>,
    pub test: Vec<CaptionSample>,
    pub labels: Labels,
    pub unusable: Vec<Skipped>,
    pub lines_read: usize,
}

pub(super) enum Labels {
    None,
    Questions { questions: Vec<Question>, answers: Vec<String> },
    Classes { labels: Vec<(String, usize)>, classes: usize },
}

impl Source {
    /// Reads what the recipe's `[data]` names for its task.
    ///
    /// # Errors
    /// A missing or damaged file; the message names the key.
    pub(super) fn read(config: &RunConfig) -> Result<Self, TrainError> {
        match config.task.kind {
            TaskKind::Pretraining | TaskKind::Retrieval => captions(config),
            TaskKind::QuestionAnswering => questions(config),
            TaskKind::Classification => classes(config),
        }
    }

    /// Hash of all splits' ids, texts and labels.
    pub(super) fn digest(&self) -> String {
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

/// The files of one split: those of the recipe's sets. The test split may be absent.
fn files(config: &RunConfig, split: &str) -> Result<Vec<PathBuf>, TrainError> {
    let mut files = Vec::new();
    for set in &config.data.sets {
        let path = config.data.prepared.join(prepared_file_name(set, split));
        if path.is_file() {
            files.push(path);
        } else if split != "test" {
            return Err(TrainError::NotPrepared { set: set.clone(), path });
        }
    }
    Ok(files)
}

fn captions(config: &RunConfig) -> Result<Source, TrainError> {
    let (key, folder) = match (&config.data.phantom, &config.data.roco) {
        (Some(folder), _) => ("data.phantom", Some(folder.join("roco"))),
        (None, Some(folder)) => ("data.roco", Some(folder.clone())),
        (None, None) => ("data.sets", None),
    };
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
            Some(folder) => vec![read_roco(folder, split).map_err(TrainError::of_key(key))?],
            None => {
                let sets = files(config, split)?.iter().map(|path| read_captions_arrow(path)).collect::<Result<_, _>>();
                sets.map_err(TrainError::of_key(key))?
            }
        };
        let mut sources = Vec::with_capacity(sets.len());
        for (number, set) in sets.into_iter().enumerate() {
            // Weights are for training; every sample counts once in validation.
            let weight = if split == "train" { config.data.weights.get(number).copied() } else { None };
            sources.push(MixtureSource { samples: set.samples, weight: weight.unwrap_or(1.0) });
            source.unusable.extend(set.skipped);
            source.lines_read += set.lines_read;
        }
        let samples = if sources.is_empty() {
            Vec::new()
        } else {
            mix(&sources, config.run.seed).map_err(TrainError::of_key("data.weights"))?
        };
        match split {
            "train" => source.train = samples,
            "val" => source.val = samples,
            _ => source.test = samples,
        }
    }
    Ok(source)
}

fn questions(config: &RunConfig) -> Result<Source, TrainError> {
    let key = if config.data.phantom.is_some() { "data.phantom" } else { "data.sets" };
    let phantom = config.data.phantom.as_ref().map(|folder| phantom_questions(folder)).transpose();
    let phantom = phantom.map_err(TrainError::of_key(key))?;
    let read = |split: &str| -> Result<Option<QuestionSet>, TrainError> {
        let files = match &phantom {
            Some(folder) => vec![folder.join(SetName::Phantom.file_name(split))],
            None => files(config, split)?,
        };
        files.first().map(|path| read_questions_arrow(path)).transpose().map_err(TrainError::of_key(key))
    };
    let sets = [read("train")?, read("val")?, read("test")?];
    let answers = shared_vocabulary(&sets.iter().flatten().collect::<Vec<_>>());
    let answers = answers.map_err(TrainError::of_key(key))?.answers().to_vec();
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

/// The folder of the synthetic set's prepared questions, made where they are not there.
fn phantom_questions(folder: &Path) -> Result<PathBuf, PrepareError> {
    let out = folder.join("arrows");
    // Once they are there, several runs may read them at the same time.
    if !["train", "val", "test"].into_iter().all(|split| out.join(SetName::Phantom.file_name(split)).is_file()) {
        // Another run may be making them just now.
        let options = PrepareOptions { wait: true, ..PrepareOptions::default() };
        prepare(SetName::Phantom, folder, &out, &options, &mut |_| {})?;
    }
    Ok(out)
}

fn classes(config: &RunConfig) -> Result<Source, TrainError> {
    let column = LABEL_COLUMNS.iter().position(|&column| column == config.task.label).ok_or_else(|| {
        let problem = format!("there is no column {:?}; choose one of {}", config.task.label, LABEL_COLUMNS.join(", "));
        RunConfigError::value("task.label", problem)
    })?;
    let mut splits = [const { Vec::new() }; 3];
    let (mut labels, mut classes) = (Vec::new(), 0);
    for (samples, split) in splits.iter_mut().zip(["train", "val", "test"]) {
        for path in files(config, split)? {
            let set = read_classes_arrow(&path).map_err(TrainError::of_key("data.sets"))?;
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
