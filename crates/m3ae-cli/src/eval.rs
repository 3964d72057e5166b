//! `m3ae eval`: a trained model's scores on a benchmark, with intervals, predictions and a report.

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
    /// What the result must be like. published: answers of all splits are classes, and VQA-RAD's validation is a copy of test. clean:
    /// answers of train are classes, and VQA-RAD's validation is cut from train; the other sets have a validation split of their own.
    /// A set that is not prepared yet is prepared so. Prepared files, and a model, that contradict it are refused. By default what is
    /// there is scored and the report says what it is; what is absent is prepared with all answers and a validation that is not test
    #[arg(long)]
    protocol: Option<ProtocolName>,
    /// Folder of the prepared files; by default data/arrows, or data/arrows-clean with --protocol clean
    #[arg(long, value_name = "FOLDER")]
    prepared: Option<PathBuf>,
    /// Folder of the raw set, if it has to be prepared; by default where the reference has it, below data/
    #[arg(long, value_name = "FOLDER")]
    raw: Option<PathBuf>,
    /// Folder of the results; by default runs/eval/BENCHMARK-MODEL (and -SPLIT, but for test), where MODEL is the run's, folder's or
    /// file's name; of --compare, runs/eval/A-against-B. Results of the same model, data and settings are replaced; those of anything
    /// else are not, unless with --overwrite
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace the results in the folder, whatever they are of
    #[arg(long)]
    overwrite: bool,
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
    /// Compare two evaluations of the same questions instead: their eval.json files. Prints what can be told apart, and writes
    /// compare.html and compare.json
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
        _ => bail!("name a benchmark and a --checkpoint, or two evaluations with --compare"),
    }
}
