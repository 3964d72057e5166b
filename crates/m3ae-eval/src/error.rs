//! The errors of this crate.

use std::path::{Path, PathBuf};

/// Why something could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// There is nothing to score.
    #[error("there is no {what} to evaluate")]
    Nothing {
        /// What is missing.
        what: &'static str,
    },
    /// An item has a value that is not valid, such as a score that is NaN.
    #[error("{item}: {problem}")]
    Item {
        /// The item.
        item: String,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// Sizes contradict each other.
    #[error("{what}: {found}, but {expected} were expected")]
    Count {
        /// The things that were counted.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The number expected.
        expected: usize,
    },
    /// The two runs did not answer the same questions.
    #[error("the two runs cannot be compared: {problem}")]
    Unpaired {
        /// What differs, with the first ids.
        problem: String,
    },
    /// A setting of the bootstrap is out of range.
    #[error("bootstrap: {0}")]
    Bootstrap(String),
    /// A file cannot be read, or does not hold an evaluation or predictions.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        problem: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// A report could not be written, or one of its pictures is not a PNG.
    #[error(transparent)]
    Report(#[from] m3ae_report::ReportError),
}

impl EvalError {
    pub(crate) fn file(path: &Path, problem: impl ToString) -> Self {
        Self::File { path: path.to_owned(), problem: problem.to_string() }
    }

    pub(crate) fn item(item: impl ToString, problem: impl ToString) -> Self {
        Self::Item { item: item.to_string(), problem: problem.to_string() }
    }
}
