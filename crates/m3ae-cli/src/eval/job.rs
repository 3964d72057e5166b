//! One evaluation, with every default filled in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::module::Module;
use burn::prelude::Device;
use m3ae_eval::{Bootstrap, Evaluation, Scores};
use m3ae_prepare::SetName;

use super::benchmark::{Benchmark, ProtocolName, Split};
use super::{classification, place, protocol, retrieval, vqa};
use crate::model::{ModelOptions, Opened};
use crate::output::say;
use crate::prepared::prepare_absent;
use crate::training::Stop;
use crate::{environment, files};

/// One evaluation, with every default filled in.
pub struct Job {
    /// What is asked.
    pub benchmark: Benchmark,
    /// The model that is asked.
    pub checkpoint: String,
    /// What its files do not say.
    pub options: ModelOptions,
    /// Which questions.
    pub split: Split,
    /// The protocol, where one is asked for.
    pub protocol: Option<ProtocolName>,
    /// Folder of prepared files.
    pub prepared: PathBuf,
    /// Folder of the raw set.
    pub raw: PathBuf,
    /// Folder of the results.
    pub out: PathBuf,
    /// Whether results of something else are replaced there.
    pub overwrite: bool,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Cases shown, of right and of wrong answers each.
    pub cases: usize,
    /// The label column of a classification.
    pub label: String,
    /// Images of a retrieval, where not all.
    pub candidates: Option<usize>,
    /// Whether every logit is written.
    pub logits: bool,
    /// More that the scores follow from, to be kept with them.
    pub inputs: BTreeMap<String, String>,
    /// What may ask it to stop.
    pub stop: Option<Stop>,
}

impl Job {
    /// Scores the model, prints the table, writes the results and gives the record. `None` when it was asked to stop.
    pub fn perform(&self, device: &Device) -> Result<Option<Evaluation>> {
        match self.benchmark {
            Benchmark::Melinda => classification::run(self, device),
            Benchmark::Roco => retrieval::run(self, device),
            _ => vqa::run(self, device),
        }
    }

    /// Whether it was asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::is_set)
    }

    /// Opens the model, and says what it is.
    pub fn open(&self, device: &Device) -> Result<Opened> {
        let opened = self.options.open(&self.checkpoint, device)?;
        let parameters = opened.model.network().num_params() as f64 / 1e6;
        say!(
            "{}: {parameters:.1} M parameters, images of {} pixels, texts of {} tokens at most, loaded in {:.2} s",
            opened.model.path().display(),
            opened.model.config().vision.image_size(),
            opened.model.max_length(),
            opened.took.as_secs_f64()
        );
        Ok(opened)
    }

    /// The prepared file of a split; the set is prepared first where only its raw folder is there.
    pub fn prepared_file(&self, split: Split) -> Result<PathBuf> {
        let (set, raw, prepared) = (self.benchmark.set(), &self.raw, &self.prepared);
        prepare_absent(set, raw, prepared, split.name(), &protocol::options(set, self.protocol))?;
        let path = prepared_path(prepared, set, split);
        if !path.is_file() {
            let advice = match set {
                SetName::Phantom => "`m3ae prepare phantom` makes it",
                _ => {
                    "datasets/README.md says where it comes from; name its folder with --raw, or that of prepared files with \
                     --prepared"
                }
            };
            bail!("{} is missing, and so is the raw set in {}: {advice}", path.display(), raw.display());
        }
        Ok(path)
    }

    /// What the scores follow from, `more` included. Refuses to go on where they would replace the results of something else.
    pub fn inputs(&self, opened: &Opened, data: &Path, more: &[(&str, String)]) -> Result<BTreeMap<String, String>> {
        let model = &opened.model;
        let mut inputs = self.inputs.clone();
        let own = [
            ("weights", files::hash(model.path())?.to_hex().to_string()),
            ("data", files::hash(data)?.to_hex().to_string()),
            ("tokenizer", model.tokenizer().hash()),
            ("image_size", model.config().vision.image_size().to_string()),
            ("max_length", model.max_length().to_string()),
        ];
        inputs.extend(own.into_iter().chain(more.iter().cloned()).map(|(name, value)| (name.to_owned(), value)));
        place::check_free(&self.out, self.benchmark, self.split, &inputs, self.overwrite)?;
        Ok(inputs)
    }

    /// The record of scores made from `inputs`.
    pub fn record(
        &self,
        opened: &Opened,
        device: &Device,
        data: &Path,
        inputs: BTreeMap<String, String>,
        scores: Scores,
    ) -> Evaluation {
        let model = opened.model.path().display().to_string();
        let protocol = self.protocol.map_or(m3ae_eval::Protocol::Published, Into::into);
        let (benchmark, split) = (self.benchmark.name(), self.split.name());
        let mut evaluation = Evaluation::new(benchmark, split, &model, protocol, self.bootstrap, scores);
        evaluation.inputs = inputs;
        evaluation.environment = environment::facts(std::slice::from_ref(device))
            .into_iter()
            .chain([
                ("load_seconds", format!("{:.3}", opened.took.as_secs_f64())),
                ("prepared", data.display().to_string()),
            ])
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        evaluation
    }

    /// What to think of a split that is not test.
    pub fn split_note(&self) -> Option<&'static str> {
        match self.split {
            Split::Test => None,
            Split::Val => Some("This is the validation split: fine-tuning chooses its checkpoint on it."),
            Split::Train => Some("This is the training split: the model has seen these samples with their answers."),
        }
    }
}

/// The prepared file of a set's split.
pub fn prepared_path(folder: &Path, set: SetName, split: Split) -> PathBuf {
    folder.join(format!("{}_{}.arrow", set.file_stem(), split.name()))
}

/// Where a set's prepared files are by default.
pub fn default_prepared(set: SetName, raw: &Path, protocol: Option<ProtocolName>) -> PathBuf {
    match (set, protocol) {
        // Where fine-tuning has it.
        (SetName::Phantom, None | Some(ProtocolName::Published)) => raw.join("arrows"),
        (SetName::Phantom, Some(ProtocolName::Clean)) => raw.join("arrows-clean"),
        (_, Some(ProtocolName::Clean)) => "data/arrows-clean".into(),
        (_, _) => "data/arrows".into(),
    }
}
