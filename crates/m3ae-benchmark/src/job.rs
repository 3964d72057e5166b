//! One evaluation: plain data with every default filled in, and the steps that all tasks share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::prelude::Device;
use m3ae::{Model, OpenOptions};
use m3ae_eval::{Bootstrap, Evaluation, Scores};
use m3ae_files::hash_file;

use crate::error::BenchmarkError;
use crate::event::{Event, Observer};
use crate::names::{Benchmark, ProtocolName, Split};
use crate::place;
use crate::prepared::{default_prepared, prepare_absent, prepared_path};

/// One evaluation, with every default filled in.
#[derive(Clone, Debug)]
pub struct Job {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// The model: a path, or a name in the Hugging Face cache.
    pub checkpoint: String,
    /// What its files do not say.
    pub options: OpenOptions,
    /// The split that is scored.
    pub split: Split,
    /// The protocol, where one is asked for.
    pub protocol: Option<ProtocolName>,
    /// Folder of prepared files.
    pub prepared: PathBuf,
    /// Folder of the raw set.
    pub raw: PathBuf,
    /// Folder of the results.
    pub out: PathBuf,
    /// Whether results of another evaluation are overwritten there.
    pub overwrite: bool,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Cases shown, of right and of wrong answers each.
    pub cases: usize,
    /// The label column of a classification.
    pub label: String,
    /// Retrieval: only the first so many images.
    pub candidates: Option<usize>,
    /// Whether every logit is kept for the results.
    pub logits: bool,
    /// More that the scores follow from, recorded with them.
    pub inputs: BTreeMap<String, String>,
    /// Program, device and system, recorded with the scores.
    pub environment: BTreeMap<String, String>,
}

/// An open model.
pub(crate) struct Opened {
    pub model: Model,
    /// From the files to a model that can be asked.
    pub took: Duration,
}

/// Whether the evaluation was asked to stop.
pub(crate) fn stopped(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed)
}

impl Job {
    /// The test split of a benchmark, with every default: files in their usual places, results in [`default_folder`],
    /// 5000 resamples.
    ///
    /// [`default_folder`]: crate::default_folder
    #[must_use]
    pub fn new(benchmark: Benchmark, checkpoint: &str) -> Self {
        let set = benchmark.set();
        Self {
            benchmark,
            checkpoint: checkpoint.to_owned(),
            options: OpenOptions::new(),
            split: Split::Test,
            protocol: None,
            prepared: default_prepared(set, set.default_raw(), None),
            raw: set.default_raw().to_owned(),
            out: place::default_folder(benchmark, Split::Test, checkpoint),
            overwrite: false,
            bootstrap: Bootstrap { resamples: 5_000, ..Bootstrap::default() },
            cases: 8,
            label: "p_meth_label".to_owned(),
            candidates: None,
            logits: false,
            inputs: BTreeMap::new(),
            environment: BTreeMap::new(),
        }
    }

    /// Opens the model.
    pub(crate) fn open(&self, device: &Device, observer: Observer<'_>) -> Result<Opened, BenchmarkError> {
        let begun = Instant::now();
        let model = self
            .options
            .open(&self.checkpoint, device)
            .map_err(|source| BenchmarkError::Open { checkpoint: self.checkpoint.clone(), source })?;
        let took = begun.elapsed();
        observer(Event::Opened { model: &model, took });
        Ok(Opened { model, took })
    }

    /// The prepared file of a split; the set is prepared first where only its raw folder is there.
    pub(crate) fn prepared_file(&self, split: Split, observer: Observer<'_>) -> Result<PathBuf, BenchmarkError> {
        let (set, raw, prepared) = (self.benchmark.set(), &self.raw, &self.prepared);
        prepare_absent(set, raw, prepared, split, self.protocol, observer)?;
        let path = prepared_path(prepared, set, split);
        match path.is_file() {
            true => Ok(path),
            false => Err(BenchmarkError::NotHere { set, path, raw: raw.clone() }),
        }
    }

    /// Everything the scores follow from, `more` included. Refuses to go on where the results would overwrite those of
    /// another evaluation.
    pub(crate) fn inputs(
        &self,
        opened: &Opened,
        data: &Path,
        more: &[(&str, String)],
    ) -> Result<BTreeMap<String, String>, BenchmarkError> {
        let model = &opened.model;
        let mut inputs = self.inputs.clone();
        let own = [
            ("weights", hash_file(model.path())?.blake3),
            ("data", hash_file(data)?.blake3),
            ("tokenizer", model.tokenizer().hash()),
            ("image_size", model.config().vision.image_size().to_string()),
            ("max_length", model.max_length().to_string()),
        ];
        inputs.extend(own.into_iter().chain(more.iter().cloned()).map(|(name, value)| (name.to_owned(), value)));
        if !self.overwrite {
            place::check_free(&self.out, self.benchmark, self.split, &inputs)?;
        }
        Ok(inputs)
    }

    /// The record of scores made from `inputs`.
    pub(crate) fn record(
        &self,
        opened: &Opened,
        data: &Path,
        inputs: BTreeMap<String, String>,
        scores: Scores,
    ) -> Evaluation {
        let model = opened.model.path().display().to_string();
        let protocol = self.protocol.map_or(m3ae_eval::Protocol::Published, Into::into);
        let (benchmark, split) = (self.benchmark.name(), self.split.name());
        let mut evaluation = Evaluation::new(benchmark, split, &model, protocol, self.bootstrap, scores);
        evaluation.inputs = inputs;
        evaluation.environment = self.environment.clone();
        let own =
            [("load_seconds", format!("{:.3}", opened.took.as_secs_f64())), ("prepared", data.display().to_string())];
        evaluation.environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        evaluation
    }

    /// A note on a split that is not test.
    pub(crate) fn split_note(&self) -> Option<&'static str> {
        match self.split {
            Split::Test => None,
            Split::Val => Some("This is the validation split: fine-tuning chooses its checkpoint on it."),
            Split::Train => Some("This is the training split: the model has seen these samples with their answers."),
        }
    }
}
