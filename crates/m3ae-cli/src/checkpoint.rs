//! `m3ae info` and `m3ae convert`: what a checkpoint is, and making a self-sufficient model folder of it.

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

/// Say what a checkpoint is: its tensors, its size by part, its heads, and the model it needs.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// A file (PyTorch or safetensors), a model folder, the folder of a run, or owner/name in the Hugging Face cache
    file: String,
}

/// Prints the description.
pub fn describe(args: &InfoArgs) -> Result<()> {
    print!("{}", info(&resolve(&args.file)?)?);
    Ok(())
}

/// Make a self-sufficient model folder (safetensors, configuration, tokenizer, answers) from an M3AE checkpoint.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// The checkpoint, such as the reference implementation's .ckpt
    checkpoint: String,
    /// Folder to make; must not exist
    #[arg(long)]
    out: PathBuf,
    /// tokenizer.json, or a folder with it or with the vocabulary files of RoBERTa or BERT; by default the tokenizer.json
    /// beside the weights, if there is one
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Answers of the question-answering head in the order of its classes: a JSON list, or the prepared file (.arrow) that it
    /// was trained on; by default the answers.json beside the weights, if there is one
    #[arg(long)]
    answers: Option<PathBuf>,
}

/// Converts, and says what was left out.
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
