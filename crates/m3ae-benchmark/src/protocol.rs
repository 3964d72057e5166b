//! Whether a result is made as the published ones are.

use std::collections::HashSet;
use std::path::Path;

use m3ae_eval::Protocol;
use m3ae_prepare::SetName;

use crate::error::BenchmarkError;
use crate::names::{ProtocolName, Split};
use crate::questions::Questions;

/// A model that knows less than this share of a set's answers belongs to another set.
const KNOWN_SHARE: f64 = 0.5;

/// What was found out about protocol and vocabulary.
pub(crate) struct Findings {
    /// Where the answers come from.
    pub protocol: Protocol,
    /// Whether validation and test hold the same questions; true of the validation split itself.
    pub validation_equals_test: bool,
    /// Notes for the reader of the results.
    pub notes: Vec<String>,
}

/// Refuses prepared questions that contradict the protocol that was asked for.
pub(crate) fn check_data(data: &Questions, set: SetName, asked: Option<ProtocolName>) -> Result<(), BenchmarkError> {
    let Some(asked) = asked else { return Ok(()) };
    let refuse = |found: String| {
        let folder = data.path.parent().unwrap_or(Path::new(".")).to_owned();
        Err(BenchmarkError::OtherData { set, asked, folder, found })
    };
    let outside = data.outside_train();
    match (asked, outside) {
        (ProtocolName::Clean, Some(answers @ 1..)) => {
            return refuse(format!("{answers} of the answers that are classes occur in no training question"));
        }
        (ProtocolName::Published, _) if data.unlabelled > 0 => {
            return refuse(format!(
                "{} questions have an answer that is no class, so that classes are of train alone",
                data.unlabelled
            ));
        }
        _ => {}
    }
    match (asked, data.validation_equals_test) {
        (ProtocolName::Clean, Some(true)) => refuse("validation is a copy of test".to_owned()),
        (ProtocolName::Published, Some(false)) if set == SetName::VqaRad => {
            refuse("validation is not a copy of test".to_owned())
        }
        _ => Ok(()),
    }
}

/// Compares the model's answers with the set's, and both with what was asked for.
pub(crate) fn find(
    answers: &[String],
    data: &Questions,
    split: Split,
    asked: Option<ProtocolName>,
) -> Result<Findings, BenchmarkError> {
    let mut notes = Vec::new();
    let known = data.vocabulary.answers();
    if answers != known {
        let own: HashSet<&String> = answers.iter().collect();
        let shared = known.iter().filter(|answer| own.contains(answer)).count();
        if (shared as f64) < KNOWN_SHARE * known.len() as f64 {
            return Err(BenchmarkError::OtherSet {
                model: answers.len(),
                shared,
                known: known.len(),
                path: data.path.clone(),
            });
        }
        notes.push(format!(
            "The model has {} answers and the prepared set {}; {shared} are the same. Answers are matched by their words.",
            answers.len(),
            known.len()
        ));
    }
    let protocol = of_model(answers, data, asked, &mut notes)?;
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
        (Split::Val, _) => true,
        (Split::Train, _) => false,
    };
    Ok(Findings { protocol, validation_equals_test, notes })
}

/// Which protocol the model's answers are of. Refuses a model of another than was asked for.
fn of_model(
    answers: &[String],
    data: &Questions,
    asked: Option<ProtocolName>,
    notes: &mut Vec<String>,
) -> Result<Protocol, BenchmarkError> {
    let Some(trained) = data.training_answers() else {
        notes
            .push("The training questions are not here: whether the vocabulary is of train alone is not known.".into());
        return Ok(Protocol::Published);
    };
    let others = answers.iter().filter(|answer| !trained.contains(answer)).count();
    if others > 0 {
        if asked == Some(ProtocolName::Clean) {
            return Err(BenchmarkError::OtherModel {
                asked: ProtocolName::Clean,
                found: format!(
                    "{others} of the model's {} answers occur in no training question, so it was trained with answers of all \
                     splits, as published",
                    answers.len()
                ),
            });
        }
        notes.push(format!(
            "{others} of the model's {} answers occur in no training question: its vocabulary is of all splits, as published.",
            answers.len()
        ));
        return Ok(Protocol::Published);
    }
    let own: HashSet<&String> = answers.iter().collect();
    let lacking = data.all_answers().filter(|answer| !own.contains(answer)).collect::<HashSet<_>>().len();
    match asked {
        Some(ProtocolName::Published) if lacking > 0 => Err(BenchmarkError::OtherModel {
            asked: ProtocolName::Published,
            found: format!(
                "the model's {} answers all occur in the training questions, and it lacks {lacking} answers of the other \
                 splits, so it was trained with answers of train alone",
                answers.len()
            ),
        }),
        // Where validation and test have no answer of their own, both protocols have the same vocabulary.
        Some(asked) => Ok(asked.into()),
        None => Ok(Protocol::Clean),
    }
}

