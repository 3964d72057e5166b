//! `m3ae info` describes a checkpoint, `m3ae convert` makes a model folder of it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::prelude::Device;
use m3ae_text::Tokenizer;
use m3ae_weights::{
    ANSWERS_FILE, CONFIG_FILE, Checkpoint, Extras, TOKENIZER_FILE, export_folder, find_config, folder_settings,
    hyper_parameters, info, load, resolve,
};

use crate::model::read_answers;
use crate::output::say;

/// Describe a checkpoint: its tensors, the size of each part, its heads, and the model configuration it needs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae info runs/quickstart")]
pub struct InfoArgs {
    /// A file (PyTorch or safetensors), a model folder, the folder of a run, or owner/name in the Hugging Face cache
    file: String,
}

/// Prints the description.
pub fn describe(args: &InfoArgs) -> Result<()> {
    print!("{}", info(&resolve(&args.file)?)?);
    Ok(())
}

/// Convert an M3AE checkpoint to a model folder: safetensors, configuration, tokenizer and answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae convert m3ae.ckpt --out models/m3ae --tokenizer roberta-base/tokenizer.json")]
pub struct ConvertArgs {
    /// The checkpoint, such as the reference implementation's .ckpt
    checkpoint: String,
    /// The model folder to create; must not exist yet
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// tokenizer.json, or a folder with it or with the vocabulary files of RoBERTa or BERT
    /// [default: tokenizer.json beside the weights, if there is one]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// The answers of the question-answering head, in the order of its classes: a JSON list, or the prepared .arrow
    /// file that the head was trained on [default: answers.json beside the weights, if there is one]
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

/// Converts, and prints which tensors were left out.
pub fn convert(args: &ConvertArgs, device: &Device) -> Result<()> {
    let checkpoint = Checkpoint::open(&resolve(&args.checkpoint)?)?;
    let config = find_config(&checkpoint)?;
    let mut model = config.init(device)?;
    let report = load(&mut model, &checkpoint)?;
    let beside = |name: &str| Some(checkpoint.path().with_file_name(name)).filter(|path| path.is_file());
    let place = tempfile::tempdir()?;
    let tokenizer = match &args.tokenizer {
        Some(path) => Some(tokenizer_file(path, place.path())?),
        None => beside(TOKENIZER_FILE),
    };
    let answers = args.answers.clone().or_else(|| beside(ANSWERS_FILE));
    let answers = answers.as_deref().map(read_answers).transpose()?;
    let max_length = match folder_settings(&checkpoint.path().with_file_name(CONFIG_FILE)) {
        Ok(Some(settings)) => settings.max_length,
        _ => hyper_parameters(&checkpoint)?.and_then(|settings| settings.max_text_len),
    };
    let extras = Extras { tokenizer, answers, max_length };
    export_folder(&model, &config, &extras, &args.out)?;
    say!("{}", report.to_string().trim_end());
    say!("{}", args.out.display());
    Ok(())
}

/// The tokenizer as one file. Vocabulary files are made into a `tokenizer.json` in `place`.
fn tokenizer_file(path: &Path, place: &Path) -> Result<PathBuf> {
    if path.is_file() || path.join(TOKENIZER_FILE).is_file() {
        return Ok(path.to_owned());
    }
    Tokenizer::load(path)?.save(place)?;
    Ok(place.join(TOKENIZER_FILE))
}
