//! Why a model cannot be opened or cannot answer.

use std::path::PathBuf;

use thiserror::Error;

/// Why a model cannot be opened or cannot answer.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The weights or their settings.
    #[error(transparent)]
    Weights(#[from] m3ae_weights::WeightsError),
    /// The tokenizer, or a text.
    #[error(transparent)]
    Text(#[from] m3ae_text::TextError),
    /// The image size that the model was opened with.
    #[error(transparent)]
    Transform(#[from] m3ae_image::TransformError),
    /// Sizes that no model can have.
    #[error(transparent)]
    Config(#[from] m3ae_model::ConfigError),
    /// An image file that cannot be read.
    #[error("{path}: {source}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: m3ae_image::ImageError,
    },
    /// An image with next to nothing in it.
    #[error(
        "the image has {width}×{height} pixels: too small to show anything, at least {least} on each side are needed"
    )]
    ImageTooSmall {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The least.
        least: usize,
    },
    /// The model has no tokenizer beside it.
    #[error(
        "{model} has no tokenizer beside it: name the folder of RoBERTa's vocab.json and merges.txt (or BERT's vocab.txt), or a \
             tokenizer.json"
    )]
    NoTokenizer {
        /// The weights' file.
        model: PathBuf,
    },
    /// The tokenizer belongs to another model.
    #[error("{model}: the tokenizer has {tokenizer} tokens and the model {embedded}: it is another model's")]
    OtherTokenizer {
        /// The weights' file.
        model: PathBuf,
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Rows of the model's table.
        embedded: usize,
    },
    /// The answers' names are not known.
    #[error(
        "{model}: its question-answering head gives {classes} classes, and no answers.json beside it says which answers these are: name them"
    )]
    NoAnswers {
        /// The weights' file.
        model: PathBuf,
        /// Classes of the head.
        classes: usize,
    },
    /// Another number of answers than classes.
    #[error("{model}: its question-answering head gives {classes} classes, but the vocabulary has {answers} answers")]
    OtherAnswers {
        /// The weights' file.
        model: PathBuf,
        /// Classes of the head.
        classes: usize,
        /// Answers of the vocabulary.
        answers: usize,
    },
    /// A head that the question needs.
    #[error("{model} has no {head} head: {advice}")]
    MissingHead {
        /// The weights' file.
        model: PathBuf,
        /// The head.
        head: &'static str,
        /// What would have one.
        advice: &'static str,
    },
    /// Patches that cannot be left out so.
    #[error("share of patches to remove: {0}")]
    PatchMask(#[from] m3ae_masking::PatchMaskError),
    /// The vision encoder cannot leave patches out.
    #[error(transparent)]
    Masking(#[from] m3ae_model::MaskingUnsupported),
    /// A text that says nothing.
    #[error("the text is empty: nothing is asked")]
    EmptyText,
    /// Nothing is masked.
    #[error("the text has no {mask}: put one where a word is to be filled in")]
    NoMask {
        /// The mask token's spelling.
        mask: String,
    },
    /// A question about an image that is not among those given.
    #[error("image {index} of {count} was asked about; they count from 0")]
    NoSuchImage {
        /// Which one.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The model computed NaN or infinity.
    #[error(
        "the model's {what} is not finite: the weights are damaged, or the image or text is unlike anything it can compute"
    )]
    NotFinite {
        /// Which output.
        what: &'static str,
    },
    /// The vision encoder keeps no grid of patches that a map could show.
    #[error("this model's image tokens make no square grid: no map can be drawn")]
    NoGrid,
    /// A value could not be read back from the device.
    #[error("reading from the device failed: {0}")]
    Device(#[from] burn::tensor::TensorReadError),
    /// A picture could not be encoded.
    #[error("cannot encode the picture: {0}")]
    Picture(#[from] image::ImageError),
}
