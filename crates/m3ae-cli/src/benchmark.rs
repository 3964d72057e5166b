//! `m3ae benchmark`: fine-tunes and scores a pre-trained model on every published task, in one table.

mod data;
mod task;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use m3ae_benchmark::Benchmark;
use m3ae_eval::{BenchmarkRow, BenchmarkTable, Finished, Without, benchmark_rows};
use m3ae_files::hash_file;
use m3ae_weights::{Checkpoint, resolve};

use crate::backend::Backend;
use crate::output::{chain, say, say_error};
use crate::training::{INTERRUPTED, Stop};
use crate::{environment, files};
use data::Found;
use task::{Runner, Task};

/// The keys of recipes that the benchmark sets itself.
const OWN_KEYS: [&str; 5] = ["run.name", "run.directory", "run.seed", "init.checkpoint", "data.prepared"];

/// Fine-tune a pre-trained model on every available data set, score it on the test splits, and write one table of all
/// scores with the published ones beside them.
///
/// The tasks are question answering (vqa-rad, slake, vqa-med-2019), classification (melinda), retrieval (roco,
/// zero-shot and fine-tuned) and questions about the synthetic set (phantom-vqa), each with its recipe in
/// configs/finetune and several seeds. A data set is available if it is prepared, or if its raw folder is in its
/// default place. The command lists the missing ones and where to get them.
///
/// Run the same command again to continue: finished tasks are reused, unfinished ones resumed. SIGINT and SIGTERM save
/// the state, write the table so far and end with exit code 75. A failed task does not stop the others; the exit code
/// is then 1. Each run keeps its checkpoints, each several times the size of the model; --set checkpoint.keep=1 keeps
/// fewer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae benchmark --checkpoint runs/pretrained --sets vqa-rad,slake --seeds 3")]
pub struct BenchmarkArgs {
    /// The pre-trained model: a run's folder, a model folder, a file, or owner/name in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    checkpoint: String,
    /// Number of fine-tuning runs per task, with the seeds 0, 1, 2 ...
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Run only these data sets, separated by commas; finished results of others stay in the table
    /// [default: all available]
    #[arg(long, value_delimiter = ',', value_name = "SETS")]
    sets: Vec<Benchmark>,
    /// Folder of the runs, the evaluations, benchmark.md and benchmark.json
    #[arg(long, default_value = "runs/benchmark", value_name = "FOLDER")]
    out: PathBuf,
    /// Change a key of every recipe, such as train.devices=4; with SET: in front, of that data set's recipe; can be
    /// repeated
    #[arg(long = "set", value_name = "[SET:]KEY=VALUE")]
    overrides: Vec<String>,
    /// Folder of the prepared files
    #[arg(long, default_value = "data/arrows", value_name = "FOLDER")]
    prepared: PathBuf,
    /// tokenizer.json, or the folder that holds it, for a model without a tokenizer
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Retrieval: use only the first N images, with all their texts
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Number of bootstrap resamples for the intervals, at least 400
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(400..))]
    resamples: u32,
}

/// Runs the unfinished tasks and writes the table after each.
pub fn run(args: &BenchmarkArgs, backend: Backend) -> Result<ExitCode> {
    let model = resolve(&args.checkpoint).with_context(|| format!("--checkpoint {}", args.checkpoint))?;
    let weights = hash_file(Checkpoint::open(&model)?.path())?.blake3;
    check_out(&args.out, &weights)?;
    let runner = Runner {
        args,
        backend,
        model: model.display().to_string(),
        weights: weights.clone(),
        stop: Stop::on_signal()?,
    };
    let Plan { tasks, others, missing } = plan(args)?;
    for task in &tasks {
        // Find mistakes in any recipe before training the first one.
        task.check(&runner)?;
    }
    let mut environment = environment::facts(&[backend.device()?]);
    environment.insert(
        "changes of recipes",
        if args.overrides.is_empty() { "none".into() } else { args.overrides.join(", ") },
    );
    let mut table = BenchmarkTable {
        version: 1,
        model: args.checkpoint.clone(),
        weights,
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        seeds: args.seeds,
        complete: false,
        rows: Vec::new(),
        unfinished: tasks.iter().map(Task::title).collect(),
        failed: Vec::new(),
        missing,
    };
    announce(&table);
    // Results of other sets from earlier calls stay in the table.
    let mut finished: Vec<(Task, Finished)> =
        others.iter().filter_map(|task| Some((*task, task.found(&runner)?))).collect();
    table.rows = rows(&mut finished);
    write(&table, &args.out)?;
    for (number, task) in tasks.iter().enumerate() {
        say!("\n== {} ({} of {})", task.title(), number + 1, tasks.len());
        let done = match task.perform(&runner) {
            // A failure after the request to stop is not the task's.
            Ok(None) => break,
            Err(_) if runner.stop.is_set() => break,
            Ok(Some(done)) => Ok(done),
            Err(error) => Err(error),
        };
        table.unfinished.retain(|title| *title != task.title());
        match done {
            Ok(done) => {
                finished.push((*task, done));
                table.rows = rows(&mut finished);
            }
            Err(error) => {
                let why = chain(&error);
                say_error!("error: {}: {why}", task.title());
                table.failed.push(Without { what: task.title(), why });
            }
        }
        table.complete = table.unfinished.is_empty() && table.failed.is_empty();
        write(&table, &args.out)?;
    }
    say!("\n{}", table.markdown());
    say!("{}", args.out.join("benchmark.md").display());
    Ok(match (table.unfinished.is_empty(), table.failed.is_empty()) {
        (false, _) => ExitCode::from(INTERRUPTED),
        (true, false) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
    })
}

