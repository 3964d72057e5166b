//! From the data sets as they are published, or the synthetic one, to prepared Arrow files.
//!
//! ```text
//! raw folder ──plan──▶ Plan { vocabulary, splits: rows, dropped } ──prepare──▶ <out>/<set>_<split>.arrow
//!   (reads texts, no images)                        (reads images, in parallel)    <out>/prepare-report.json
//! ```
//!
//! [`plan`] reads annotations only: labels can be counted where there are no images. [`prepare`] reads the images and
//! writes one [`ArrowFile`](m3ae_data::arrow::ArrowFile) per split, whole or not at all, and says in the report what it
//! found. Run again, it keeps every file whose inputs are what they were and whose content still has the recorded
//! SHA-256.
//!
//! Two choices say what a prepared set is: where validation comes from ([`ValChoice`]), and which answers are classes
//! ([`VocabularyScope`]).
//!
//! [`read_roco`] reads captions from a folder in ROCO's layout without preparing them; [`phantom::ensure`] makes the
//! synthetic set; [`inspect`](mod@inspect) shows what a prepared file holds.
//!
//! # Example
//! ```no_run
//! use std::path::Path;
//!
//! use m3ae_prepare::{PrepareOptions, SetName, ValChoice, prepare};
//!
//! // Validation on a copy of test, as published numbers for VQA-RAD were made.
//! let options = PrepareOptions { val: Some(ValChoice::CopyTest), ..PrepareOptions::default() };
//! let files = prepare(SetName::VqaRad, Path::new("data/vqa_rad"), Path::new("prepared"), &options, &mut |progress| {
//!     println!("{}: {} of {} images", progress.file, progress.done, progress.total);
//! })?;
//! for file in files {
//!     println!("{} {}: {} images, {} questions", file.set, file.split, file.images, file.texts);
//! }
//! # Ok::<(), m3ae_prepare::PrepareError>(())
//! ```

mod captions;
mod error;
mod hub;
mod images;
pub mod inspect;
mod lines;
mod listing;
mod medicat;
mod melinda;
#[cfg(feature = "parquet")]
mod parquet;
pub mod phantom;
mod python_random;
mod questions;
mod records;
mod report;
mod roco;
mod run;
mod split;
mod summary;

pub use error::PrepareError;
pub use report::{FileReport, Lengths, PrepareReport, REPORT_NAME, SharedImages};
pub use roco::{CaptionLine, UnusableLine, parse_captions, read_roco};
pub use run::{Progress, prepare, survey};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use m3ae_data::arrow::{Kind, RowData};
use m3ae_text::Vocabulary;

/// The name of the prepared file of a set's split. A name that is not in [`SetName`] is that of a set of the user's
/// own, and its files' names begin with it.
#[must_use]
pub fn prepared_file_name(set: &str, split: &str) -> String {
    let known = SetName::from_name(set);
    format!("{}_{split}.arrow", known.map_or(set, |known| known.file_stem()))
}

/// A data set that can be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum SetName {
    Roco,
    Medicat,
    VqaRad,
    Slake,
    VqaMed2019,
    Melinda,
    IrtrRoco,
    Phantom,
}

impl SetName {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Roco,
        Self::Medicat,
        Self::VqaRad,
        Self::Slake,
        Self::VqaMed2019,
        Self::Melinda,
        Self::IrtrRoco,
        Self::Phantom,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Roco => "roco",
            Self::Medicat => "medicat",
            Self::VqaRad => "vqa-rad",
            Self::Slake => "slake",
            Self::VqaMed2019 => "vqa-med-2019",
            Self::Melinda => "melinda",
            Self::IrtrRoco => "irtr-roco",
            Self::Phantom => "phantom",
        }
    }

    /// What its files' names begin with: `<stem>_<split>.arrow`, as in the reference. (The synthetic set's captions are
    /// read from its folder; this is the stem of its questions.)
    #[must_use]
    pub fn file_stem(self) -> &'static str {
        match self {
            Self::Roco => "roco",
            Self::Medicat => "medicat",
            Self::VqaRad => "vqa_vqa_rad",
            Self::Slake => "vqa_slack",
            Self::VqaMed2019 => "vqa_medvqa_2019",
            Self::Melinda => "cls_melinda",
            Self::IrtrRoco => "irtr_roco",
            Self::Phantom => "vqa_phantom",
        }
    }

    /// The name of a split's prepared file, `<stem>_<split>.arrow`.
    #[must_use]
    pub fn file_name(self, split: &str) -> String {
        prepared_file_name(self.name(), split)
    }

    /// The set of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Where users of the reference have it, relative to their working directory; the phantom set is where this program
    /// makes it.
    #[must_use]
    pub fn default_raw(self) -> &'static Path {
        Path::new(match self {
            Self::Roco | Self::IrtrRoco => "data/pretrain_data/roco",
            Self::Medicat => "data/pretrain_data/medicat",
            Self::VqaRad => "data/finetune_data/vqa_rad",
            Self::Slake => "data/finetune_data/slack",
            Self::VqaMed2019 => "data/finetune_data/medvqa_2019",
            Self::Melinda => "data/finetune_data/melinda",
            Self::Phantom => "datasets/phantom",
        })
    }
}

