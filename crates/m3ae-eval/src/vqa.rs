//! Question answering.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Clusters, Estimate};
use crate::error::EvalError;

/// Whether a question names its possible answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerType {
    /// The question names its possible answers: yes or no, this or that.
    Closed,
    /// It does not.
    Open,
}

/// The model's answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The question's id, unique in the data set.
    pub question_id: i64,
    /// The image's id.
    pub image_id: String,
    /// The question.
    pub question: String,
    /// The correct answers, as the vocabulary spells them; several if annotators differed.
    pub answers: Vec<String>,
    /// Whether the question is closed or open.
    pub answer_type: AnswerType,
    /// The question's type, if the data set has types; several are separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question_type: Option<String>,
    /// The most probable answers with their probabilities, best first; the first is the model's answer.
    pub top: Vec<(String, f64)>,
    /// The score of the model's answer, in `0..=1`; 0 for an incorrect one.
    pub score: f64,
}

impl Prediction {
    /// Whether the model's answer has the full score.
    #[must_use]
    pub fn hit(&self) -> bool {
        self.score >= 1.0
    }

    /// The types of the question.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.question_type.iter().flat_map(|types| types.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    /// The model's answer.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        self.top.first().map(|(answer, _)| answer.as_str())
    }

    /// The probability of the model's answer.
    #[must_use]
    pub fn confidence(&self) -> Option<f64> {
        self.top.first().map(|(_, probability)| *probability)
    }
}

/// The score of a group of questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// `overall`, `closed`, `open`, or a question type.
    pub name: String,
    /// The number of questions answered with the full score.
    pub hits: usize,
    /// Mean score, in `0..=1`.
    pub score: Estimate,
}

/// Scores of question answering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqaScores {
    /// All questions.
    pub overall: GroupScore,
    /// Closed questions, if there are any.
    pub closed: Option<GroupScore>,
    /// Open questions, if there are any.
    pub open: Option<GroupScore>,
    /// By question type, sorted by name; empty if the data set has no types. A question of several types counts in
    /// each.
    pub by_type: Vec<GroupScore>,
}

impl VqaScores {
    /// All groups, the overall one first.
    pub fn groups(&self) -> impl Iterator<Item = &GroupScore> {
        [Some(&self.overall), self.closed.as_ref(), self.open.as_ref()].into_iter().flatten().chain(&self.by_type)
    }
}

/// Scores predictions: the mean of their scores, overall and by group.
///
/// # Errors
/// There are no predictions, two have the same question id, or one has a score or probability out of range.
pub fn vqa_scores(predictions: &[Prediction], bootstrap: &Bootstrap) -> Result<VqaScores, EvalError> {
    bootstrap.check()?;
    check(predictions)?;
    let of_type = |answer_type| predictions.iter().filter(move |prediction| prediction.answer_type == answer_type);
    let mut types: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
    for prediction in predictions {
        // A type that is named twice counts once.
        for name in prediction.types().collect::<BTreeSet<_>>() {
            types.entry(name).or_default().push(prediction);
        }
    }
    let group = |name: &str, members: Vec<&Prediction>| -> Option<GroupScore> {
        let values: Vec<f64> = members.iter().map(|prediction| prediction.score).collect();
        let clusters = Clusters::new(members.iter().map(|prediction| prediction.image_id.as_str()));
        (!members.is_empty()).then(|| GroupScore {
            name: name.to_owned(),
            hits: members.iter().filter(|prediction| prediction.hit()).count(),
            score: bootstrap.mean(name, &values, &clusters),
        })
    };
    Ok(VqaScores {
        overall: group("overall", predictions.iter().collect()).ok_or(EvalError::Nothing { what: "prediction" })?,
        closed: group("closed", of_type(AnswerType::Closed).collect()),
        open: group("open", of_type(AnswerType::Open).collect()),
        by_type: types.into_iter().filter_map(|(name, members)| group(name, members)).collect(),
    })
}

