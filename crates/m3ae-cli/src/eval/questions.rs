//! The questions of a benchmark, prepared if they are not yet.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use m3ae_data::prepare::SetName;
use m3ae_data::{Question, QuestionSet, read_questions_arrow, shared_vocabulary};
use m3ae_text::Vocabulary;

use super::{Places, ProtocolName, Split, prepared_file};

/// A benchmark's prepared questions.
pub struct Questions {
    /// The file that is scored.
    pub path: PathBuf,
    /// What is scored, in the file's order.
    pub questions: Vec<Question>,
    /// The answers that are classes.
    pub vocabulary: Vocabulary,
    /// The training questions, where their file is there.
    pub train: Option<QuestionSet>,
    /// Whether validation and test hold the same questions, where both files are there.
    pub validation_equals_test: Option<bool>,
}

/// Reads the questions of a split; prepares the set first where only its raw folder is there.
pub fn open(set: SetName, split: Split, protocol: Option<ProtocolName>, places: &Places) -> Result<Questions> {
    let path = prepared_file(set, split, protocol, places)?;
    let file = |split: &str| path.with_file_name(format!("{}_{split}.arrow", set.file_stem()));
    let read = |split: &str| -> Result<Option<QuestionSet>> {
        let path = file(split);
        Ok(if path.is_file() { Some(read_questions_arrow(&path)?) } else { None })
    };
    let [train, val, test] = [read("train")?, read("val")?, read("test")?];
    let sets: Vec<&QuestionSet> = [&train, &val, &test].into_iter().flatten().collect();
    let vocabulary = shared_vocabulary(&sets)?;
    let validation_equals_test = match (&val, &test) {
        (Some(val), Some(test)) => Some(same_questions(val, test)),
        _ => None,
    };
    let chosen = match split {
        Split::Train => train.clone(),
        Split::Val => val,
        Split::Test => test,
    };
    let questions = chosen.map(|set| set.questions).unwrap_or_default();
    if questions.is_empty() {
        bail!("{} holds no questions", path.display());
    }
    Ok(Questions { path, questions, vocabulary, train, validation_equals_test })
}

fn same_questions(a: &QuestionSet, b: &QuestionSet) -> bool {
    let keys = |set: &QuestionSet| {
        let key = |question: &Question| {
            (question.image_id.clone(), question.sample.caption.clone(), question.answers.clone())
        };
        let mut keys: Vec<_> = set.questions.iter().map(key).collect();
        keys.sort_unstable();
        keys
    };
    keys(a) == keys(b)
}

/// The Arrow file of a question, for messages.
pub fn place(question: &Question) -> String {
    let file = question.sample.image.parent().unwrap_or(Path::new(""));
    format!("{}, image {}", file.display(), question.image_id)
}
