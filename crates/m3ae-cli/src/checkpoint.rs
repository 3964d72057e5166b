//! `m3ae info` and `m3ae convert`: what a checkpoint is, and making a self-sufficient model folder of it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::prelude::Device;
use m3ae_weights::{Checkpoint, Extras, export_folder, find_config, info, load, resolve};

/// Say what a checkpoint is: its tensors, its size by part, its heads, and the model it needs.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// File or folder: PyTorch (Lightning, zip, legacy, TorchScript) or safetensors; or owner/name in the Hugging Face cache
    file: String,
}

/// Prints the description.
pub fn describe(args: &InfoArgs) -> Result<()> {
    print!("{}", info(&resolve(&args.file)?)?);
    Ok(())
}

/// Make a self-sufficient model folder (safetensors, configuration, tokenizer, answers) of an M3AE checkpoint.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// The checkpoint, such as the reference implementation's .ckpt
    checkpoint: String,
    /// Folder to make; must not exist
    #[arg(long)]
    out: PathBuf,
    /// tokenizer.json, or the folder that holds it
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Answers of the question-answering head, a JSON list in the order of its classes
    #[arg(long)]
    answers: Option<PathBuf>,
}

/// Converts, and says what was left out.
pub fn convert(args: &ConvertArgs, device: &Device) -> Result<()> {
    let checkpoint = Checkpoint::open(&resolve(&args.checkpoint)?)?;
    let config = find_config(&checkpoint)?;
    let mut model = config.init(device)?;
    let report = load(&mut model, &checkpoint)?;
    let answers = match &args.answers {
        None => None,
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let context = || format!("{}: expected a JSON list of strings", path.display());
            Some(serde_json::from_str(&text).with_context(context)?)
        }
    };
    export_folder(&model, &config, &Extras { tokenizer: args.tokenizer.clone(), answers }, &args.out)?;
    print!("{report}");
    println!("{}", args.out.display());
    Ok(())
}
