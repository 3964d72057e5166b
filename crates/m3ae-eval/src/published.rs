//! The scores of the paper and of its released checkpoints, to compare results with.

use serde::Serialize;

use crate::record::{ChosenOn, Evaluation, Protocol, Scores};

/// A published result, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PublishedNumber {
    /// The benchmark, as commands name it.
    pub benchmark: &'static str,
    /// The group of questions: `overall`, `closed` or `open`.
    pub group: &'static str,
    /// The score.
    pub percent: f64,
    /// Where the number comes from.
    pub source: PublishedSource,
}

/// Where a published number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishedSource {
    /// The paper: Chen et al., MICCAI 2022.
    Paper,
    /// One of three checkpoints that its authors released.
    ReleasedCheckpoint,
}

const fn paper(benchmark: &'static str, group: &'static str, percent: f64) -> PublishedNumber {
    PublishedNumber { benchmark, group, percent, source: PublishedSource::Paper }
}

const fn released(benchmark: &'static str, percent: f64) -> PublishedNumber {
    PublishedNumber { benchmark, group: "overall", percent, source: PublishedSource::ReleasedCheckpoint }
}

/// All published numbers.
pub const PUBLISHED: [PublishedNumber; 20] = [
    paper("vqa-rad", "open", 67.23),
    paper("vqa-rad", "closed", 83.46),
    paper("vqa-rad", "overall", 77.01),
    released("vqa-rad", 77.4),
    released("vqa-rad", 76.9),
    released("vqa-rad", 76.7),
    paper("slake", "open", 80.31),
    paper("slake", "closed", 87.82),
    paper("slake", "overall", 83.25),
    released("slake", 84.3),
    released("slake", 83.0),
    released("slake", 82.5),
    paper("vqa-med-2019", "overall", 79.87),
    released("vqa-med-2019", 80.5),
    released("vqa-med-2019", 80.0),
    released("vqa-med-2019", 79.7),
    paper("melinda", "overall", 78.50),
    released("melinda", 79.6),
    released("melinda", 77.9),
    released("melinda", 77.7),
];

/// How the numbers of a benchmark were made, and what to keep in mind when comparing.
const PROTOCOLS: [(&str, &str); 4] = [
    (
        "vqa-rad",
        "498 answers, taken from all splits, test included. The data set has no validation split: the reference's users \
         copy test, so that the checkpoint is chosen on the questions it is scored on. With a test set of this size, \
         the 95 % interval is ±3.9 points.",
    ),
    (
        "slake",
        "English questions only; 222 answers, taken from all splits, test included. With a test set of this size, the \
         95 % interval is ±2.3 points.",
    ),
    (
        "vqa-med-2019",
        "Modality, plane and organ questions only; 79 answers, taken from all splits, test included. With a test set \
         of this size, the 95 % interval is ±4.1 points.",
    ),
    ("melinda", "Accuracy over the 7 classes of p_meth_label."),
];

/// The label column of MELINDA that the published numbers use.
const PUBLISHED_LABEL: &str = "p_meth_label";

/// The published numbers of a benchmark, the paper's first, and how they were made. Empty for a benchmark without any.
#[must_use]
pub fn published(benchmark: &str) -> (Vec<PublishedNumber>, Option<&'static str>) {
    let numbers = PUBLISHED.into_iter().filter(|number| number.benchmark == benchmark).collect();
    (numbers, PROTOCOLS.iter().find(|(name, _)| *name == benchmark).map(|(_, note)| *note))
}

/// Whether a result follows the protocol of the published numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparability {
    /// Whether no difference is known.
    pub same: bool,
    /// The differences, a sentence each; empty if none is known.
    pub differences: Vec<String>,
}

