//! `m3ae pretrain` and `m3ae finetune`: train the model of a recipe.

#[cfg(unix)]
mod dashboard;
mod finetune;
mod lines;
mod pace;
mod pretrain;
mod signals;
mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use m3ae_train::{
    CheckpointError, Devices, Observer, Run, RunConfig, RunFolder, RunFolderError, Setup, Summary, TrainError,
    describe_metric, find_task, train,
};

pub use finetune::{FINETUNE_PHANTOM, FinetuneArgs, FinetuneTask, run as finetune};
pub use pretrain::{PretrainArgs, QUICKSTART, run as pretrain};
pub use signals::Stop;

use crate::backend::Backend;
use crate::output::{say, say_error};
use crate::{environment, logging, memory};
use lines::Lines;
use telemetry::{Telemetry, write_report};

/// Exit code of a run that was asked to stop and saved its state (`EX_TEMPFAIL`: run it again, with `--resume`).
pub const INTERRUPTED: u8 = 75;

/// The options of all training commands.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Change a key of the recipe, such as train.steps=100; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Remove an earlier run of the same name first
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Continue from the run's newest intact checkpoint, or start if there is none
    #[arg(long)]
    resume: bool,
    /// Resume although this key of the recipe (or `data`, `tokenizer`, `answers`) has changed; can be repeated
    #[arg(long, value_name = "KEY", requires = "resume")]
    allow_change: Vec<String>,
    /// Print lines instead of the dashboard (also: NO_DASHBOARD=1)
    #[arg(long)]
    plain: bool,
}

