//! What can go wrong with data sets.

use std::path::PathBuf;

/// A failure that concerns a whole data set: says what was wrong, where, and what to do. What concerns one line or one
/// image is a [`Skipped`](crate::Skipped) instead.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A setting has an impossible value.
    #[error("{field} is {problem}")]
    Config {
        /// The setting's name.
        field: &'static str,
        /// Its value, and which to choose.
        problem: String,
    },
    /// There is nothing to load.
    #[error("the data set has no sample: look at what was skipped while it was read")]
    NoSamples,
    /// Two samples share an id, and would share every random draw.
    #[error("two samples have the id {id:?}: give each data set its own ids before joining them")]
    DuplicateSample {
        /// The id.
        id: String,
    },
    /// False images were asked for, but there is only one image.
    #[error("all samples have the image {path}: a false image needs a second one (or set false_images = false)")]
    NoOtherImage {
        /// The only image.
        path: PathBuf,
    },
    /// A worker thread could not be started.
    #[error("cannot start a loader thread: {0} (set workers = 0 to load without threads)")]
    Spawn(std::io::Error),
    /// A batch could not be built because of a defect of this program.
    #[error("batch {batch} failed: {message} (this is a defect of the loader: please report it)")]
    Worker {
        /// The batch's number within its epoch.
        batch: usize,
        /// The panic's message.
        message: String,
    },
    /// A prepared file is of another kind.
    #[error("{path} holds {found}, not {expected}: name a file of another set")]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What is needed.
        expected: crate::arrow::Kind,
        /// What it holds.
        found: crate::arrow::Kind,
    },
    /// A prepared file is at fault.
    #[error(transparent)]
    Arrow(#[from] crate::arrow::ArrowError),
    /// An image transform that cannot be.
    #[error(transparent)]
    Transform(#[from] m3ae_image::TransformError),
    /// A text or tokenizer is at fault.
    #[error(transparent)]
    Text(#[from] m3ae_text::TextError),
}

impl DataError {
    /// A [`DataError::Config`].
    pub(crate) fn config(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Config { field, problem: problem.into() }
    }
}
