//! `m3ae pretrain`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::{RunArgs, Stop, recipe, start};
use crate::backend::Backend;

/// The recipe of `m3ae pretrain` without options.
pub const QUICKSTART: (&str, &str) = ("configs/quickstart.toml", include_str!("../../../../configs/quickstart.toml"));

/// Pre-train a model on images and captions; without options, a small one on synthetic data, in minutes on a CPU.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae pretrain --config configs/pretrain/roco-medicat.toml --set train.steps=1000")]
pub struct PretrainArgs {
    /// The recipe, such as configs/pretrain/roco-medicat.toml [default: configs/quickstart.toml, built in]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the recipe and prints a summary.
pub fn run(args: &PretrainArgs, backend: Backend) -> Result<ExitCode> {
    let config = recipe(args.config.as_ref(), QUICKSTART, &args.run.overrides)?;
    ensure!(config.task.is_pretraining(), "this recipe is for fine-tuning: `m3ae finetune --config <file>`");
    start(&config, &args.run, backend, &Stop::on_signal()?)
}
