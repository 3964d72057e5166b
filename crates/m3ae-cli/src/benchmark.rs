//! `m3ae benchmark`: the whole medical vision-and-language benchmark from one pre-trained model.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use burn::prelude::Device;
use clap::{Parser, ValueEnum};
use m3ae_eval::{Evaluation, read_evaluation};
use m3ae_train::RunConfig;
use serde::Serialize;

use crate::backend::Backend;
use crate::eval::{self, EvalArgs};
use crate::training::{INTERRUPTED, Stop, Task, perform};

/// Fine-tune and test a pre-trained model on every data set that is here, over several seeds: one table.
#[derive(Debug, clap::Args)]
pub struct BenchmarkArgs {
    /// The pre-trained model: a folder, a file, or a name on the Hugging Face hub
    #[arg(long, value_name = "MODEL")]
    checkpoint: String,
    /// Seeds of fine-tuning, from 0
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Only these tasks (can be repeated); by default all whose data is here
    #[arg(long, value_name = "TASK")]
    only: Vec<Task>,
    /// Where runs and results are kept; finished ones are used again, unfinished ones go on
    #[arg(long, default_value = "runs/benchmark")]
    out: PathBuf,
    /// Change a key of all recipes (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Resamples of the intervals, 400 at least
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(400..))]
    resamples: u32,
}

/// One task with its results.
#[derive(Debug, Serialize)]
struct Row {
    task: &'static str,
    /// Why there are no results.
    missing: Option<String>,
    /// Of each seed.
    evaluations: Vec<Evaluation>,
}

/// Runs what is missing, prints the table and writes benchmark.md and benchmark.json.
pub fn run(args: &BenchmarkArgs, backend: Backend) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let device = backend.device()?;
    let model = m3ae_weights::resolve(&args.checkpoint)
        .with_context(|| format!("--checkpoint {} names no model", args.checkpoint))?;
    let all = Task::value_variants();
    let mut rows = Vec::new();
    for &task in all.iter().filter(|task| args.only.is_empty() || args.only.contains(task)) {
        let mut row = Row { task: task.benchmark(), missing: absent(task, &model, args)?, evaluations: Vec::new() };
        if let Some(missing) = &row.missing {
            println!("{}: {missing}", row.task);
        } else {
            for seed in 0..args.seeds {
                let Some(evaluation) = one(task, seed, &model, args, backend, &device, &stop)? else {
                    println!("stopped; the same command goes on");
                    return Ok(ExitCode::from(INTERRUPTED));
                };
                row.evaluations.push(evaluation);
            }
        }
        rows.push(row);
    }
    ensure!(
        rows.iter().any(|row| row.missing.is_none()),
        "none of the data sets is here; datasets/README.md says where they come from"
    );
    let text = table::markdown(&args.checkpoint, &rows);
    print!("\n{text}");
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let write = |name: &str, bytes: &[u8]| {
        let path = args.out.join(name);
        m3ae_report::write_atomic(&path, bytes).with_context(|| path.display().to_string())
    };
    write("benchmark.md", text.as_bytes())?;
    write("benchmark.json", &serde_json::to_vec_pretty(&rows)?)?;
    println!("\n{}", args.out.join("benchmark.md").display());
    Ok(ExitCode::SUCCESS)
}

impl BenchmarkArgs {
    fn config(&self, task: Task, seed: u64, model: &Path) -> Result<RunConfig> {
        let text = |value: String| toml::Value::from(value).to_string();
        let mut overrides = vec![format!("init.checkpoint={}", text(model.display().to_string()))];
        overrides.extend(self.overrides.iter().cloned());
        // Last: nothing overrules where a run is kept.
        overrides.extend([
            format!("run.name={}", text(format!("{}-{seed}", task.benchmark()))),
            format!("run.directory={}", text(self.out.display().to_string())),
            format!("run.seed={seed}"),
        ]);
        let (origin, recipe) = task.recipe();
        Ok(RunConfig::parse(recipe, origin, &overrides)?)
    }
}

/// What a task lacks, in words; nothing where it can run.
fn absent(task: Task, model: &Path, args: &BenchmarkArgs) -> Result<Option<String>> {
    let config = args.config(task, 0, model)?;
    for set in &config.data.sets {
        let Some(name) = m3ae_data::prepare::SetName::from_name(set) else { continue };
        let file = config.data.prepared.join(format!("{}_train.arrow", name.file_stem()));
        if !file.is_file() && !name.default_raw().is_dir() {
            return Ok(Some(format!(
                "neither {} nor the raw set in {} is here; datasets/README.md says where it comes from",
                file.display(),
                name.default_raw().display()
            )));
        }
    }
    Ok(None)
}

/// One seed of a task, trained and scored; what is done is read. `None` when it was asked to stop.
fn one(
    task: Task,
    seed: u64,
    model: &Path,
    args: &BenchmarkArgs,
    backend: Backend,
    device: &Device,
    stop: &Stop,
) -> Result<Option<Evaluation>> {
    let config = args.config(task, seed, model)?;
    let out = config.folder().join("eval");
    let result = out.join("eval.json");
    if result.is_file() {
        println!("{} is done: {}", config.run.name, result.display());
        return Ok(Some(read_evaluation(&result)?));
    }
    crate::training::prepare_sets(&config)?;
    let finished = config.folder().join("model");
    if !finished.is_dir() && perform(&config, backend, stop)?.is_none() {
        return Ok(None);
    }
    eval::run(&evaluation(task, &config, &finished, &out, args.resamples)?, device)
        .with_context(|| format!("scoring {}", finished.display()))?;
    Ok(Some(read_evaluation(&result)?))
}

/// As typed: `m3ae eval <benchmark> --checkpoint <run>/model --out <run>/eval`.
fn evaluation(task: Task, config: &RunConfig, model: &Path, out: &Path, resamples: u32) -> Result<EvalArgs> {
    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: EvalArgs,
    }
    let mut words: Vec<std::ffi::OsString> = vec!["eval".into(), task.benchmark().into()];
    words.extend(["--checkpoint".into(), model.into(), "--out".into(), out.into()]);
    words.extend(["--resamples".into(), resamples.to_string().into()]);
    match &config.data.phantom {
        Some(folder) => words.extend(["--raw".into(), folder.into()]),
        None => words.extend(["--prepared".into(), config.data.prepared.clone().into()]),
    }
    Ok(Typed::try_parse_from(words)?.args)
}
