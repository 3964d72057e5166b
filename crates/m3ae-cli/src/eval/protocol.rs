//! Whether a result is made as the published ones are.

use std::collections::HashSet;

use anyhow::{Result, bail};
use m3ae_eval::Protocol;

use super::questions::Questions;
use super::{ProtocolName, Split};

/// A model that knows less than this share of a set's answers belongs to another set.
const KNOWN_SHARE: f64 = 0.5;

/// What was found out about protocol and vocabulary.
pub struct Findings {
    /// Where the answers come from.
    pub protocol: Protocol,
    /// Whether the checkpoint was (or may have been) chosen on what is scored.
    pub validation_equals_test: bool,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// Compares the model's answers with the set's, and both with what was asked for.
pub fn find(answers: &[String], data: &Questions, split: Split, asked: Option<ProtocolName>) -> Result<Findings> {
    let mut notes = Vec::new();
    let known = data.vocabulary.answers();
    if answers != known {
        let own: HashSet<&String> = answers.iter().collect();
        let shared = known.iter().filter(|answer| own.contains(answer)).count();
        if (shared as f64) < KNOWN_SHARE * known.len() as f64 {
            bail!(
                "the model answers with {} words of which {shared} are among the {} of {}: it was trained on another data set",
                answers.len(),
                known.len(),
                data.path.display()
            );
        }
        notes.push(format!(
            "The model's {} answers are not the prepared set's {}, of which it knows {shared}: answers are matched by their words.",
            answers.len(),
            known.len()
        ));
    }
    let protocol = match &data.train {
        Some(train) => {
            let trained: HashSet<&String> = train.questions.iter().flat_map(|question| &question.answers).collect();
            match answers.iter().filter(|answer| !trained.contains(answer)).count() {
                0 => Protocol::Clean,
                others => {
                    notes.push(format!(
                        "{others} of the model's {} answers occur in no training question: its vocabulary is of all splits, as published.",
                        answers.len()
                    ));
                    Protocol::Published
                }
            }
        }
        None => {
            notes.push(
                "The training questions are not here: whether the vocabulary is of train alone is not known.".into(),
            );
            Protocol::Published
        }
    };
    if let Some(asked) = asked.map(Protocol::from)
        && asked != protocol
    {
        let why = match protocol {
            Protocol::Published => "its answers include some that occur in no training question",
            Protocol::Clean => "its answers all occur in the training questions, as far as this set tells",
        };
        notes.push(format!("--protocol asked for another vocabulary than the model was trained with: {why}."));
    }
    let unknown = unknown(answers, data);
    if unknown > 0 {
        notes.push(format!("{unknown} questions have no right answer among the model's: they count as wrong."));
    }
    let validation_equals_test = match (split, data.validation_equals_test) {
        (Split::Test, Some(same)) => same,
        (Split::Test, None) => {
            notes.push(
                "There is no file of both validation and test here: whether they are the same is not known.".into(),
            );
            false
        }
        (Split::Val, _) => {
            notes.push("This is the validation split: fine-tuning chooses its checkpoint on it.".into());
            true
        }
        (Split::Train, _) => {
            notes.push("This is the training split: the model has seen these questions with their answers.".into());
            false
        }
    };
    Ok(Findings { protocol, validation_equals_test, notes })
}

fn unknown(answers: &[String], data: &Questions) -> usize {
    let own: HashSet<&String> = answers.iter().collect();
    data.questions.iter().filter(|question| !question.answers.iter().any(|answer| own.contains(answer))).count()
}
