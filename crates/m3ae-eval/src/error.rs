//! Why something could not be evaluated.

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
    /// One item has a value that no model should give.
    #[error("{item}: {problem}")]
    Item {
        /// Which one.
        item: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// Numbers of things contradict each other.
    #[error("{what}: {found}, but {expected} were expected")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Two runs answered different questions.
    #[error("the two runs cannot be compared: {problem}")]
    Unpaired {
        /// What differs, with the first ids.
        problem: String,
    },
    /// A setting of the bootstrap.
    #[error("bootstrap: {0}")]
    Bootstrap(String),
    /// A file is not what its name says.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        problem: String,
    },
    /// A record could not be written.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// A report could not be written, or holds a picture that is none.
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
