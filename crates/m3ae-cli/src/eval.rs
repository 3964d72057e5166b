//! `m3ae eval`: a trained model's scores on a benchmark, with intervals, predictions and a report.

mod compare;
mod protocol;
mod questions;
mod vqa;
mod write;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::prelude::Device;
use clap::ValueEnum;
use m3ae_data::prepare::SetName;
use m3ae_eval::{Bootstrap, Protocol};

use crate::model::ModelOptions;

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
    /// Folder of the results; by default runs/eval/<benchmark>-<split>. Results that are there are replaced
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
    /// Write every logit too, as logits.safetensors
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
    /// Questions about the synthetic set: runs anywhere
    PhantomVqa,
}

impl Benchmark {
    fn set(self) -> SetName {
        match self {
            Self::VqaRad => SetName::VqaRad,
            Self::Slake => SetName::Slake,
            Self::VqaMed2019 => SetName::VqaMed2019,
            Self::PhantomVqa => SetName::Phantom,
        }
    }

    /// As commands and published tables name it.
    fn name(self) -> &'static str {
        match self {
            Self::PhantomVqa => "phantom-vqa",
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

/// Evaluates, or compares two evaluations.
pub fn run(args: &EvalArgs, device: &Device) -> Result<()> {
    if let Some([a, b]) = args.compare.as_deref() {
        return compare::run(a, b, &args.bootstrap());
    }
    match (args.benchmark, &args.checkpoint) {
        (Some(benchmark), Some(checkpoint)) => vqa::run(args, benchmark, checkpoint, device),
        _ => bail!("name a benchmark and a --checkpoint, or two evaluations with --compare"),
    }
}