/// Runs a recipe and prints a summary. Exit codes: 0 finished, 75 stopped on request and saved.
fn start(config: &RunConfig, args: &RunArgs, backend: Backend, stop: &Stop) -> Result<ExitCode> {
    let complete = execute(config, args, backend, stop)?.complete;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// Runs a recipe, or resumes it, as a step of a larger command. `None` if it was asked to stop.
pub fn perform(config: &RunConfig, backend: Backend, stop: &Stop) -> Result<Option<Summary>> {
    let args =
        RunArgs { overrides: Vec::new(), overwrite: false, resume: true, allow_change: Vec::new(), plain: false };
    Ok(Some(execute(config, &args, backend, stop)?).filter(|summary| summary.complete))
}

fn execute(config: &RunConfig, args: &RunArgs, backend: Backend, stop: &Stop) -> Result<Summary> {
    if !args.resume {
        RunFolder::check_free(config, args.overwrite).map_err(|error| advised(error.into(), config))?;
    }
    let devices = backend.devices(config.train.devices)?;
    let devices = Devices::open(devices, config.train.all_reduce, backend.has_collectives())?;
    // The folder's lock comes first: a live run's checkpoints are not touched.
    let folder = args.resume.then(|| RunFolder::reopen(config)).transpose()?;
    let newest = |folder: &RunFolder| folder.newest_checkpoint(&mut |notice| say_error!("{notice}"));
    let checkpoint = folder.as_ref().map(newest).transpose()?.flatten();
    let setup = match &checkpoint {
        Some(checkpoint) => Setup::resume(config, checkpoint),
        None => Setup::open(config),
    };
    let setup = setup.map_err(|error| advised(error, config))?;
    let dropout = setup.model.text.dropout + setup.model.fusion.dropout;
    if devices.all().len() > 1 && backend.is_processor() && dropout > 0.0 {
        bail!(
            "train.devices = {}: CPU devices share one random generator, so dropout would differ from run to run; set \
             model.text.dropout = 0 and model.fusion.dropout = 0, or train.devices = 1",
            devices.all().len()
        );
    }
    say!("{}: seed {}, {} steps of {} samples", config.run.name, config.run.seed, setup.steps, samples(config));
    let run = match (folder, &checkpoint) {
        (Some(folder), Some(checkpoint)) => {
            say!("resuming from {}", checkpoint.path.display());
            Run::resume(config, &setup, &devices, folder, checkpoint, &args.allow_change)
        }
        (Some(folder), None) => {
            say!("there is no checkpoint in {}: starting from the beginning", config.folder().display());
            Run::begin(config, &setup, &devices, || Ok(folder))
        }
        (None, _) => Run::begin(config, &setup, &devices, || RunFolder::create(config, args.overwrite)),
    };
    let run = run.map_err(|error| advised(error, config))?;
    let folder = run.folder().path().to_owned();
    logging::into_file(&run.folder().file("log.txt"))?;
    environment::write(&run.folder().file("environment.json"), devices.all())?;
    let summary = train(run, &mut Telemetry::new(config, screen(config, args.plain, stop)), stop.flag());
    write_report(&folder);
    let summary = summary.with_context(|| format!("the run in {} ended", folder.display()))?;
    report(&summary);
    Ok(summary)
}

/// The display of progress: a dashboard on a terminal, lines elsewhere.
fn screen(config: &RunConfig, plain: bool, stop: &Stop) -> Box<dyn Observer> {
    #[cfg(unix)]
    if !plain && dashboard::is_possible() {
        return Box::new(dashboard::Dashboard::new(config, stop));
    }
    let _ = (plain, stop); // For systems without a dashboard.
    Box::new(Lines::new(config))
}

fn samples(config: &RunConfig) -> usize {
    config.train.batch_size * config.train.accumulate
}

/// Adds the command that helps.
fn advised(error: TrainError, config: &RunConfig) -> anyhow::Error {
    let advice = match &error {
        TrainError::NotPrepared { set, .. } => {
            let out = config.data.prepared.display();
            format!("prepare the set first: `cargo xtask prepare {set} --raw <folder> --out {out}`")
        }
        TrainError::RunFolder(RunFolderError::Exists { .. }) => {
            "`--resume` continues a run, `--overwrite` removes it, `--set run.name=<name>` begins another".to_owned()
        }
        TrainError::Checkpoint(CheckpointError::Changed { .. }) => {
            "`--allow-change <key>` resumes although that key has changed".to_owned()
        }
        _ => return error.into(),
    };
    anyhow::Error::from(error).context(advice)
}

fn report(summary: &Summary) {
    let Summary { progress, test, .. } = summary;
    if let (Some(untrained), Some(trained)) = (&progress.untrained, &progress.trained) {
        let best = progress.best.as_ref().filter(|best| best.step != progress.step);
        let column = best.map_or_else(String::new, |best| format!(" {:>15}", format!("best, step {}", best.step)));
        say!("\n{:<34} {:>10} {:>10}{column}", "validation", "untrained", "trained");
        for (name, after) in trained.iter() {
            let before = untrained.get(name).unwrap_or(f64::NAN);
            let best = best.and_then(|best| best.metrics.get(name));
            let column = best.map_or_else(String::new, |value| format!(" {value:>15.4}"));
            say!("{:<34} {before:>10.4} {after:>10.4}{column}", describe_metric(name));
        }
    }
    if let Some(test) = test {
        say!("\n{:<34} {:>10}", "test, best weights", "");
        test.iter().for_each(|(name, value)| say!("{:<34} {value:>10.4}", describe_metric(name)));
    }
    let speed = progress.samples as f64 / progress.seconds.max(f64::MIN_POSITIVE);
    say!("\n{speed:.1} samples/s in training{}", memory::peak_sentence());
    match progress.skipped.as_slice() {
        [] => say!("all samples were usable"),
        skipped => {
            say!("{} samples were skipped (all are listed in skipped.txt):", skipped.len());
            skipped.iter().take(5).for_each(|skipped| say!("  {skipped}"));
        }
    }
    let folder = summary.folder.display();
    match summary.complete {
        true => say!("weights, metrics and pictures: {folder} (open report.html)"),
        false => say!("stopped after step {} and saved; continue with --resume: {folder}", progress.step),
    }
}

/// The recipe of a file, or the built-in one if no file is given. Its task is one that exists.
fn recipe(file: Option<&PathBuf>, own: (&str, &str), overrides: &[String]) -> Result<RunConfig, TrainError> {
    let config = match file {
        Some(path) => RunConfig::load(path, overrides)?,
        None => RunConfig::parse(own.1, own.0, overrides)?,
    };
    find_task(&config.task.kind)?;
    Ok(config)
}
