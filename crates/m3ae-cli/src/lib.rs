//! The `m3ae` command: arguments, terminal, exit codes. What it does lives in the crates under it.
//!
//! A library, so that `m3ae-lab` (measurements and the comparison with the reference) shares the choice of the backend,
//! the options of a model and the running of a recipe. The binary is [`main`] alone:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     m3ae_cli::main()
//! }
//! ```
//!
//! Burn's backends are features of this crate, each under its name: `flex` (CPU, the default), `ndarray`, `wgpu`, `vulkan`,
//! `metal`, `cuda`, `rocm`.

mod answer;
pub mod backend;
mod benchmark;
mod checkpoint;
mod data;
mod embed;
pub mod environment;
mod eval;
pub mod files;
mod logging;
pub mod memory;
pub mod model;
pub mod output;
mod prepare;
mod progress;
mod reconstruct;
mod retrieve;
pub mod training;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use answer::AnswerArgs;
use backend::Backend;
use benchmark::BenchmarkArgs;
use checkpoint::{ConvertArgs, InfoArgs};
use data::DataArgs;
use embed::EmbedArgs;
use eval::EvalArgs;
use prepare::PrepareArgs;
use reconstruct::ReconstructArgs;
use retrieve::RetrieveArgs;
use training::{FinetuneArgs, PretrainArgs};

/// Masked medical vision-and-language pre-training (M3AE, MICCAI 2022).
#[derive(Debug, Parser)]
#[command(name = "m3ae", version)]
struct Cli {
    /// Where to compute.
    #[arg(long, global = true, default_value = "flex")]
    backend: Backend,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pretrain(PretrainArgs),
    Finetune(FinetuneArgs),
    Eval(EvalArgs),
    Answer(AnswerArgs),
    Retrieve(RetrieveArgs),
    Reconstruct(ReconstructArgs),
    Embed(EmbedArgs),
    Info(InfoArgs),
    Convert(ConvertArgs),
    Prepare(PrepareArgs),
    Data(DataArgs),
    Benchmark(BenchmarkArgs),
}

/// Runs the command that this process was started with.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            say_error!("error: {}", output::chain(&error));
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// Whether it leaves results in files: a closed output must not end it before they are written.
    fn leaves_results(&self) -> bool {
        match self {
            Self::Pretrain(_) | Self::Finetune(_) | Self::Benchmark(_) | Self::Eval(_) => true,
            Self::Prepare(_) | Self::Convert(_) | Self::Embed(_) | Self::Reconstruct(_) => true,
            Self::Answer(_) | Self::Retrieve(_) | Self::Info(_) | Self::Data(_) => false,
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if !cli.command.leaves_results() {
        output::end_with_reader()?;
    }
    let device = cli.backend.device()?;
    match &cli.command {
        Command::Pretrain(args) => return training::pretrain(args, cli.backend),
        Command::Finetune(args) => return training::finetune(args, cli.backend),
        Command::Benchmark(args) => return benchmark::run(args, cli.backend),
        Command::Answer(args) => return answer::run(args, &device),
        Command::Retrieve(args) => retrieve::run(args, &device)?,
        Command::Reconstruct(args) => reconstruct::run(args, &device)?,
        Command::Embed(args) => embed::run(args, &device)?,
        Command::Eval(args) => eval::run(args, &device)?,
        Command::Info(args) => checkpoint::describe(args)?,
        Command::Convert(args) => checkpoint::convert(args, &device)?,
        Command::Prepare(args) => prepare::run(args)?,
        Command::Data(args) => data::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
