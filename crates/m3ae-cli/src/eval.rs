//! `m3ae eval`: scores a trained model on a benchmark, with intervals, predictions and a report.

mod compare;
mod perform;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::prelude::Device;
use m3ae_benchmark::{Benchmark, Job, ProtocolName, Split, default_folder, default_prepared};
use m3ae_eval::Bootstrap;

pub use perform::{perform, show};

use crate::environment;
use crate::model::ModelOptions;

/// Score a trained model on a benchmark: print the scores with intervals, and write eval.json, predictions.jsonl and
/// report.html.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    m3ae eval phantom-vqa --checkpoint runs/phantom-vqa\n  \
    m3ae eval --compare runs/eval/slake-a/eval.json runs/eval/slake-b/eval.json")]
pub struct EvalArgs {
    /// The benchmark
    #[arg(required_unless_present = "compare")]
    benchmark: Option<Benchmark>,
    /// The model: a model folder, a run's folder or checkpoint, the reference's .ckpt, or owner/name in the Hugging
    /// Face cache
    #[arg(long, value_name = "MODEL", required_unless_present = "compare")]
    checkpoint: Option<String>,
    #[command(flatten)]
    options: ModelOptions,
    /// The split to score
    #[arg(long, default_value = "test")]
    split: Split,
    /// The protocol to follow. published: the vocabulary has the answers of all splits, and VQA-RAD's validation is a
    /// copy of test. clean: the vocabulary has the answers of train, and VQA-RAD's validation is cut from train; the
    /// other sets have a validation split of their own. A set that is not prepared yet is prepared accordingly;
    /// prepared files or a model that contradict the protocol are an error. Without this option existing prepared files
    /// are scored, whatever their protocol, and the report names it; a set that is not prepared yet gets the answers of
    /// all splits and a validation split other than test
    #[arg(long)]
    protocol: Option<ProtocolName>,
    /// Folder of the prepared files [default: data/arrows; data/arrows-clean with --protocol clean]
    #[arg(long, value_name = "FOLDER")]
    prepared: Option<PathBuf>,
    /// Folder of the raw data set, if it must be prepared first [default: the reference's folder for it, below data/]
    #[arg(long, value_name = "FOLDER")]
    raw: Option<PathBuf>,
    /// Folder of the results. Results of the same model, data and settings are replaced; any others only with
    /// --overwrite
    /// [default: runs/eval/BENCHMARK-MODEL, with -SPLIT added for splits other than test; with --compare,
    /// runs/eval/A-against-B]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace any results in the folder
    #[arg(long)]
    overwrite: bool,
    /// Number of bootstrap resamples for the intervals, at least 400
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(400..))]
    resamples: u32,
    /// Seed of the intervals and of the examples in the report
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of examples in the report, each of correct and of incorrect answers
    #[arg(long, default_value_t = 8)]
    cases: usize,
    /// Classification: the label column, p_meth_label, i_meth_label, p_meth or i_meth
    #[arg(long, default_value = "p_meth_label")]
    label: String,
    /// Retrieval: use only the first N images, with all their texts
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Also write every logit as logits.safetensors (for retrieval, every score as scores.safetensors)
    #[arg(long)]
    logits: bool,
    /// Compare two evaluations of the same questions, given their eval.json files: print which differences are
    /// significant, and write compare.html and compare.json
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["benchmark", "checkpoint"])]
    compare: Option<Vec<PathBuf>>,
}

impl EvalArgs {
    fn job(&self, benchmark: Benchmark, checkpoint: &str, device: &Device) -> Result<Job> {
        let set = benchmark.set();
        let raw = self.raw.clone().unwrap_or_else(|| set.default_raw().to_owned());
        Ok(Job {
            benchmark,
            checkpoint: checkpoint.to_owned(),
            options: self.options.open_options()?,
            split: self.split,
            protocol: self.protocol,
            prepared: self.prepared.clone().unwrap_or_else(|| default_prepared(set, &raw, self.protocol)),
            raw,
            out: self.out.clone().unwrap_or_else(|| default_folder(benchmark, self.split, checkpoint)),
            overwrite: self.overwrite,
            bootstrap: self.bootstrap(),
            cases: self.cases,
            label: self.label.clone(),
            candidates: self.candidates,
            logits: self.logits,
            inputs: BTreeMap::new(),
            environment: environment::record(device),
        })
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap { resamples: self.resamples as usize, seed: self.seed, ..Bootstrap::default() }
    }
}

/// Evaluates, or compares two evaluations.
pub fn run(args: &EvalArgs, device: &Device) -> Result<()> {
    if let Some([a, b]) = args.compare.as_deref() {
        return compare::run(a, b, args.out.as_deref(), &args.bootstrap());
    }
    match (args.benchmark, &args.checkpoint) {
        (Some(benchmark), Some(checkpoint)) => {
            let stop = std::sync::atomic::AtomicBool::new(false);
            perform(&args.job(benchmark, checkpoint, device)?, device, &stop).map(|_| ())
        }
        _ => bail!("pass a benchmark and a --checkpoint, or two evaluations with --compare"),
    }
}
