//! Captioned images, and what had to be left out.

use std::path::PathBuf;

/// An image with one of its captions. An image with five captions is five samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionSample {
    /// `<image id>#<n>`: the image's n-th usable caption, from 0. Every random draw for the sample is keyed by it.
    pub id: String,
    /// The image file.
    pub image: PathBuf,
    /// The caption, its whitespace collapsed; a question as it stands in its file.
    pub caption: String,
}

/// The samples of a data set's split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionSet {
    /// The data set, such as `roco`.
    pub name: String,
    /// The split, such as `train`.
    pub split: String,
    /// What can be used, in the file's order.
    pub samples: Vec<CaptionSample>,
    /// What cannot, in the file's order: nothing is dropped without a record here.
    pub skipped: Vec<Skipped>,
    /// Lines of the captions file. Each is a sample or skipped.
    pub lines_read: usize,
}

/// Something that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file concerned: captions or image.
    pub file: PathBuf,
    /// The line in it, from 1, where the file has lines.
    pub line: Option<usize>,
    /// The image or sample id, as far as it is known.
    pub key: String,
    /// Why.
    pub reason: SkipReason,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, " ({})", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// The file has no lines.
    #[error("the file is empty")]
    EmptyFile,
    /// The line's bytes are not UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// The line has no tab between id and caption.
    #[error("no tab between id and caption")]
    NoTab,
    /// The id is empty or is no plain file name.
    #[error("the id is empty or has a path separator in it")]
    BadId,
    /// The caption says too little.
    #[error("only {words} words, fewer than {minimum}")]
    TooFewWords {
        /// How many it has.
        words: usize,
        /// How many it must have.
        minimum: usize,
    },
    /// The same image and caption stand on an earlier line.
    #[error("the same as line {first}")]
    Duplicate {
        /// That line, from 1.
        first: usize,
    },
    /// No file of the image's name.
    #[error("no image file {expected}")]
    MissingImage {
        /// Which names were looked for.
        expected: String,
    },
    /// The image file cannot be used.
    #[error("{0}")]
    UnreadableImage(String),
    /// None of several randomly drawn false images could be used.
    #[error("none of {tries} randomly drawn false images could be read; the last: {last}")]
    NoFalseImage {
        /// How many were tried.
        tries: usize,
        /// What was wrong with the last one.
        last: String,
    },
}

/// One space for every run of whitespace, none at the ends. Non-breaking spaces count, and so do the four separators of
/// ASCII, which Python takes for whitespace and Unicode does not.
#[must_use]
pub fn collapse_whitespace(text: &str) -> String {
    let is_space = |c: char| c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c);
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
