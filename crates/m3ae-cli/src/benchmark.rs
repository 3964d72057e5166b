//! `m3ae benchmark`: every published task at once, from a pre-trained model to one table.

mod data;
mod task;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use m3ae_benchmark::Benchmark;
use m3ae_eval::{BenchmarkRow, BenchmarkTable, Finished, Without, benchmark_rows};
use m3ae_weights::{Checkpoint, resolve};

use crate::backend::Backend;
use crate::output::{chain, say, say_error};
use crate::training::{INTERRUPTED, Stop};
use crate::{environment, files};
use data::Found;
use task::{Runner, Task};

/// Keys of recipes that the benchmark sets itself.
const OWN_KEYS: [&str; 5] = ["run.name", "run.directory", "run.seed", "init.checkpoint", "data.prepared"];

/// Fine-tune a pre-trained model on every medical vision-and-language set that is here, score it on the test splits, and put all
/// scores with intervals beside the published ones: one table, as Markdown and JSON.
///
/// Question answering (vqa-rad, slake, vqa-med-2019), classification (melinda), retrieval (roco, zero-shot and fine-tuned) and questions about
/// the synthetic set (phantom-vqa), each with its recipe in configs/finetune, over seeds. A set is here if its prepared files are, or
/// its raw folder in its usual place; which are not is listed with where to get them.
///
/// The same command again goes on where it was: finished tasks are used again, unfinished ones resumed. SIGINT and SIGTERM save the state,
/// write the table as far as it is, and end with exit code 75; a task that fails does not stop the others, and makes the exit code 1.
/// A run keeps its checkpoints (several times the model's size each): --set checkpoint.keep=1 keeps fewer.
#[derive(Debug, clap::Args)]
pub struct BenchmarkArgs {
    /// The pre-trained model: a run's folder, a model folder, a file, or owner/name in the Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    checkpoint: String,
    /// Seeds of each fine-tuning, from 0
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Run only these, with commas between; by default every set that is here. What was finished of others stays in the table
    #[arg(long, value_delimiter = ',', value_name = "SETS")]
    sets: Vec<Benchmark>,
    /// Where runs, evaluations, benchmark.md and benchmark.json are kept
    #[arg(long, default_value = "runs/benchmark", value_name = "FOLDER")]
    out: PathBuf,
    /// Change a key of every recipe, such as train.devices=4; SET:KEY=VALUE of one set's (can be repeated)
    #[arg(long = "set", value_name = "[SET:]KEY=VALUE")]
    overrides: Vec<String>,
    /// Folder of the prepared files
    #[arg(long, default_value = "data/arrows", value_name = "FOLDER")]
    prepared: PathBuf,
    /// The tokenizer's file or folder, for a model that has none beside it
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Retrieval: only the first so many images, with all their texts
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Resamples of the intervals, 400 at least
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(400..))]
    resamples: u32,
}

/// Runs what is missing and writes the table.
pub fn run(args: &BenchmarkArgs, backend: Backend) -> Result<ExitCode> {
    let model = resolve(&args.checkpoint).with_context(|| format!("--checkpoint {}", args.checkpoint))?;
    let weights = files::hash(Checkpoint::open(&model)?.path())?.to_hex().to_string();
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
        // A mistake in a recipe is found before the first one is trained.
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
    // What earlier calls finished of other sets belongs into the table too.
    let mut finished: Vec<(Task, Finished)> =
        others.iter().filter_map(|task| Some((*task, task.found(&runner)?))).collect();
    table.rows = rows(&mut finished);
    write(&table, &args.out)?;
    for (number, task) in tasks.iter().enumerate() {
        say!("\n== {} ({} of {})", task.title(), number + 1, tasks.len());
        let done = match task.perform(&runner) {
            // Whatever failed then, it was asked to stop.
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

/// A folder's results are of one model.
fn check_out(out: &Path, weights: &str) -> Result<()> {
    let path = out.join("benchmark.json");
    if !path.exists() {
        return Ok(());
    }
    let text = files::text(&path)?;
    let found: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: not a benchmark's; name another folder with --out", path.display()))?;
    let was = found["weights"].as_str().unwrap_or_default();
    ensure!(
        was == weights,
        "{} holds the benchmark of another model, {} (weights {}, not {}): name another folder with --out",
        out.display(),
        found["model"].as_str().unwrap_or("of no name"),
        was.get(..12).unwrap_or(was),
        &weights[..12]
    );
    Ok(())
}

/// What there is to do.
struct Plan {
    /// To be run.
    tasks: Vec<Task>,
    /// Of sets that were not asked for.
    others: Vec<Task>,
    /// Sets that are not here, of those that were asked for.
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
        bail!("--sets names sets that are not here:{}", lines.concat());
    }
    let mut all = Vec::new();
    if here.contains(&Benchmark::Roco) {
        all.push(Task { benchmark: Benchmark::Roco, seed: None });
    }
    // A whole table of one seed first, then of the next.
    for seed in 0..args.seeds {
        all.extend(here.iter().map(|&benchmark| Task { benchmark, seed: Some(seed) }));
    }
    let (tasks, others) = all.into_iter().partition(|task| wanted(&task.benchmark));
    Ok(Plan { tasks, others, missing })
}

/// The rows of what is finished, in the paper's order.
fn rows(finished: &mut [(Task, Finished)]) -> Vec<BenchmarkRow> {
    finished
        .sort_by_key(|(task, _)| (Benchmark::ALL.iter().position(|benchmark| *benchmark == task.benchmark), task.seed));
    benchmark_rows(&finished.iter().map(|(_, done)| done.clone()).collect::<Vec<_>>())
}

fn announce(table: &BenchmarkTable) {
    say!("{}: {} tasks", table.model, table.unfinished.len());
    say!("to be run: {}", table.unfinished.join("; "));
    for Without { what, why } in &table.missing {
        say!("not here: {what}: {why}");
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

/// The changes of one benchmark's recipe, without the set's name.
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

/// What a result follows from, beside what every evaluation records.
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
