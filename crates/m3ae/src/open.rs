//! Opening a model: from files to a [`Model`].

use std::path::{Path, PathBuf};

use burn::prelude::Device;
use m3ae_image::ClipTransform;
use m3ae_text::{TextError, Tokenizer};
use m3ae_weights::{
    ANSWERS_FILE, CONFIG_FILE, Checkpoint, Format, TOKENIZER_FILE, find_config, folder_settings, hyper_parameters,
    load, read_settings, resolve,
};

use crate::error::ModelError;
use crate::model::Model;

/// Longest text in tokens if neither the caller nor the model gives one: the length used in pre-training.
const MAX_LENGTH: usize = 64;
/// Pairs per fusion pass by default: about 1 GB of activations at base size and 384 pixels.
const BATCH_SIZE: usize = 16;

impl Model {
    /// Opens a model: a model folder, the folder of a run or one of its checkpoints, the reference's Lightning `.ckpt`,
    /// or `owner/name` in the Hugging Face cache. Weights are loaded strictly: a missing or unexpected tensor is an
    /// error.
    ///
    /// A `.ckpt` has no tokenizer and no names for its answers: give them with [`OpenOptions`].
    ///
    /// # Errors
    /// The files are missing or damaged, or contradict each other; the message names them.
    pub fn open(path_or_name: &str, device: &Device) -> Result<Self, ModelError> {
        OpenOptions::new().open(path_or_name, device)
    }
}

/// Settings that a model's files lack, or that replace the files' own. See [`Model::open`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    tokenizer: Option<PathBuf>,
    answers: Option<Vec<String>>,
    max_length: Option<usize>,
    image_size: Option<usize>,
    batch_size: Option<usize>,
}

impl OpenOptions {
    /// No settings: everything comes from the files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tokenizer's file or folder. Model folders contain one; the reference's checkpoints do not.
    #[must_use]
    pub fn tokenizer(mut self, path: Option<PathBuf>) -> Self {
        self.tokenizer = path;
        self
    }

    /// The answers of the question-answering head, in the order of its classes. Model folders contain them; the
    /// reference's checkpoints do not.
    #[must_use]
    pub fn answers(mut self, answers: Option<Vec<String>>) -> Self {
        self.answers = answers;
        self
    }

    /// Longest text in tokens, start and end included; longer texts are truncated. By default the length that the model
    /// was trained with.
    #[must_use]
    pub fn max_length(mut self, tokens: Option<usize>) -> Self {
        self.max_length = tokens;
        self
    }

    /// Image side S in pixels. CLIP's position table is resized to it, or Swin's windows and their bias tables are. By
    /// default the size that the model was trained with.
    #[must_use]
    pub fn image_size(mut self, side: Option<usize>) -> Self {
        self.image_size = side;
        self
    }

    /// Images, and image-text pairs, per pass; 16 by default. Results change by rounding only.
    #[must_use]
    pub fn batch_size(mut self, size: Option<usize>) -> Self {
        self.batch_size = size;
        self
    }

    /// Opens a model; see [`Model::open`].
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(&self, path_or_name: &str, device: &Device) -> Result<Model, ModelError> {
        let checkpoint = Checkpoint::open(&resolve(path_or_name)?)?;
        let folder = checkpoint.path().parent().unwrap_or(Path::new("")).to_owned();
        let settings = match checkpoint.format() {
            Format::Safetensors => folder_settings(&folder.join(CONFIG_FILE))?,
            _ => None,
        };
        let reference = hyper_parameters(&checkpoint)?;
        let trained_length = match &settings {
            Some(settings) => settings.max_length,
            None => reference.as_ref().and_then(|reference| reference.max_text_len),
        };
        let mut config = match settings {
            Some(settings) => settings.config,
            None => find_config(&checkpoint)?,
        };
        if let Some(side) = self.image_size {
            config.vision = config.vision.at(side);
        }
        // Inference needs no gradients.
        let device = device.clone().inner();
        let mut network = config.init(&device)?;
        let report = load(&mut network, &checkpoint)?;

        let model = checkpoint.path().to_owned();
        let named = reference.map(|reference| reference.tokenizer);
        let tokenizer = tokenizer(self.tokenizer.as_deref(), &model, &folder, named.as_deref())?;
        let (own, embedded) = (tokenizer.vocab_size(), config.text.vocab_size);
        if own > embedded {
            return Err(ModelError::OtherTokenizer { model, tokenizer: own, embedded });
        }
        let beside = folder.join(ANSWERS_FILE);
        let answers: Option<Vec<String>> = match &self.answers {
            Some(answers) => Some(answers.clone()),
            None => beside.is_file().then(|| read_settings(&beside)).transpose()?,
        };
        if let (Some(classes), Some(answers)) = (config.heads.vqa, &answers)
            && classes != answers.len()
        {
            return Err(ModelError::OtherAnswers { model, classes, answers: answers.len() });
        }
        let longest = config.text.max_length();
        let max_length = self.max_length.or(trained_length).unwrap_or(MAX_LENGTH).min(longest);
        if max_length < 2 {
            return Err(TextError::MaxLength { given: max_length }.into());
        }
        Ok(Model {
            transform: ClipTransform::new(config.vision.image_size())?,
            batch_size: self.batch_size.unwrap_or(BATCH_SIZE).max(1),
            path: model,
            network,
            config,
            report,
            tokenizer,
            answers,
            max_length,
            device,
        })
    }
}

/// The tokenizer: the named one, or the one beside the weights, or the one in the folder beside them that the
/// reference's settings name.
fn tokenizer(
    named: Option<&Path>,
    model: &Path,
    folder: &Path,
    by_settings: Option<&str>,
) -> Result<Tokenizer, ModelError> {
    if let Some(path) = named {
        return Ok(Tokenizer::load(path)?);
    }
    let mut places = vec![folder.join(TOKENIZER_FILE)];
    if let Some(name) = by_settings {
        places.push(folder.join(name));
        places.extend(Path::new(name).file_name().map(|name| folder.join(name)));
    }
    for place in places {
        match Tokenizer::load(&place) {
            Err(TextError::Missing { .. }) => {}
            loaded => return Ok(loaded?),
        }
    }
    Err(ModelError::NoTokenizer { model: model.to_owned() })
}
