//! Confusion matrices.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::vqa::Prediction;

/// The name of the row and column for all other answers.
const OTHER: &str = "other";

/// Counts of truth (rows) against prediction (columns).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Names of rows and columns.
    pub labels: Vec<String>,
    /// `[labels][labels]`, truth by prediction.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Of class numbers below `labels.len()`, given as (truth, prediction).
    pub(crate) fn of_classes(labels: Vec<String>, pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![vec![0; labels.len()]; labels.len()];
        for (truth, predicted) in pairs {
            counts[truth][predicted] += 1;
        }
        Self { labels, counts }
    }

    /// Of the `most` most frequent true answers; all others share the last row and column. A question with several
    /// correct answers counts for the predicted one if that is correct, else for the first. Questions without a true or
    /// a predicted answer are left out.
    #[must_use]
    pub fn of_answers(predictions: &[Prediction], most: usize) -> Self {
        let pairs: Vec<(&str, &str)> = predictions.iter().filter_map(truth_and_answer).collect();
        let mut frequency: HashMap<&str, usize> = HashMap::new();
        for (truth, _) in &pairs {
            *frequency.entry(truth).or_default() += 1;
        }
        let mut frequent: Vec<(&str, usize)> = frequency.into_iter().collect();
        frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        frequent.truncate(most);
        let number: HashMap<&str, usize> = frequent.iter().enumerate().map(|(i, (answer, _))| (*answer, i)).collect();
        let other = frequent.len();
        let of = |answer: &str| number.get(answer).copied().unwrap_or(other);
        let labels = frequent.iter().map(|(answer, _)| *answer).chain([OTHER]).map(str::to_owned).collect();
        Self::of_classes(labels, pairs.iter().map(|(truth, given)| (of(truth), of(given))))
    }

    /// The number of items.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }
}

/// The true answer that a prediction counts for, and the predicted one.
fn truth_and_answer(prediction: &Prediction) -> Option<(&str, &str)> {
    let given = prediction.answer()?;
    let mut right = prediction.answers.iter();
    let truth = if prediction.hit() && right.clone().any(|answer| answer == given) { given } else { right.next()? };
    Some((truth, given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqa::tests::predictions;

    fn list(pairs: &[(&[&str], &str, f64)]) -> Vec<Prediction> {
        let mut list = predictions(pairs.len());
        for (prediction, (answers, given, score)) in list.iter_mut().zip(pairs) {
            prediction.answers = answers.iter().map(|&answer| answer.to_owned()).collect();
            prediction.top[0].0 = (*given).to_owned();
            prediction.score = *score;
        }
        list
    }

    #[test]
    fn frequent_answers_have_rows_and_the_rest_shares_one() {
        let yes: &[&str] = &["yes"];
        let list = list(&[
            (yes, "yes", 1.0),
            (yes, "no", 0.0),
            (&["no"], "no", 1.0),
            (&["liver"], "lung", 0.0),
            (yes, "liver", 0.0),
        ]);
        let confusion = Confusion::of_answers(&list, 2);
        // "liver" and "no" are equally frequent: the order of names decides.
        assert_eq!(confusion.labels, ["yes", "liver", "other"]);
        assert_eq!(confusion.counts, [[1, 1, 1], [0, 0, 1], [0, 0, 1]]);
        assert_eq!(confusion.total(), 5);
    }

    #[test]
    fn of_several_right_answers_the_given_one_counts() {
        let list = list(&[(&["ct", "head ct"], "head ct", 1.0), (&["ct", "head ct"], "mri", 0.0), (&[], "ct", 0.0)]);
        let confusion = Confusion::of_answers(&list, 5);
        assert_eq!(confusion.labels, ["ct", "head ct", "other"]);
        assert_eq!(confusion.counts, [[0, 0, 1], [0, 1, 0], [0, 0, 0]]);
    }
}
