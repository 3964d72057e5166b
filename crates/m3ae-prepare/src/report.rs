//! What a preparation found.

use std::{collections::BTreeMap, fs, path::Path};

use m3ae_data::arrow::{Kind, RowData};
use serde::{Deserialize, Serialize};

use crate::{Dropped, Plan, PrepareError, SetName, SplitPlan};

/// The report's name in the folder of prepared files.
pub const REPORT_NAME: &str = "prepare-report.json";
/// A report of another version is not read: its files are prepared anew.
const VERSION: u32 = 1;
/// How many dropped records of each reason are named.
const EXAMPLES: usize = 5;

/// What a folder of prepared files holds, and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareReport {
    version: u32,
    /// By file name.
    pub files: BTreeMap<String, FileReport>,
    /// Images that two splits of a set have both.
    pub shared_images: Vec<SharedImages>,
}

impl Default for PrepareReport {
    fn default() -> Self {
        Self { version: VERSION, files: BTreeMap::new(), shared_images: Vec::new() }
    }
}

/// One prepared file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileReport {
    /// The set's name.
    pub set: String,
    /// The split.
    pub split: String,
    /// Images, which are rows.
    pub images: usize,
    /// Captions or questions.
    pub texts: usize,
    /// Classes of answers; 0 where there are none.
    pub labels: usize,
    /// Answers without a class, because the vocabulary is of train only.
    pub unknown_answers: usize,
    /// Words per text.
    pub lengths: Lengths,
    /// Repeated texts or questions of one image.
    pub duplicate_texts: usize,
    /// Images whose bytes an earlier row has too.
    pub duplicate_images: usize,
    /// How many records were left out, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Where some of them are, by reason.
    pub dropped_examples: BTreeMap<String, Vec<String>>,
    /// The file's length.
    pub bytes: u64,
    /// The file's SHA-256.
    pub sha256: String,
    /// A hash of everything that the file was made from. The same inputs are not prepared again.
    pub inputs: String,
}

/// How long texts are, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Lengths {
    pub min: usize,
    pub median: usize,
    pub p95: usize,
    pub max: usize,
    pub mean: f64,
}

impl Lengths {
    /// Of these texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<usize> = texts.into_iter().map(|text| text.split_whitespace().count()).collect();
        words.sort_unstable();
        let at =
            |share: f64| words.get(((words.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(0);
        let mean = words.iter().sum::<usize>() as f64 / words.len().max(1) as f64;
        Self { min: at(0.0), median: at(0.5), p95: at(0.95), max: at(1.0), mean: (mean * 100.0).round() / 100.0 }
    }
}

/// Images that are in two splits: what is learned of one is known of the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedImages {
    /// The set's name.
    pub set: String,
    /// The two files.
    pub files: [String; 2],
    /// How many images, by content.
    pub images: usize,
    /// Some of their names.
    pub examples: Vec<String>,
}

impl PrepareReport {
    /// The report in a folder; an empty one where there is none or it is of another version.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn load(folder: &Path) -> Result<Self, PrepareError> {
        let path = folder.join(REPORT_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(PrepareError::read(&path)(error)),
        };
        let report: Option<Self> = serde_json::from_slice(&bytes).ok();
        let report = report.filter(|report| report.version == VERSION);
        if report.is_none() {
            tracing::warn!(path = %path.display(), "not a report of this version: everything is prepared anew");
        }
        Ok(report.unwrap_or_default())
    }

    /// What it says of some sets only.
    #[must_use]
    pub fn of(mut self, sets: &[SetName]) -> Self {
        let is_of = |name: &str| sets.iter().any(|set| set.name() == name);
        self.files.retain(|_, file| is_of(&file.set));
        self.shared_images.retain(|shared| is_of(&shared.set));
        self
    }

    /// Writes the report into a folder, whole or not at all.
    ///
    /// # Errors
    /// When that fails.
    pub fn save(&self, folder: &Path) -> Result<(), PrepareError> {
        let path = folder.join(REPORT_NAME);
        let mut json =
            serde_json::to_vec_pretty(self).map_err(|error| PrepareError::format(&path, error.to_string()))?;
        json.push(b'\n');
        m3ae_files::write(&path, &json)?;
        Ok(())
    }
}

/// What a file's rows say of themselves; the rest is filled in when it is written.
pub(crate) fn describe<'a>(
    plan: &Plan,
    split: &SplitPlan,
    rows: impl Iterator<Item = &'a RowData> + Clone,
    dropped: &[Dropped],
) -> FileReport {
    let labels = plan.vocabulary.as_ref().map_or(0, |vocabulary| vocabulary.len())
        + plan.label_names.values().map(Vec::len).sum::<usize>();
    let texts = rows.clone().flat_map(texts);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut examples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for dropped in dropped {
        *counts.entry(dropped.reason.clone()).or_default() += 1;
        let examples = examples.entry(dropped.reason.clone()).or_default();
        if examples.len() < EXAMPLES {
            examples.push(dropped.place.clone());
        }
    }
    FileReport {
        set: plan.set.name().to_owned(),
        split: split.split.clone(),
        images: rows.count(),
        texts: texts.clone().count(),
        labels: if split.kind == Kind::Captions { 0 } else { labels },
        unknown_answers: split.unknown_answers,
        lengths: Lengths::of(texts),
        duplicate_texts: split.duplicates,
        duplicate_images: 0,
        dropped: counts,
        dropped_examples: examples,
        bytes: 0,
        sha256: String::new(),
        inputs: String::new(),
    }
}

fn texts(data: &RowData) -> impl Iterator<Item = &str> + Clone {
    let (RowData::Captions(texts)
    | RowData::Classes { captions: texts, .. }
    | RowData::Questions { questions: texts, .. }) = data;
    texts.iter().map(String::as_str)
}