impl std::fmt::Display for SetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the validation split comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValChoice {
    /// A tenth of the training images, drawn by the seed, with everything that belongs to them.
    Split,
    /// A copy of the test split, as published numbers for VQA-RAD were made. Choosing a model on it is choosing it on
    /// the test.
    CopyTest,
    /// The one that the set has.
    Given,
}

/// Which splits' answers are classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VocabularyScope {
    /// Training answers only: what is asked of the test remains unknown until then.
    Train,
    /// All splits' answers, as in published numbers, in the order of the raw files: train, validation, test.
    #[default]
    All,
}

/// Which of SLAKE's questions are kept. The other sets have one language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English, as in published numbers.
    #[default]
    English,
    /// Chinese.
    Chinese,
    /// Both.
    All,
}

impl Language {
    /// Whether a question of this `q_lang` is kept.
    fn keeps(self, code: &str) -> bool {
        match self {
            Self::English => code == "en",
            Self::Chinese => code == "zh",
            Self::All => true,
        }
    }
}

/// How sets are prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct PrepareOptions {
    /// Where validation comes from; where `None`, the set's own, and a part of train where it has none.
    pub val: Option<ValChoice>,
    /// Which answers are classes.
    pub vocabulary: VocabularyScope,
    /// What random splits follow from. With the reference's seed, 42, MedICaT is split as it was for the published
    /// models, and retrieval is of the same images.
    pub seed: u64,
    /// Of SLAKE, the questions' language.
    pub language: Language,
    /// Threads that read images. Changes no file.
    pub workers: usize,
    /// The share of a split's records that may be missing or broken; what is more stops the preparation. Records that
    /// are left out by rule (too short, another language) do not count.
    pub max_broken_share: f64,
    /// Whether each image is decoded to see that it can be; else only its kind is told by its first bytes.
    pub decode_images: bool,
    /// Whether to wait while another process prepares into the same folder; else that is an error.
    pub wait: bool,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self {
            val: None,
            vocabulary: VocabularyScope::All,
            seed: 42,
            language: Language::English,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_broken_share: 0.0,
            decode_images: false,
            wait: false,
        }
    }
}

/// What a data set's files will hold, but for the images themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The set.
    pub set: SetName,
    /// The answers that are classes, for questions.
    pub vocabulary: Option<Vocabulary>,
    /// Each label column's classes, for MELINDA.
    pub label_names: BTreeMap<String, Vec<String>>,
    /// The files, in the order of writing.
    pub splits: Vec<SplitPlan>,
}

/// What one file will hold.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitPlan {
    /// The file's name, as the reference has it.
    pub file_name: String,
    /// `train`, `val` or `test`.
    pub split: String,
    /// What its rows are.
    pub kind: Kind,
    /// Its rows.
    pub rows: Vec<PlannedRow>,
    /// What was left out.
    pub dropped: Vec<Dropped>,
    /// Texts or questions that occur more than once with the same image (and answer). They are kept unless `dropped`
    /// names them.
    pub duplicates: usize,
    /// Answers outside the vocabulary: no model can give them.
    pub unknown_answers: usize,
    /// What each question of an image is about, by the image's name; empty where the set does not say.
    pub question_types: BTreeMap<String, Vec<String>>,
}

/// An image to be read, and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRow {
    /// The image file.
    pub image: PathBuf,
    /// The image's name in the file.
    pub image_id: String,
    /// What belongs to it.
    pub data: RowData,
}

/// A record that was left out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Dropped {
    /// The file, and the line or record in it.
    pub place: String,
    /// Why, in words that are the same for all records of a sort.
    pub reason: String,
    /// Whether something is missing or broken, rather than left out by rule.
    pub broken: bool,
}

/// Reads a set's annotations. An image file whose name differs from the annotations' in upper and lower case only is
/// found.
///
/// # Errors
/// When a file of the layout is missing or unreadable, or more records are broken than the options allow.
pub fn plan(set: SetName, raw: &Path, options: &PrepareOptions) -> Result<Vec<Plan>, PrepareError> {
    let mut plans = match set {
        SetName::Roco => vec![captions::roco(set, raw)?],
        SetName::IrtrRoco => vec![captions::retrieval(raw, options)?],
        SetName::Medicat => vec![medicat::plan(raw, options)?],
        SetName::Melinda => vec![melinda::plan(raw, options)?],
        SetName::VqaRad | SetName::Slake | SetName::VqaMed2019 => vec![questions::plan(set, raw, options)?],
        SetName::Phantom => {
            vec![captions::roco(set, &raw.join("roco"))?, questions::plan(set, &raw.join("vqa_rad"), options)?]
        }
    };
    for split in plans.iter_mut().flat_map(|plan| &mut plan.splits) {
        images::find(&mut split.rows);
        error::check_broken(set, &split.split, &split.dropped, split.rows.len() + split.dropped.len(), options)?;
    }
    Ok(plans)
}
