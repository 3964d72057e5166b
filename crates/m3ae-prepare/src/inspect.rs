//! What a prepared file holds, for people: counts, and pictures with their texts.

mod sheet;

pub use sheet::{SheetOptions, contact_sheet};

use std::{
    collections::BTreeMap,
    fmt::{Display, Formatter},
    path::{Path, PathBuf},
};

use m3ae_data::{
    DataError,
    arrow::{ArrowFile, Kind, LABEL_COLUMNS},
};

use crate::report::Lengths;

/// How many of the most frequent labels are shown.
const SHOWN: usize = 15;

/// A file's content in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// What its rows are.
    pub kind: Kind,
    /// Columns and their types.
    pub schema: Vec<(String, String)>,
    /// How many batches the rows are stored in.
    pub batches: usize,
    /// Images, which are rows.
    pub images: usize,
    /// Captions or questions.
    pub texts: usize,
    /// Words per text.
    pub lengths: Lengths,
    /// The encoded images' length, in bytes.
    pub image_bytes: u64,
    /// Splits and how many rows say so: one, in a file that is right.
    pub splits: BTreeMap<String, usize>,
    /// How often each label occurs, most frequent first: one table for answers, four for classes.
    pub labels: BTreeMap<String, Vec<(String, usize)>>,
    /// Questions with a closed and with an open answer.
    pub closed_open: (usize, usize),
}

/// Reads a whole file.
///
/// # Errors
/// When it cannot be read, or any value in it is damaged.
pub fn inspect(path: &Path) -> Result<Inspection, DataError> {
    let file = ArrowFile::open(path)?;
    let (vocabulary, names) = (file.vocabulary()?, file.label_names()?.unwrap_or_default());
    let (mut words, mut image_bytes) = (Vec::new(), 0);
    let mut splits: BTreeMap<String, usize> = BTreeMap::new();
    let mut labels: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut closed_open = (0, 0);
    let mut count = |table: &str, label: String| {
        *labels.entry(table.to_owned()).or_default().entry(label).or_default() += 1;
    };
    for number in 0..file.len() {
        image_bytes += file.image(number)?.len() as u64;
        let (texts, split) = match file.kind() {
            Kind::Captions => {
                let row = file.captions(number)?;
                (row.captions, row.split)
            }
            Kind::Questions => {
                let row = file.questions(number)?;
                for (labels, answers) in row.answer_labels.iter().zip(&row.answers) {
                    for (place, label) in labels.iter().enumerate() {
                        let known = usize::try_from(*label).ok().and_then(|label| vocabulary.as_ref()?.answer(label));
                        // The reference's files have no vocabulary, but each label's answer beside it.
                        let answer = known.or_else(|| answers.get(place).copied());
                        count("answers", answer.map_or_else(|| label.to_string(), str::to_owned));
                    }
                }
                let closed = row.answer_types.iter().filter(|&&of| of == 0).count();
                closed_open = (closed_open.0 + closed, closed_open.1 + row.answer_types.len() - closed);
                (row.questions, row.split)
            }
            Kind::Classes => {
                let row = file.classes(number)?;
                for (column, labels) in LABEL_COLUMNS.into_iter().zip(&row.labels) {
                    for label in labels {
                        let name = usize::try_from(*label).ok().and_then(|label| names.get(column)?.get(label));
                        count(column, name.cloned().unwrap_or_else(|| label.to_string()));
                    }
                }
                (row.captions, row.split)
            }
        };
        *splits.entry(split.to_owned()).or_default() += 1;
        words.extend(texts);
    }
    let labels = labels.into_iter().map(|(table, counts)| {
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        (table, counts)
    });
    Ok(Inspection {
        path: path.to_owned(),
        kind: file.kind(),
        schema: file.schema().map(|(name, of)| (name.to_owned(), of)).collect(),
        batches: file.batches(),
        images: file.len(),
        texts: words.len(),
        lengths: Lengths::of(words),
        image_bytes,
        splits,
        labels: labels.collect(),
        closed_open,
    })
}

impl Display for Inspection {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.path.display(), self.kind)?;
        for (name, of) in &self.schema {
            writeln!(f, "  {name}: {of}")?;
        }
        let Lengths { min, median, p95, max, mean } = self.lengths;
        writeln!(f, "{} images ({:.1} MB) in {} batches", self.images, self.image_bytes as f64 / 1e6, self.batches)?;
        writeln!(f, "{} texts; words: min {min}, median {median}, 95 % {p95}, max {max}, mean {mean}", self.texts)?;
        for (split, rows) in &self.splits {
            writeln!(f, "split {split}: {rows} rows")?;
        }
        if self.kind == Kind::Questions {
            writeln!(f, "{} closed questions, {} open ones", self.closed_open.0, self.closed_open.1)?;
        }
        for (table, counts) in &self.labels {
            writeln!(f, "{table}: {} labels occur", counts.len())?;
            let longest = counts.first().map_or(1, |(_, count)| *count).max(1);
            for (label, count) in counts.iter().take(SHOWN) {
                writeln!(f, "  {count:>6} {:30} {label}", "#".repeat((count * 30).div_ceil(longest)))?;
            }
            if counts.len() > SHOWN {
                writeln!(f, "  and {} more", counts.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}
