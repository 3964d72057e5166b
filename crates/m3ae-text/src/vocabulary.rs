//! The classes of a question-answering data set.

use std::collections::HashMap;

use crate::normalize::normalize_answer;

/// Answers in normal spelling, numbered by first appearance. The number is the class that a model predicts, so a
/// vocabulary belongs to a checkpoint as much as its weights do.
///
/// ```
/// use m3ae_text::Vocabulary;
///
/// let vocabulary = Vocabulary::from_answers(["Yes", "no", "yes."]);
/// assert_eq!(vocabulary.len(), 2);
/// assert_eq!(vocabulary.label("YES"), Some(0));
/// assert_eq!(vocabulary.answer(1), Some("no"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    answers: Vec<String>,
    labels: HashMap<String, usize>,
}

/// A stored vocabulary is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    /// Not a JSON array of strings.
    #[error("a vocabulary is a JSON array of strings: {0}")]
    Json(String),
    /// Two classes are one answer.
    #[error("answer {answer:?} stands twice in the vocabulary, as class {first} and as class {second}")]
    Duplicate {
        /// The answer.
        answer: String,
        /// Its first class.
        first: usize,
        /// Its second one.
        second: usize,
    },
}

impl Vocabulary {
    /// The vocabulary of these answers, each normalised, in the order of their first appearance. An answer of which
    /// nothing remains is a class too (the empty string): it occurs in published sets.
    pub fn from_answers<S: AsRef<str>>(answers: impl IntoIterator<Item = S>) -> Self {
        let mut vocabulary = Self::default();
        answers.into_iter().for_each(|answer| {
            vocabulary.insert(answer.as_ref());
        });
        vocabulary
    }

    /// The class of an answer, which gets the next number where it is new.
    pub fn insert(&mut self, answer: &str) -> usize {
        let answer = normalize_answer(answer);
        if let Some(&label) = self.labels.get(&answer) {
            return label;
        }
        let label = self.answers.len();
        self.answers.push(answer.clone());
        self.labels.insert(answer, label);
        label
    }

    /// The class of an answer (normalised here); `None` where it has none.
    #[must_use]
    pub fn label(&self, answer: &str) -> Option<usize> {
        self.labels.get(&normalize_answer(answer)).copied()
    }

    /// The answer of a class.
    #[must_use]
    pub fn answer(&self, label: usize) -> Option<&str> {
        self.answers.get(label).map(String::as_str)
    }

    /// All answers; an answer's place is its class.
    #[must_use]
    pub fn answers(&self) -> &[String] {
        &self.answers
    }

    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The answers as a JSON array, for a file's metadata or a checkpoint.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!(self.answers).to_string()
    }

    /// The vocabulary that [`to_json`](Self::to_json) wrote. Answers are taken as they stand.
    ///
    /// # Errors
    /// When it is no JSON array of strings, or an answer stands twice.
    pub fn from_json(json: &str) -> Result<Self, VocabularyError> {
        let answers: Vec<String> =
            serde_json::from_str(json).map_err(|error| VocabularyError::Json(error.to_string()))?;
        let mut labels = HashMap::with_capacity(answers.len());
        for (second, answer) in answers.iter().enumerate() {
            if let Some(first) = labels.insert(answer.clone(), second) {
                return Err(VocabularyError::Duplicate { answer: answer.clone(), first, second });
            }
        }
        Ok(Self { answers, labels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_by_first_appearance() {
        let vocabulary = Vocabulary::from_answers(["Two", "the X-ray", "2", "x ray", "", "an"]);
        assert_eq!(vocabulary.answers(), ["2", "x ray", ""]);
        assert_eq!([vocabulary.label("two."), vocabulary.label("a"), vocabulary.label("ct")], [Some(0), Some(2), None]);
        assert_eq!((vocabulary.answer(1), vocabulary.answer(3)), (Some("x ray"), None));
    }

    #[test]
    fn a_stored_vocabulary_comes_back() {
        let vocabulary = Vocabulary::from_answers(["\"quoted\" 中部", "", "c"]);
        assert_eq!(Vocabulary::from_json(&vocabulary.to_json()), Ok(vocabulary));
    }

    #[test]
    fn a_stored_vocabulary_that_is_none_is_refused() {
        assert!(matches!(Vocabulary::from_json("[1]"), Err(VocabularyError::Json(_))));
        assert_eq!(
            Vocabulary::from_json(r#"["a", "b", "a"]"#),
            Err(VocabularyError::Duplicate { answer: "a".into(), first: 0, second: 2 })
        );
    }
}