fn unknown(answers: &[String], data: &Questions) -> usize {
    let own: HashSet<&String> = answers.iter().collect();
    data.questions.iter().filter(|question| !question.answers.iter().any(|answer| own.contains(answer))).count()
}

#[cfg(test)]
mod tests {
    use m3ae_data::{CaptionSample, Question, QuestionSet};
    use m3ae_text::Vocabulary;

    use super::*;

    /// A set whose training questions have these answers, and whose test questions those.
    fn data(train: &[&str], test: &[&str], with_train: bool) -> Questions {
        let set = |answers: &[&str]| QuestionSet {
            path: "arrows/x.arrow".into(),
            questions: answers.iter().map(|answer| question(answer)).collect(),
            vocabulary: None,
        };
        Questions {
            path: "arrows/x.arrow".into(),
            questions: set(test).questions,
            vocabulary: Vocabulary::from_answers(train.iter().chain(test)),
            validation_equals_test: Some(false),
            unlabelled: 0,
            splits: [with_train.then(|| set(train)), None, Some(set(test))],
        }
    }

    fn question(answer: &str) -> Question {
        Question {
            sample: CaptionSample { id: String::new(), image: "x".into(), caption: "?".into() },
            image_id: "x".into(),
            question_id: 0,
            answers: vec![answer.to_owned()],
            targets: vec![(0, 1.0)],
            closed: false,
            question_type: None,
        }
    }

    fn find_of(answers: &[&str], data: &Questions, asked: Option<ProtocolName>) -> Result<Findings, BenchmarkError> {
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        find(&answers, data, Split::Test, asked)
    }

    #[test]
    fn a_model_of_the_other_protocol_is_refused() {
        use ProtocolName::{Clean, Published};
        let set = data(&["yes", "no"], &["yes", "zebra"], true);
        let (all, train) = (["yes", "no", "zebra"], ["yes", "no"]);
        let refused =
            |answers: &[&str], asked| find_of(answers, &set, Some(asked)).map(|_| ()).unwrap_err().to_string();
        assert!(refused(&all, Clean).contains("1 of the model's 3 answers occur in no training question"));
        assert!(refused(&train, Published).contains("it lacks 1 answers of the other splits"));
        for (answers, asked, protocol) in [
            (&all[..], Some(Published), Protocol::Published),
            (&all, None, Protocol::Published),
            (&train, Some(Clean), Protocol::Clean),
            (&train, None, Protocol::Clean),
        ] {
            assert_eq!(find_of(answers, &set, asked).unwrap().protocol, protocol, "{answers:?} {asked:?}");
        }
        assert!(find_of(&["heart"], &set, None).map(|_| ()).unwrap_err().to_string().contains("another data set"));
    }

    #[test]
    fn where_both_protocols_have_the_same_answers_either_may_be_asked_for() {
        let set = data(&["yes", "no"], &["yes"], true);
        for asked in [ProtocolName::Clean, ProtocolName::Published] {
            assert_eq!(find_of(&["yes", "no"], &set, Some(asked)).unwrap().protocol, asked.into());
            check_data(&set, SetName::Slake, Some(asked)).unwrap();
        }
    }

    #[test]
    fn without_training_questions_nothing_is_claimed() {
        let set = data(&["yes", "no"], &["zebra"], false);
        let found = find_of(&["yes", "no", "zebra"], &set, Some(ProtocolName::Clean)).unwrap();
        assert!(found.notes[0].contains("is not known"), "{:?}", found.notes);
    }
}