/// Checks ids, scores and probabilities: a NaN must not become a score.
pub(crate) fn check(predictions: &[Prediction]) -> Result<(), EvalError> {
    if predictions.is_empty() {
        return Err(EvalError::Nothing { what: "prediction" });
    }
    let mut ids = HashSet::new();
    for prediction in predictions {
        let refuse = |problem: String| Err(EvalError::item(format!("question {}", prediction.question_id), problem));
        if !ids.insert(prediction.question_id) {
            return refuse("occurs twice: ids must be unique".to_owned());
        }
        if !(0.0..=1.0).contains(&prediction.score) {
            return refuse(format!("its score is {}: scores are from 0 to 1", prediction.score));
        }
        if let Some((answer, value)) = prediction.top.iter().find(|(_, value)| !(0.0..=1.0 + 1e-6).contains(value)) {
            return refuse(format!("answer {answer:?} has the probability {value}: the model's logits are not finite"));
        }
        if prediction.top.is_empty() {
            return refuse("has no answer of the model".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::{image_of, pseudo};

    /// `count` predictions, about 77 in 100 right. Probabilities are binary fractions, which JSON keeps to the last
    /// bit.
    pub(crate) fn predictions(count: usize) -> Vec<Prediction> {
        let prediction = |i: usize| {
            let right = pseudo(i) < 0.77;
            let (truth, other) = if i.is_multiple_of(2) { ("yes", "no") } else { ("liver", "left kidney") };
            Prediction {
                question_id: i as i64 + 1,
                image_id: format!("image-{}", image_of(i)),
                question: format!("question {i}?"),
                answers: vec![truth.to_owned()],
                answer_type: if i.is_multiple_of(2) { AnswerType::Closed } else { AnswerType::Open },
                question_type: (!i.is_multiple_of(5)).then(|| ["organ", "modality"][i % 2].to_owned()),
                top: vec![
                    (if right { truth } else { other }.to_owned(), 0.5 + (pseudo(i + 7) * 512.0).floor() / 1_024.0),
                    ("none".to_owned(), 0.0),
                ],
                score: f64::from(u8::from(right)),
            }
        };
        (0..count).map(prediction).collect()
    }

    #[test]
    fn groups_are_counted_by_hand() {
        let mut list = predictions(4);
        for (prediction, (image, score)) in list.iter_mut().zip([("a", 1.0), ("a", 0.0), ("b", 1.0), ("c", 0.3)]) {
            (prediction.image_id, prediction.score) = (image.to_owned(), score);
        }
        let scores = vqa_scores(&list, &Bootstrap::default()).unwrap();
        let numbers = |group: &GroupScore| (group.hits, group.score.items, group.score.images, group.score.value);
        assert_eq!(numbers(&scores.overall), (2, 4, 3, 2.3 / 4.0));
        assert_eq!(numbers(scores.closed.as_ref().unwrap()), (2, 2, 2, 1.0));
        assert_eq!(numbers(scores.open.as_ref().unwrap()), (0, 2, 2, 0.15));
        let types: Vec<&str> = scores.by_type.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(types, ["modality", "organ"]);
    }

    #[test]
    fn a_question_of_several_types_counts_in_each() {
        let mut list = predictions(3);
        for (prediction, types) in list.iter_mut().zip([Some("POS,PRES"), Some("PRES, PRES"), None]) {
            prediction.question_type = types.map(str::to_owned);
        }
        let scores = vqa_scores(&list, &Bootstrap::default()).unwrap();
        let types: Vec<(&str, usize)> = scores.by_type.iter().map(|of| (of.name.as_str(), of.score.items)).collect();
        assert_eq!(types, [("POS", 1), ("PRES", 2)]);
    }

    #[test]
    fn rejects_nothing_twice_the_same_question_and_impossible_numbers() {
        let scores = |list: &[Prediction]| vqa_scores(list, &Bootstrap::default());
        assert!(matches!(scores(&[]), Err(EvalError::Nothing { .. })));
        let spoilt = |spoil: fn(&mut Prediction)| {
            let mut list = predictions(3);
            spoil(&mut list[1]);
            scores(&list).unwrap_err().to_string()
        };
        assert!(spoilt(|p| p.question_id = 1).contains("question 1: occurs twice"));
        assert!(spoilt(|p| p.score = f64::NAN).contains("question 2: its score is NaN"));
        assert!(spoilt(|p| p.score = 1.5).contains("1.5"));
        assert!(spoilt(|p| p.top[0].1 = f64::NAN).contains("NaN"));
        assert!(spoilt(|p| p.top.clear()).contains("no answer"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_overall_score_is_the_weighted_mean_of_closed_and_open(count in 2_usize..60) {
            let bootstrap = Bootstrap { resamples: 400, ..Bootstrap::default() };
            let scores = vqa_scores(&predictions(count), &bootstrap).unwrap();
            let parts = [scores.closed.as_ref().unwrap(), scores.open.as_ref().unwrap()];
            let sum: f64 = parts.iter().map(|group| group.score.value * group.score.items as f64).sum();
            prop_assert!((sum / count as f64 - scores.overall.score.value).abs() < 1e-12);
            prop_assert_eq!(parts[0].hits + parts[1].hits, scores.overall.hits);
        }
    }
}
