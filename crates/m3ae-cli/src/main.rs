//! The `m3ae` binary. `cargo xtask <command>` builds it with the chosen backend and runs it.

mod answer;
mod backend;
mod bench;
mod benchmark;
mod blocks;
mod checkpoint;
mod data;
mod embed;
mod environment;
mod eval;
mod files;
mod logging;
mod memory;
mod model;
mod output;
mod parity;
mod prepare;
mod prepared;
mod reconstruct;
mod retrieve;
mod training;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use answer::AnswerArgs;
use backend::Backend;
use bench::BenchArgs;
use benchmark::BenchmarkArgs;
use checkpoint::{ConvertArgs, InfoArgs};
use data::DataArgs;
use embed::EmbedArgs;
use eval::EvalArgs;
use output::say_error;
use parity::ParityArgs;
use prepare::PrepareArgs;
use reconstruct::ReconstructArgs;
use retrieve::RetrieveArgs;
use training::{FinetuneArgs, PretrainArgs};

/// Masked medical vision-and-language pre-training (M3AE, MICCAI 2022).
#[derive(Debug, Parser)]
#[command(version)]
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
    Parity(ParityArgs),
    Info(InfoArgs),
    Convert(ConvertArgs),
    Prepare(PrepareArgs),
    Data(DataArgs),
    Bench(BenchArgs),
    Benchmark(BenchmarkArgs),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            say_error!("error: {}", output::chain(&error));
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// Whether it trains, which a closed output must not end without saving.
    fn trains(&self) -> bool {
        matches!(self, Self::Pretrain(_) | Self::Finetune(_) | Self::Bench(_) | Self::Benchmark(_))
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if !cli.command.trains() {
        output::end_with_reader()?;
    }
    let device = cli.backend.device()?;
    match &cli.command {
        Command::Pretrain(args) => return training::pretrain(args, cli.backend),
        Command::Finetune(args) => return training::finetune(args, cli.backend),
        Command::Bench(args) => return bench::run(args, cli.backend),
        Command::Benchmark(args) => return benchmark::run(args, cli.backend),
        Command::Answer(args) => return answer::run(args, &device),
        Command::Retrieve(args) => retrieve::run(args, &device)?,
        Command::Reconstruct(args) => reconstruct::run(args, &device)?,
        Command::Embed(args) => embed::run(args, &device)?,
        Command::Eval(args) => eval::run(args, &device)?,
        Command::Parity(args) => parity::run(args, &device)?,
        Command::Info(args) => checkpoint::describe(args)?,
        Command::Convert(args) => checkpoint::convert(args, &device)?,
        Command::Prepare(args) => prepare::run(args)?,
        Command::Data(args) => data::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
