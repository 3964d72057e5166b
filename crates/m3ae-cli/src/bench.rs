//! `m3ae bench`: measurements, each with one command.

mod curve;
mod transfer;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::backend::Backend;
use curve::CurveArgs;
use transfer::TransferArgs;

/// Measure this program.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Transfer(TransferArgs),
    Curve(CurveArgs),
}

/// Runs the measurement and prints its table.
pub fn run(args: &BenchArgs, backend: Backend) -> Result<ExitCode> {
    match &args.what {
        What::Transfer(args) => transfer::run(args, backend),
        What::Curve(args) => curve::run(args),
    }
}
