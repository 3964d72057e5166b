//! What can stop a preparation.

use std::path::{Path, PathBuf};

use crate::{Dropped, PrepareOptions, SetName};

/// A failure that stops a preparation: says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A file or folder of the layout is not there.
    #[error("{path} is missing: expected {expected}")]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// What should be there.
        expected: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file cannot be written, or a lock not taken.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// A file of annotations is not what its name promises.
    #[error("{path}: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line or record.
        problem: String,
    },
    /// More is broken than may be.
    #[error(
        "{set}, {split}: {broken} of {records} records are missing or broken, more than a share of {allowed}; the first: {first} \
         (repair the data, or allow more with --max-broken)"
    )]
    TooManyBroken {
        /// The set.
        set: SetName,
        /// The split.
        split: String,
        /// How many.
        broken: usize,
        /// Of how many.
        records: usize,
        /// The share that is allowed.
        allowed: f64,
        /// The first, with place and reason.
        first: String,
    },
    /// Not one image of a split is there.
    #[error(
        "{set}, {split}: none of its {images} images is there, the first: {first} \
         (datasets/README.md says where they come from; --dry-run counts without them)"
    )]
    NoImages {
        /// The set.
        set: SetName,
        /// The split.
        split: String,
        /// How many.
        images: usize,
        /// Where the first should be.
        first: String,
    },
    /// A split would have no row.
    #[error("{set}, {split}: nothing to write: {dropped} records were left out{}", first.as_ref().map(|first| format!("; the first: {first}")).unwrap_or_default())]
    Empty {
        /// The set.
        set: SetName,
        /// The split.
        split: String,
        /// How many records there were.
        dropped: usize,
        /// The first of them.
        first: Option<String>,
    },
    /// An option asks for what the set has not.
    #[error("{set}: {problem}")]
    Option {
        /// The set.
        set: SetName,
        /// What is wrong, and what to choose.
        problem: String,
    },
    /// Another preparation writes into the same folder.
    #[error("another preparation is writing into {path}: wait for it, or choose another folder")]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A prepared file cannot be read or written.
    #[error(transparent)]
    Arrow(#[from] m3ae_data::arrow::ArrowError),
    /// The folder holds synthetic data of another configuration.
    #[error("{path} holds synthetic data of another configuration or version: name another folder, or remove this one")]
    OtherPhantom {
        /// The folder.
        path: PathBuf,
    },
    /// Synthetic data could not be made.
    #[error(transparent)]
    Phantom(#[from] m3ae_phantom::PhantomError),
    /// A tokenizer could not be trained or written.
    #[error(transparent)]
    Text(#[from] m3ae_text::TextError),
}

impl PrepareError {
    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing {
                path: path.to_owned(),
                expected: "the data set's layout (see datasets/README.md)".to_owned(),
            },
            _ => Self::Read { path: path.to_owned(), source },
        }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Write { path: path.to_owned(), source }
    }
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// Refuses a split of which too much is broken.
pub(crate) fn check_broken(
    set: SetName,
    split: &str,
    dropped: &[Dropped],
    records: usize,
    options: &PrepareOptions,
) -> Result<(), PrepareError> {
    let mut all = dropped.iter().filter(|dropped| dropped.broken);
    let Some(first) = all.next() else { return Ok(()) };
    let broken = 1 + all.count();
    match broken as f64 > options.max_broken_share * records as f64 {
        true => Err(PrepareError::TooManyBroken {
            set,
            split: split.to_owned(),
            broken,
            records,
            allowed: options.max_broken_share,
            first: first.to_string(),
        }),
        false => Ok(()),
    }
}
