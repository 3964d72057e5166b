//! The questions of a benchmark, prepared if they are not yet.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use m3ae_data::{Question, QuestionSet, read_questions_arrow, shared_vocabulary};
use m3ae_text::Vocabulary;

use crate::error::BenchmarkError;
use crate::event::Observer;
use crate::job::Job;
use crate::names::Split;
use crate::prepared::prepared_path;

/// A benchmark's prepared questions.
pub(crate) struct Questions {
    /// The file that is scored.
    pub path: PathBuf,
    /// The questions that are scored, in the file's order.
    pub questions: Vec<Question>,
    /// The answers that are classes.
    pub vocabulary: Vocabulary,
    /// Whether validation and test hold the same questions, where both files are there.
    pub validation_equals_test: Option<bool>,
    /// Questions of any split with an answer that is no class.
    pub unlabelled: usize,
    /// Train, validation and test; `None` where the file is missing.
    pub splits: [Option<QuestionSet>; 3],
}

/// Reads the questions of a split; prepares the set first where only its raw folder is there.
pub(crate) fn open(job: &Job, observer: Observer<'_>) -> Result<Questions, BenchmarkError> {
    let path = job.prepared_file(job.split, observer)?;
    let read = |split: Split| -> Result<Option<QuestionSet>, BenchmarkError> {
        let path = prepared_path(&job.prepared, job.benchmark.set(), split);
        Ok(if path.is_file() { Some(read_questions_arrow(&path)?) } else { None })
    };
    let splits = [read(Split::Train)?, read(Split::Val)?, read(Split::Test)?];
    let sets: Vec<&QuestionSet> = splits.iter().flatten().collect();
    let vocabulary = shared_vocabulary(&sets)?;
    let all = sets.iter().flat_map(|set| &set.questions);
    let unlabelled = all.filter(|question| question.targets.len() < question.answers.len()).count();
    let [train, val, test] = &splits;
    let validation_equals_test = match (val, test) {
        (Some(val), Some(test)) => Some(same_questions(val, test)),
        _ => None,
    };
    let chosen = match job.split {
        Split::Train => train,
        Split::Val => val,
        Split::Test => test,
    };
    let questions = chosen.as_ref().map(|set| set.questions.clone()).unwrap_or_default();
    if questions.is_empty() {
        return Err(BenchmarkError::Empty { path, problem: "there are no questions" });
    }
    Ok(Questions { path, questions, vocabulary, validation_equals_test, unlabelled, splits })
}

impl Questions {
    /// Every answer of the training questions, where their file is there.
    pub fn training_answers(&self) -> Option<HashSet<&String>> {
        let train = self.splits[0].as_ref()?;
        Some(train.questions.iter().flat_map(|question| &question.answers).collect())
    }

    /// Every answer of all splits.
    pub fn all_answers(&self) -> impl Iterator<Item = &String> {
        self.splits.iter().flatten().flat_map(|set| &set.questions).flat_map(|question| &question.answers)
    }

    /// How many of the answers that are classes occur in no training question, where these are there.
    pub fn outside_train(&self) -> Option<usize> {
        let trained = self.training_answers()?;
        Some(self.vocabulary.answers().iter().filter(|answer| !trained.contains(answer)).count())
    }
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
pub(crate) fn place(question: &Question) -> String {
    let file = question.sample.image.parent().unwrap_or(Path::new(""));
    format!("{}, image {}", file.display(), question.image_id)
}
