//! What can go wrong with prepared files.

use std::path::PathBuf;

/// A failure that concerns a prepared file: says what was wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrowError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no Arrow IPC file, or it was cut off.
    #[error("{path} is not a whole Arrow IPC file: {problem} (prepare it again)")]
    NotArrow {
        /// The file.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// A part of the file contradicts itself or reaches outside.
    #[error("{path} is damaged at {place}: {problem} (prepare it again)")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The footer, or a batch and its column.
        place: String,
        /// What does not hold.
        problem: String,
    },
    /// The columns are not those of a data set.
    #[error("{path}, column {column}: {problem}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
    /// A value cannot be read.
    #[error("{path}, row {row}, column {column}: {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// The column.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no such row.
    #[error("{path} has {rows} rows: there is no row {row} (rows count from 0)")]
    NoRow {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        row: usize,
        /// How many there are.
        rows: usize,
    },
    /// The file could not be written.
    #[error("cannot write {path}: {problem}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
}
