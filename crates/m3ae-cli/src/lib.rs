//! The `m3ae` command: arguments, terminal and exit codes. The work is done in the crates below it.
//!
//! It is a library so that `m3ae-lab` (benchmarks and the comparison with the reference) shares the choice of the
//! backend, the model options and the training commands. The binary only calls [`main`]:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     m3ae_cli::main()
//! }
//! ```
//!
//! Choose Burn's backends by the features of this crate: `flex` (CPU, the default), `ndarray` (CPU), `wgpu`, `vulkan`,
//! `metal`, `cuda`, `rocm` (GPUs). `--backend` then selects one of them at run time.

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
    /// The backend to compute on; it must be compiled in
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

/// Runs the command on the command line and returns the exit code of the process.
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
    /// Whether the command writes result files: a closed standard output must not end it before they are written.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The words of a command line; double quotes keep words together.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        parts
            .flat_map(|(number, part)| match number % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }

    fn check_help(command: &clap::Command) {
        let name = command.get_name();
        let about = command.get_about().expect("a command says what it does").to_string();
        assert!(about.starts_with(char::is_uppercase) && !about.contains(". "), "{name}: one sentence, not {about:?}");
        if command.has_subcommands() {
            return command.get_subcommands().filter(|inner| inner.get_name() != "help").for_each(check_help);
        }
        let help = command.get_after_help().unwrap_or_else(|| panic!("{name} has no example")).to_string();
        let examples: Vec<&str> = help.lines().filter(|line| line.trim().starts_with("m3ae ")).collect();
        assert!(!examples.is_empty(), "{name}: {help}");
        for example in examples {
            let parsed = Cli::try_parse_from(words(example));
            parsed.unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }

    #[test]
    fn every_command_has_one_sentence_and_an_example_that_parses() {
        let cli = Cli::command();
        cli.get_subcommands().filter(|command| command.get_name() != "help").for_each(check_help);
    }
}