/// Whether a result follows the protocol of its benchmark's published numbers; `None` for a benchmark without any.
#[must_use]
pub fn comparability(evaluation: &Evaluation) -> Option<Comparability> {
    let benchmark = evaluation.benchmark.as_str();
    let (numbers, _) = published(benchmark);
    if numbers.is_empty() {
        return None;
    }
    let mut differences = Vec::new();
    if evaluation.split != "test" {
        differences.push(format!("It scores the {} split; the published numbers score test.", evaluation.split));
    }
    let answers = matches!(evaluation.scores, Scores::Vqa { .. });
    if answers && evaluation.protocol == Protocol::Clean {
        differences.push(
            "Its vocabulary has the answers of the training questions alone; the published one has those of all splits. \
             Expect lower scores for that reason alone."
                .to_owned(),
        );
    }
    if benchmark == "vqa-rad" && evaluation.split == "test" {
        match evaluation.chosen_on {
            ChosenOn::ScoredItems => {}
            ChosenOn::OtherItems => differences.push(
                "Its checkpoint was not chosen on test; the published checkpoints were. Expect lower scores for that \
                 reason alone."
                    .to_owned(),
            ),
            ChosenOn::Unknown => differences.push(
                "It is unknown how its checkpoint was chosen; the published checkpoints were chosen on test."
                    .to_owned(),
            ),
        }
    }
    if let Some(label) = evaluation.inputs.get("label").filter(|label| *label != PUBLISHED_LABEL) {
        differences.push(format!("Its classes come from {label}; the published ones from {PUBLISHED_LABEL}."));
    }
    Some(Comparability { same: differences.is_empty(), differences })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::evaluation;

    #[test]
    fn differences_from_the_published_protocol_are_listed() {
        let mut result = evaluation();
        (result.protocol, result.chosen_on) = (Protocol::Published, ChosenOn::ScoredItems);
        assert_eq!(comparability(&result), Some(Comparability { same: true, differences: vec![] }));
        result.chosen_on = ChosenOn::Unknown;
        assert!(comparability(&result).unwrap().differences[0].contains("unknown how its checkpoint was chosen"));
        result.chosen_on = ChosenOn::OtherItems;
        let found = comparability(&result).unwrap();
        assert!(!found.same && found.differences[0].contains("was not chosen on test"), "{found:?}");
        result.protocol = Protocol::Clean;
        assert_eq!(comparability(&result).unwrap().differences.len(), 2);
        // The others have a validation split of their own.
        result.benchmark = "slake".into();
        assert_eq!(comparability(&result).unwrap().differences.len(), 1);
        result.split = "val".into();
        assert!(comparability(&result).unwrap().differences[0].contains("val split"));
        result.inputs.insert("label".into(), "i_meth".into());
        assert!(comparability(&result).unwrap().differences[2].contains("classes come from i_meth"));
        result.benchmark = "phantom-vqa".into();
        assert_eq!(comparability(&result), None);
    }

    #[test]
    fn every_benchmark_with_numbers_has_one_overall_of_the_paper_three_checkpoints_and_a_note() {
        for (benchmark, _) in PROTOCOLS {
            let (numbers, note) = published(benchmark);
            let count = |source, group: &str| numbers.iter().filter(|n| n.source == source && n.group == group).count();
            assert_eq!(count(PublishedSource::Paper, "overall"), 1, "{benchmark}");
            assert_eq!(count(PublishedSource::ReleasedCheckpoint, "overall"), 3, "{benchmark}");
            assert!(note.is_some());
        }
        assert_eq!(PROTOCOLS.iter().map(|(benchmark, _)| published(benchmark).0.len()).sum::<usize>(), PUBLISHED.len());
        assert_eq!(published("phantom-vqa"), (vec![], None));
    }

    #[test]
    fn an_overall_score_is_between_closed_and_open() {
        for benchmark in ["vqa-rad", "slake"] {
            let (numbers, _) = published(benchmark);
            let of = |group| numbers.iter().find(|number| number.group == group).unwrap().percent;
            assert!(of("open") < of("overall") && of("overall") < of("closed"));
        }
    }
}
