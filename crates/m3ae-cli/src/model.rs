//! The options of every command that uses a trained model.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::prelude::Device;
use m3ae::{Model, OpenOptions};
use m3ae_data::{read_questions_arrow, shared_vocabulary};

/// The model, and the settings that its files lack.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelArgs {
    /// The model: a model folder, a run's folder or checkpoint, the reference's .ckpt, or owner/name in the Hugging
    /// Face cache
    #[arg(long, value_name = "MODEL")]
    pub checkpoint: String,
    /// Settings that the files lack.
    #[command(flatten)]
    pub options: ModelOptions,
}

/// Settings that a model's files lack, or that override theirs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ModelOptions {
    /// tokenizer.json, or the folder that holds it, for a model without a tokenizer
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// The answers of the question-answering head, in the order of its classes: a JSON list, or the prepared .arrow
    /// file that the head was trained on
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Maximum text length in tokens [default: as in training]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,
    /// Image side in pixels [default: as in training]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// Images, and image-text pairs, per forward pass
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
}

/// An open model, and how long opening took.
pub struct Opened {
    /// The model.
    pub model: Model,
    /// The time to read the files and build the model.
    pub took: Duration,
}

impl ModelArgs {
    /// Opens the model.
    pub fn open(&self, device: &Device) -> Result<Opened> {
        self.options.open(&self.checkpoint, device)
    }
}

impl ModelOptions {
    /// Opens the model that `checkpoint` names.
    pub fn open(&self, checkpoint: &str, device: &Device) -> Result<Opened> {
        let begun = Instant::now();
        let model =
            self.open_options()?.open(checkpoint, device).with_context(|| format!("--checkpoint {checkpoint}"))?;
        Ok(Opened { model, took: begun.elapsed() })
    }

    /// The options as the library takes them; reads the file of answers.
    pub fn open_options(&self) -> Result<OpenOptions> {
        let answers = self.answers.as_deref().map(read_answers).transpose()?;
        Ok(OpenOptions::new()
            .tokenizer(self.tokenizer.clone())
            .answers(answers)
            .max_length(self.max_length)
            .image_size(self.image_size)
            .batch_size(self.batch_size))
    }
}

/// Reads answers from a JSON list, or from the vocabulary of a prepared file.
pub fn read_answers(path: &Path) -> Result<Vec<String>> {
    if path.extension().is_some_and(|ending| ending == "arrow") {
        return Ok(shared_vocabulary(&[&read_questions_arrow(path)?])?.answers().to_vec());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{}: expected a JSON list of strings", path.display()))
}