/// Checks that the results in the folder, if any, belong to the same model.
fn check_out(out: &Path, weights: &str) -> Result<()> {
    let path = out.join("benchmark.json");
    if !path.exists() {
        return Ok(());
    }
    let text = files::text(&path)?;
    let found: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: not written by a benchmark; pass another folder with --out", path.display()))?;
    let was = found["weights"].as_str().unwrap_or_default();
    ensure!(
        was == weights,
        "{} holds the benchmark of another model, {} (weights {}, not {}): pass another folder with --out",
        out.display(),
        found["model"].as_str().unwrap_or("without a name"),
        was.get(..12).unwrap_or(was),
        &weights[..12]
    );
    Ok(())
}

/// The tasks of this call.
struct Plan {
    /// The tasks to run.
    tasks: Vec<Task>,
    /// The tasks of data sets that were not requested.
    others: Vec<Task>,
    /// The requested data sets that were not found.
    missing: Vec<Without>,
}

fn plan(args: &BenchmarkArgs) -> Result<Plan> {
    let wanted = |benchmark: &Benchmark| args.sets.is_empty() || args.sets.contains(benchmark);
    let (mut here, mut missing) = (Vec::new(), Vec::new());
    for benchmark in Benchmark::ALL {
        match data::look(benchmark, &args.prepared) {
            Found::Here => here.push(benchmark),
            Found::Missing(why) if wanted(&benchmark) => {
                missing.push(Without { what: benchmark.name().to_owned(), why });
            }
            Found::Missing(_) => {}
        }
    }
    if let (false, [_, ..]) = (args.sets.is_empty(), missing.as_slice()) {
        let lines: Vec<String> = missing.iter().map(|set| format!("\n  {}: {}", set.what, set.why)).collect();
        bail!("data sets of --sets were not found:{}", lines.concat());
    }
    let mut all = Vec::new();
    if here.contains(&Benchmark::Roco) {
        all.push(Task { benchmark: Benchmark::Roco, seed: None });
    }
    // Complete the table for one seed before the next.
    for seed in 0..args.seeds {
        all.extend(here.iter().map(|&benchmark| Task { benchmark, seed: Some(seed) }));
    }
    let (tasks, others) = all.into_iter().partition(|task| wanted(&task.benchmark));
    Ok(Plan { tasks, others, missing })
}

/// The rows of the finished tasks, in the paper's order.
fn rows(finished: &mut [(Task, Finished)]) -> Vec<BenchmarkRow> {
    finished
        .sort_by_key(|(task, _)| (Benchmark::ALL.iter().position(|benchmark| *benchmark == task.benchmark), task.seed));
    benchmark_rows(&finished.iter().map(|(_, done)| done.clone()).collect::<Vec<_>>())
}

fn announce(table: &BenchmarkTable) {
    say!("{}: {} tasks", table.model, table.unfinished.len());
    say!("to run: {}", table.unfinished.join("; "));
    for Without { what, why } in &table.missing {
        say!("not found: {what}: {why}");
    }
}

/// Writes both files, each whole or not at all.
fn write(table: &BenchmarkTable, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    m3ae_files::write(&out.join("benchmark.md"), table.markdown().as_bytes())?;
    let mut json = serde_json::to_vec_pretty(table)?;
    json.push(b'\n');
    m3ae_files::write(&out.join("benchmark.json"), &json)?;
    Ok(())
}

/// The changes of one benchmark's recipe, without the prefix `SET:`.
fn changes_of(benchmark: Benchmark, overrides: &[String]) -> Result<Vec<String>> {
    let mut changes = Vec::new();
    for option in overrides {
        let key = option.split('=').next().unwrap_or_default();
        let change = match key.split_once(':') {
            None => option.as_str(),
            Some((set, _)) => {
                let known = Benchmark::ALL.iter().any(|benchmark| benchmark.name() == set);
                ensure!(
                    known,
                    "--set {option}: there is no set {set:?}; it is one of {}",
                    Benchmark::ALL.map(Benchmark::name).join(", ")
                );
                if set != benchmark.name() {
                    continue;
                }
                &option[set.len() + 1..]
            }
        };
        let key = change.split('=').next().unwrap_or_default().trim();
        ensure!(
            !OWN_KEYS.contains(&key),
            "--set {option}: the benchmark sets {key} itself; see --out, --seeds, --checkpoint, --prepared"
        );
        changes.push(change.to_owned());
    }
    Ok(changes)
}

/// The inputs of a result, in addition to those that every evaluation records.
type Inputs = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_for_all_sets_or_for_one() {
        let overrides =
            ["train.epochs=1", "slake:train.epochs=2", "slake:data.note=a:b", "log.every=5"].map(String::from);
        assert_eq!(changes_of(Benchmark::VqaRad, &overrides).unwrap(), ["train.epochs=1", "log.every=5"]);
        let of_slake = ["train.epochs=1", "train.epochs=2", "data.note=a:b", "log.every=5"];
        assert_eq!(changes_of(Benchmark::Slake, &overrides).unwrap(), of_slake);
        let refused = |option: &str| changes_of(Benchmark::Slake, &[option.to_owned()]).unwrap_err().to_string();
        assert!(refused("slack:train.epochs=2").contains("it is one of vqa-rad, slake"));
        assert!(refused("run.seed=2").contains("sets run.seed itself"));
        // A colon in a value is the value's.
        assert!(changes_of(Benchmark::Slake, &["init.text=c:/x".to_owned()]).is_ok());
    }
}
