//! `m3ae eval`: a trained model's scores on a benchmark, with intervals, predictions and a report.

mod classification;
mod compare;
mod protocol;
mod questions;
mod retrieval;
mod vqa;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::module::Module;
use burn::prelude::Device;
use clap::ValueEnum;
use m3ae_data::prepare::SetName;
use m3ae_eval::{Bootstrap, Protocol};

use crate::environment;
use crate::model::{ModelOptions, Opened};
use crate::prepared::prepare_absent;

/// Score a trained model on a benchmark: table, eval.json, predictions.jsonl and report.html.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// The benchmark
    #[arg(required_unless_present = "compare")]
    benchmark: Option<Benchmark>,
    /// The model: a model folder, a run's folder or checkpoint, the reference's .ckpt, or owner/name in the Hugging Face cache
    #[arg(long, value_name = "MODEL", required_unless_present = "compare")]
    checkpoint: Option<String>,
    #[command(flatten)]
    options: ModelOptions,
    /// The split
    #[arg(long, default_value = "test")]
    split: Split,
    /// How the set is to be prepared: as in published numbers (answers of all splits are classes, VQA-RAD's validation is a copy of
    /// test), or clean (answers of train, validation cut from train). By default what is there counts, and what is absent is
    /// prepared as published
    #[arg(long)]
    protocol: Option<ProtocolName>,
    /// Folder of the prepared files; by default data/arrows, or data/arrows-clean with --protocol clean
    #[arg(long, value_name = "FOLDER")]
    prepared: Option<PathBuf>,
    /// Folder of the raw set, if it has to be prepared; by default where the reference has it, below data/
    #[arg(long, value_name = "FOLDER")]
    raw: Option<PathBuf>,
    /// Folder of the results; by default runs/eval/BENCHMARK-SPLIT. Results that are there are replaced
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Resamples of the intervals, 400 at least
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(400..))]
    resamples: u32,
    /// Seed of intervals and of the cases shown
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Cases shown in the report, of right and of wrong answers each
    #[arg(long, default_value_t = 8)]
    cases: usize,
    /// Classification: the label column, p_meth_label, i_meth_label, p_meth or i_meth
    #[arg(long, default_value = "p_meth_label")]
    label: String,
    /// Retrieval: only the first so many images, with all their texts
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Write every logit (of retrieval, every score) too, as logits.safetensors (scores.safetensors)
    #[arg(long)]
    logits: bool,
    /// Compare two evaluations of the same questions instead: their eval.json files
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["benchmark", "checkpoint"])]
    compare: Option<Vec<PathBuf>>,
}

/// What a model can be scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Questions about radiology images
    VqaRad,
    /// Questions about radiology images, English part
    Slake,
    /// Modality, plane and organ questions
    #[value(name = "vqa-med-2019")]
    VqaMed2019,
    /// Classes of experiment methods from figures and captions
    Melinda,
    /// Which caption belongs to which image, and the reverse
    Roco,
    /// Questions about the synthetic set: runs anywhere
    PhantomVqa,
}

impl Benchmark {
    fn set(self) -> SetName {
        match self {
            Self::VqaRad => SetName::VqaRad,
            Self::Slake => SetName::Slake,
            Self::VqaMed2019 => SetName::VqaMed2019,
            Self::Melinda => SetName::Melinda,
            Self::Roco => SetName::IrtrRoco,
            Self::PhantomVqa => SetName::Phantom,
        }
    }

    /// As commands and published tables name it.
    fn name(self) -> &'static str {
        match self {
            Self::PhantomVqa => "phantom-vqa",
            Self::Roco => "roco",
            other => other.set().name(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Split {
    Train,
    Val,
    Test,
}

impl Split {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProtocolName {
    Published,
    Clean,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Published => Self::Published,
            ProtocolName::Clean => Self::Clean,
        }
    }
}

/// Where things are, once defaults are filled in.
struct Places {
    prepared: PathBuf,
    raw: PathBuf,
    out: PathBuf,
}

impl EvalArgs {
    fn bootstrap(&self) -> Bootstrap {
        Bootstrap { resamples: self.resamples as usize, seed: self.seed, ..Bootstrap::default() }
    }

    fn places(&self, benchmark: Benchmark) -> Places {
        let set = benchmark.set();
        let raw = self.raw.clone().unwrap_or_else(|| set.default_raw().to_owned());
        let prepared = self.prepared.clone().unwrap_or_else(|| match (set, self.protocol) {
            // Where fine-tuning has it.
            (SetName::Phantom, None | Some(ProtocolName::Published)) => raw.join("arrows"),
            (SetName::Phantom, Some(ProtocolName::Clean)) => raw.join("arrows-clean"),
            (_, Some(ProtocolName::Clean)) => "data/arrows-clean".into(),
            (_, _) => "data/arrows".into(),
        });
        let name = format!("{}-{}", benchmark.name(), self.split.name());
        let out = self.out.clone().unwrap_or_else(|| Path::new("runs/eval").join(name));
        Places { prepared, raw, out }
    }
}

impl Opened {
    fn print(&self) {
        let parameters = self.model.network().num_params() as f64 / 1e6;
        println!(
            "{}: {parameters:.1} M parameters, images of {} pixels, texts of {} tokens at most, loaded in {:.2} s",
            self.model.path().display(),
            self.model.config().vision.image_size,
            self.model.max_length(),
            self.took.as_secs_f64()
        );
    }

    /// What a result was made with: program, device, settings.
    fn facts(&self, device: &Device, prepared: &Path) -> BTreeMap<String, String> {
        let facts =
            environment::facts(std::slice::from_ref(device)).into_iter().map(|(name, value)| (name.to_owned(), value));
        let own = [
            ("image_size", self.model.config().vision.image_size.to_string()),
            ("max_length", self.model.max_length().to_string()),
            ("tokenizer", self.model.tokenizer().hash()),
            ("load_seconds", format!("{:.3}", self.took.as_secs_f64())),
            ("prepared", prepared.display().to_string()),
        ];
        facts.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
    }
}

/// The prepared file of a split; the set is prepared first where only its raw folder is there.
fn prepared_file(set: SetName, split: Split, protocol: Option<ProtocolName>, places: &Places) -> Result<PathBuf> {
    let Places { prepared, raw, .. } = places;
    prepare_absent(set, raw, prepared, split.name(), &protocol::options(set, protocol))?;
    let path = prepared.join(format!("{}_{}.arrow", set.file_stem(), split.name()));
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

/// Evaluates, or compares two evaluations.
pub fn run(args: &EvalArgs, device: &Device) -> Result<()> {
    if let Some([a, b]) = args.compare.as_deref() {
        return compare::run(a, b, &args.bootstrap());
    }
    match (args.benchmark, &args.checkpoint) {
        (Some(benchmark), Some(checkpoint)) => match benchmark {
            Benchmark::Melinda => classification::run(args, benchmark, checkpoint, device),
            Benchmark::Roco => retrieval::run(args, benchmark, checkpoint, device),
            _ => vqa::run(args, benchmark, checkpoint, device),
        },
        _ => bail!("name a benchmark and a --checkpoint, or two evaluations with --compare"),
    }
}
