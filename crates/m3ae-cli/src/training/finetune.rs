//! `m3ae finetune`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use m3ae_benchmark::{Split, prepare_absent};
use m3ae_prepare::SetName;
use m3ae_train::RunConfig;

use super::{RunArgs, Stop, recipe, start};
use crate::backend::Backend;
use crate::eval::show;
use crate::progress::Bar;

/// The recipe for the synthetic set's questions.
pub const FINETUNE_PHANTOM: (&str, &str) =
    ("configs/finetune/phantom-vqa.toml", include_str!("../../../../configs/finetune/phantom-vqa.toml"));

/// Fine-tune a pre-trained model on a task; the checkpoint that is best on the validation split is kept and tested.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae finetune vqa-rad --checkpoint runs/pretrained --set train.epochs=20")]
pub struct FinetuneArgs {
    /// The task; its recipe, configs/finetune/TASK.toml, is built in
    #[arg(required_unless_present = "config")]
    task: Option<FinetuneTask>,
    /// Your own recipe instead of a built-in one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The pre-trained model: a folder, a file, or owner/name on the Hugging Face hub; short for --set
    /// init.checkpoint=MODEL
    #[arg(long, value_name = "MODEL")]
    checkpoint: Option<String>,
    #[command(flatten)]
    run: RunArgs,
}

/// Tasks with a recipe.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FinetuneTask {
    /// Questions about radiology images
    VqaRad,
    /// Questions about radiology images, English part
    Slake,
    /// Modality, plane and organ questions
    #[value(name = "vqa-med-2019")]
    VqaMed2019,
    /// Classes of experiment methods from figures and captions
    Melinda,
    /// Retrieval between images and captions
    IrtrRoco,
    /// Questions about the synthetic data set, which is generated
    PhantomVqa,
}

impl FinetuneTask {
    /// The file name and the content of its recipe.
    pub fn recipe(self) -> (&'static str, &'static str) {
        macro_rules! built_in {
            ($name:literal) => {
                (
                    concat!("configs/finetune/", $name, ".toml"),
                    include_str!(concat!("../../../../configs/finetune/", $name, ".toml")),
                )
            };
        }
        match self {
            Self::VqaRad => built_in!("vqa-rad"),
            Self::Slake => built_in!("slake"),
            Self::VqaMed2019 => built_in!("vqa-med-2019"),
            Self::Melinda => built_in!("melinda"),
            Self::IrtrRoco => built_in!("irtr-roco"),
            Self::PhantomVqa => FINETUNE_PHANTOM,
        }
    }
}

/// Runs the recipe and prints a summary.
pub fn run(args: &FinetuneArgs, backend: Backend) -> Result<ExitCode> {
    let built_in = match (args.task, &args.config) {
        (Some(_), Some(_)) => bail!("pass either a task or a recipe with --config, not both"),
        (Some(task), None) => task.recipe(),
        (None, _) => ("", ""),
    };
    let mut overrides: Vec<String> =
        args.checkpoint.iter().map(|name| format!("init.checkpoint={}", toml::Value::from(name.as_str()))).collect();
    overrides.extend(args.run.overrides.iter().cloned());
    let config = recipe(args.config.as_ref(), built_in, &overrides)?;
    ensure!(!config.task.is_pretraining(), "this recipe is for pre-training: `m3ae pretrain --config <file>`");
    // A resumed run has its weights in its own checkpoint.
    if let Some(name) = config.init.checkpoint.as_deref().filter(|name| !name.is_empty() && !args.run.resume) {
        m3ae_weights::resolve(name).with_context(|| {
            "init.checkpoint names no model; pre-train one first (`cargo xtask pretrain`), pass one with --checkpoint, or \
             start from random weights with --set init.checkpoint="
        })?;
    }
    prepare_sets(&config)?;
    start(&config, &args.run, backend, &Stop::on_signal()?)
}

/// Prepares the recipe's published data sets that are not prepared yet, if their raw folders are in the default places.
fn prepare_sets(config: &RunConfig) -> Result<()> {
    for set in config.data.sets.iter().filter_map(|name| SetName::from_name(name)) {
        let (raw, prepared) = (set.default_raw(), &config.data.prepared);
        prepare_absent(set, raw, prepared, Split::Train, None, &mut |event| show(&mut Bar::default(), &event))?;
    }
    Ok(())
}
