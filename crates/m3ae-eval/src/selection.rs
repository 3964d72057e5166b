//! How the checkpoint was chosen, and what that means for the scores.

use crate::record::{ChosenOn, Evaluation};

/// A sentence on how the checkpoint was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionNote {
    /// Whether the scores are, or may be, too high because of that.
    pub warning: bool,
    /// The text.
    pub text: String,
}

/// A note on how the checkpoint was chosen and what that means for the scores of a test split. `None` for other splits,
/// and if validation and test were not compared.
#[must_use]
pub fn selection_note(evaluation: &Evaluation) -> Option<SelectionNote> {
    if evaluation.split != "test" || !(evaluation.validation_compared || evaluation.validation_equals_test) {
        return None;
    }
    let published = match evaluation.benchmark.as_str() {
        "vqa-rad" => " The published checkpoints were chosen on test.",
        _ => "",
    };
    let (warning, text) = match (evaluation.chosen_on, evaluation.validation_equals_test) {
        (ChosenOn::ScoredItems, _) => (
            true,
            "Validation equals test: the checkpoint was chosen on the items that are scored here, so the scores are too \
             high by an unknown amount."
                .to_owned(),
        ),
        (ChosenOn::OtherItems, _) => (
            false,
            "Validation and test are different items: the checkpoint was not chosen on what is scored here.".to_owned(),
        ),
        (ChosenOn::Unknown, equal) => {
            let files = match equal {
                true => "Validation equals test in the prepared files.",
                false => "Validation and test are different items in the prepared files.",
            };
            let text = format!(
                "{files} It is unknown how this checkpoint was chosen.{published} If it was chosen on test, the scores \
                 are too high."
            );
            (true, text)
        }
    };
    Some(SelectionNote { warning, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::evaluation;

    #[test]
    fn a_checkpoint_that_does_not_say_how_it_was_chosen_is_never_cleared() {
        let mut evaluation = evaluation();
        let note = |evaluation: &Evaluation| selection_note(evaluation).unwrap();
        for equal in [false, true] {
            (evaluation.chosen_on, evaluation.validation_equals_test) = (ChosenOn::Unknown, equal);
            let note = note(&evaluation);
            assert!(note.warning && note.text.contains("It is unknown how this checkpoint was chosen"), "{note:?}");
            assert!(note.text.contains("The published checkpoints were chosen on test"), "{note:?}");
            assert!(!note.text.contains("was not chosen"), "{note:?}");
        }
        evaluation.chosen_on = ChosenOn::OtherItems;
        assert!(!note(&evaluation).warning && note(&evaluation).text.contains("was not chosen"));
        evaluation.chosen_on = ChosenOn::ScoredItems;
        assert!(note(&evaluation).warning && note(&evaluation).text.contains("was chosen on the items"));
        evaluation.split = "val".into();
        assert_eq!(selection_note(&evaluation), None);
    }
}
