//! The `m3ae-lab` binary: measurements (`bench`) and the comparison with the reference implementation (`parity`).
//! `cargo xtask bench` and `cargo xtask parity` build it with the chosen backend and run it.

mod bench;
mod parity;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use m3ae_cli::backend::Backend;
use m3ae_cli::output::{self, say_error};

use bench::BenchArgs;
use parity::ParityArgs;

/// Measurements of M3AE, and its comparison with the reference implementation.
#[derive(Debug, Parser)]
#[command(version)]
struct Lab {
    /// Where to compute
    #[arg(long, global = true, default_value = "flex")]
    backend: Backend,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(BenchArgs),
    Parity(ParityArgs),
}

fn main() -> ExitCode {
    match run(&Lab::parse()) {
        Ok(code) => code,
        Err(error) => {
            say_error!("error: {}", output::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(lab: &Lab) -> Result<ExitCode> {
    match &lab.command {
        Command::Bench(args) => bench::run(args, lab.backend),
        Command::Parity(args) => {
            output::end_with_reader()?;
            parity::run(args, &lab.backend.device()?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
