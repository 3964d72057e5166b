//! The questions of a benchmark, prepared if they are not yet.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use m3ae_data::prepare::{PrepareOptions, SetName, ValChoice, VocabularyScope};
use m3ae_data::{Question, QuestionSet, read_questions_arrow, shared_vocabulary};
use m3ae_text::Vocabulary;

use super::{Places, ProtocolName, Split};
use crate::prepared::prepare_absent;

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
    let Places { prepared, raw, .. } = places;
    prepare_absent(set, raw, prepared, split.name(), &options(set, protocol))?;
    let file = |split: &str| prepared.join(format!("{}_{split}.arrow", set.file_stem()));
    let path = file(split.name());
    if !path.is_file() {
        let advice = match set {
            SetName::Phantom => "`m3ae prepare phantom` makes it",
            _ => {
                "datasets/README.md says where it comes from; name its folder with --raw, or that of prepared files with --prepared"
            }
        };
        bail!("{} is missing, and so is the raw set in {}: {advice}", path.display(), raw.display());
    }
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

/// How a protocol prepares a set.
fn options(set: SetName, protocol: Option<ProtocolName>) -> PrepareOptions {
    let (vocabulary, val) = match protocol {
        Some(ProtocolName::Clean) => (VocabularyScope::Train, Some(ValChoice::Split)),
        // Of the published sets, VQA-RAD alone has no validation split.
        Some(ProtocolName::Published) if set == SetName::VqaRad => (VocabularyScope::All, Some(ValChoice::CopyTest)),
        Some(ProtocolName::Published) => (VocabularyScope::All, None),
        // As `m3ae finetune` prepares it.
        None => (VocabularyScope::All, None),
    };
    PrepareOptions { vocabulary, val, ..PrepareOptions::default() }
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
