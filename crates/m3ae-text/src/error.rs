//! What can go wrong with texts and tokenizers.

use std::path::{Path, PathBuf};

use crate::family::Family;

/// A failure of tokenization: says what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// There is no tokenizer at the path.
    #[error(
        "no tokenizer at {path}: expected a tokenizer.json file, or a folder with tokenizer.json, with vocab.json and merges.txt \
         (RoBERTa), or with vocab.txt (BERT)"
    )]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A tokenizer could not be written.
    #[error(transparent)]
    Write(#[from] m3ae_files::FilesError),
    /// A file is larger than any tokenizer.
    #[error("{path} has {bytes} bytes, more than the limit of {limit}: this is not a tokenizer's file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A file's content is not what its name promises.
    #[error("{path}{}: {reason}", .line.map(|n| format!(", line {n}")).unwrap_or_default())]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where the format has lines.
        line: Option<usize>,
        /// What is wrong, and what is expected instead.
        reason: String,
    },
    /// The vocabulary has no such special token.
    #[error(
        "the vocabulary of {path} has no {token:?}, which the {family} family needs: the file belongs to another tokenizer"
    )]
    MissingSpecial {
        /// Where the vocabulary came from.
        path: PathBuf,
        /// The token that is missing.
        token: &'static str,
        /// The family that needs it.
        family: Family,
    },
    /// A text cannot be held in so few tokens.
    #[error(
        "max_length is {given}, but the start and end tokens alone take 2: choose 2 or more (pre-training uses 64)"
    )]
    MaxLength {
        /// What was asked for.
        given: usize,
    },
    /// A vocabulary cannot be that small or that large.
    #[error("a vocabulary of {given} tokens was asked for: a byte-level one has {minimum} to {maximum}")]
    VocabularySize {
        /// What was asked for.
        given: usize,
        /// 5 special tokens and 256 bytes.
        minimum: usize,
        /// The largest one this crate reads back.
        maximum: usize,
    },
    /// The tokenizer itself failed on a text.
    #[error("cannot tokenize {excerpt:?}: {reason}")]
    Encode {
        /// The text's beginning.
        excerpt: String,
        /// The tokenizer's reason.
        reason: String,
    },
    /// The tokenizer cannot be put together or written down.
    #[error("cannot build the tokenizer: {reason}")]
    Build {
        /// The tokenizer library's reason.
        reason: String,
    },
}

impl TextError {
    /// A [`TextError::Format`] without a line.
    pub(crate) fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), line: None, reason: reason.to_string() }
    }

    /// A [`TextError::Format`] at a line, counted from 1.
    pub(crate) fn at(path: &Path, line: usize, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), line: Some(line), reason: reason.to_string() }
    }

    /// A [`TextError::Build`].
    pub(crate) fn build(reason: impl ToString) -> Self {
        Self::Build { reason: reason.to_string() }
    }
}
