//! `m3ae-lab bench`: measurements, each with one command.

mod all;
mod curve;
mod data;
mod load;
mod operations;
mod peer;
mod profile;
mod retrieval;
mod sizes;
mod step;
mod synthetic;
mod transfer;
mod turns;
mod work;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use m3ae_cli::backend::Backend;

use all::AllArgs;
use curve::CurveArgs;
use data::DataArgs;
use load::LoadArgs;
use profile::ProfileArgs;
use retrieval::RetrievalArgs;
use sizes::SizesArgs;
use step::{AloneArgs, SharingArgs, StepArgs};
use transfer::TransferArgs;
use work::Kind;

/// Measure this program.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    All(AllArgs),
    /// A pre-training step, with AdamW
    Step(StepArgs),
    /// A step of fine-tuning for question answering
    Finetune(StepArgs),
    /// Answers to questions
    Infer(StepArgs),
    Sharing(SharingArgs),
    Profile(ProfileArgs),
    Retrieval(RetrievalArgs),
    Data(DataArgs),
    Load(LoadArgs),
    Sizes(SizesArgs),
    Transfer(TransferArgs),
    Curve(CurveArgs),
    #[command(hide = true)]
    Turn(AloneArgs),
}

/// Runs the measurement and prints its table.
pub fn run(args: &BenchArgs, backend: Backend) -> Result<ExitCode> {
    match &args.what {
        What::All(args) => all::run(args, backend),
        What::Step(args) => step::run(args, Kind::Pretrain, backend),
        What::Finetune(args) => step::run(args, Kind::Finetune, backend),
        What::Infer(args) => step::run(args, Kind::Infer, backend),
        What::Sharing(args) => step::sharing(args, backend),
        What::Profile(args) => profile::run(args, backend),
        What::Retrieval(args) => retrieval::run(args, backend),
        What::Data(args) => data::run(args, backend),
        What::Load(args) => load::run(args, backend),
        What::Sizes(args) => sizes::run(args, backend),
        What::Transfer(args) => transfer::run(args, backend),
        What::Curve(args) => curve::run(args),
        What::Turn(args) => step::alone(args, backend),
    }
}
