//! Why a model could not be evaluated.

use std::path::{Path, PathBuf};

use m3ae_prepare::SetName;

use crate::names::ProtocolName;

/// Why a model could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    /// Neither the prepared file nor the raw set is there.
    #[error("{} is missing, and so is the raw set in {}", path.display(), raw.display())]
    NotHere {
        /// The data set.
        set: SetName,
        /// The prepared file.
        path: PathBuf,
        /// The raw set's folder.
        raw: PathBuf,
    },
    /// The raw set could not be prepared.
    #[error("preparing {set} from {}", raw.display())]
    Prepare {
        /// The data set.
        set: SetName,
        /// The raw set's folder.
        raw: PathBuf,
        /// Why.
        source: m3ae_prepare::PrepareError,
    },
    /// A prepared file cannot be read.
    #[error(transparent)]
    Data(#[from] m3ae_data::DataError),
    /// A prepared file has nothing to score.
    #[error("{} holds too little: {problem}", path.display())]
    Empty {
        /// The prepared file.
        path: PathBuf,
        /// The reason.
        problem: &'static str,
    },
    /// The model cannot be opened.
    #[error("{checkpoint}")]
    Open {
        /// The model's path or name.
        checkpoint: String,
        /// Why.
        source: m3ae::ModelError,
    },
    /// The model cannot answer.
    #[error(transparent)]
    Model(#[from] m3ae::ModelError),
    /// The model's head has another number of classes than the prepared set has answers.
    #[error("the prepared set's answers are not the model's: {0}")]
    OtherAnswers(#[source] m3ae::ModelError),
    /// The model cannot answer about one image or block of questions.
    #[error("{place}")]
    At {
        /// Which.
        place: String,
        /// Why.
        source: m3ae::ModelError,
    },
    /// An image of the set cannot be read.
    #[error("{place}")]
    Image {
        /// The file, and the image in it.
        place: String,
        /// Why.
        source: m3ae_image::ImageError,
    },
    /// A question or caption cannot be tokenized.
    #[error(transparent)]
    Text(#[from] m3ae_text::TextError),
    /// The prepared files contradict the protocol that was asked for.
    #[error("protocol {}: the files in {} were prepared otherwise: {found}", asked.name(), folder.display())]
    OtherData {
        /// The data set.
        set: SetName,
        /// The protocol.
        asked: ProtocolName,
        /// Folder of the prepared files.
        folder: PathBuf,
        /// What contradicts it.
        found: String,
    },
    /// The model contradicts the protocol that was asked for.
    #[error("protocol {}: {found}", asked.name())]
    OtherModel {
        /// The protocol.
        asked: ProtocolName,
        /// What contradicts it.
        found: String,
    },
    /// The model knows too few of the set's answers.
    #[error(
        "the model answers with {model} words, and knows {shared} of the {known} answers of {}: it was trained on another \
         data set",
        path.display()
    )]
    OtherSet {
        /// Answers of the model.
        model: usize,
        /// Answers of the set that the model knows.
        shared: usize,
        /// Answers of the set.
        known: usize,
        /// The prepared file.
        path: PathBuf,
    },
    /// There is no such column of labels.
    #[error("there is no label column {label:?}; it is one of {}", known.join(", "))]
    Label {
        /// What was asked for.
        label: String,
        /// The columns that exist.
        known: Vec<&'static str>,
    },
    /// The classification head has fewer classes than the column.
    #[error("the model's classification head has {classes} classes, and {label} has {needed}")]
    Classes {
        /// Classes of the head.
        classes: usize,
        /// The column.
        label: String,
        /// Classes of the column.
        needed: usize,
    },
    /// The folder of the results holds another evaluation.
    #[error("{} holds another evaluation, of {model}: {}", folder.display(), differences.join("; "))]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// The other evaluation's model.
        model: String,
        /// What differs.
        differences: Vec<String>,
    },
    /// The folder of the results holds a record that cannot be read.
    #[error("{} holds results that cannot be read", folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: m3ae_eval::EvalError,
    },
    /// Scores, records or reports.
    #[error(transparent)]
    Eval(#[from] m3ae_eval::EvalError),
    /// A file cannot be written or hashed.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// A file of partial scores, or of an encoded image, cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of partial scores, or of an encoded image, is damaged.
    #[error("{}: {problem}; remove this file, it will be made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// None of the images of a folder can be read.
    #[error("none of the {count} images can be read")]
    NoImages {
        /// How many there are.
        count: usize,
    },
    /// Values cannot be read back from the device.
    #[error("reading from the device failed: {0}")]
    Device(#[from] burn::tensor::TensorReadError),
}

impl BenchmarkError {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// For `map_err` on what a model says about one place.
    pub(crate) fn at(place: impl FnOnce() -> String) -> impl FnOnce(m3ae::ModelError) -> Self {
        move |source| Self::At { place: place(), source }
    }
}
