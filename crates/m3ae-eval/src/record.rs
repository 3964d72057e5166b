//! The files of an evaluation: `eval.json` and `predictions.jsonl`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::calibration::Calibration;
use crate::classification::ClassificationScores;
use crate::confusion::Confusion;
use crate::error::EvalError;
use crate::retrieval::RetrievalScores;
use crate::vqa::{Prediction, VqaScores};

/// The version of `eval.json` that this program writes and reads.
const VERSION: u32 = 1;

/// How the answer vocabulary and the validation split were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Vocabulary from all splits, test included.
    Published,
    /// Vocabulary from train alone; validation is not test.
    Clean,
}

/// The items on which a checkpoint was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenOn {
    /// On the items that are scored: the scores are too high.
    ScoredItems,
    /// On other items.
    OtherItems,
    /// The checkpoint does not say.
    #[default]
    Unknown,
}

/// Scores of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Scores {
    /// Question answering.
    Vqa {
        /// Overall and by group.
        scores: VqaScores,
        /// Calibration of the probability of the model's answer.
        calibration: Calibration,
        /// Confusion matrix of the most frequent answers.
        confusion: Confusion,
    },
    /// Classification.
    Classification {
        /// Overall and by class.
        scores: ClassificationScores,
    },
    /// Retrieval.
    Retrieval {
        /// Both directions.
        scores: RetrievalScores,
    },
}

/// The result of an evaluation: `eval.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The file's version; 1.
    pub version: u32,
    /// The benchmark, as commands name it.
    pub benchmark: String,
    /// The split that was scored.
    pub split: String,
    /// The checkpoint or model folder.
    pub model: String,
    /// How the answer vocabulary and the validation split were made.
    pub protocol: Protocol,
    /// Whether the validation and the test split hold the same items; true if the validation split itself was scored.
    pub validation_equals_test: bool,
    /// Whether validation and test were compared; if not, they may still hold the same items.
    #[serde(default)]
    pub validation_compared: bool,
    /// The items on which the checkpoint was chosen. Unknown in files of earlier versions.
    #[serde(default)]
    pub chosen_on: ChosenOn,
    /// Notes for the reader, such as how many questions were truncated.
    pub notes: Vec<String>,
    /// Everything that determines the scores, by name: hashes of weights and data, and settings. Evaluations with the
    /// same inputs have the same scores. Empty in files of earlier versions.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Versions, device and settings, by name.
    pub environment: BTreeMap<String, String>,
    /// Settings of the intervals.
    pub bootstrap: Bootstrap,
    /// The scores.
    pub scores: Scores,
}

impl Evaluation {
    /// An evaluation without notes, inputs and environment; how its checkpoint was chosen is unknown.
    #[must_use]
    pub fn new(
        benchmark: &str,
        split: &str,
        model: &str,
        protocol: Protocol,
        bootstrap: Bootstrap,
        scores: Scores,
    ) -> Self {
        Self {
            version: VERSION,
            benchmark: benchmark.to_owned(),
            split: split.to_owned(),
            model: model.to_owned(),
            protocol,
            validation_equals_test: false,
            validation_compared: false,
            chosen_on: ChosenOn::Unknown,
            notes: Vec::new(),
            inputs: BTreeMap::new(),
            environment: BTreeMap::new(),
            bootstrap,
            scores,
        }
    }
}

/// Writes `eval.json`, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_evaluation(path: &Path, evaluation: &Evaluation) -> Result<(), EvalError> {
    let mut json = serde_json::to_vec_pretty(evaluation).map_err(|error| EvalError::file(path, error))?;
    json.push(b'\n');
    m3ae_files::write(path, &json)?;
    Ok(())
}

/// Reads `eval.json`.
///
/// # Errors
/// The file cannot be read, is damaged, or is of a later version.
pub fn read_evaluation(path: &Path) -> Result<Evaluation, EvalError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let bytes = fs::read(path).map_err(|error| EvalError::file(path, error))?;
    let head: Head =
        serde_json::from_slice(&bytes).map_err(|error| EvalError::file(path, format!("not an evaluation: {error}")))?;
    if head.version != VERSION {
        let problem = format!("was written in version {}; this program reads {VERSION}", head.version);
        return Err(EvalError::file(path, problem));
    }
    serde_json::from_slice(&bytes).map_err(|error| EvalError::file(path, format!("not an evaluation: {error}")))
}

/// Writes `predictions.jsonl`, one prediction a line, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<(), EvalError> {
    let mut lines = Vec::new();
    for prediction in predictions {
        serde_json::to_writer(&mut lines, &Line { prediction, hit: prediction.hit() })
            .map_err(|error| EvalError::file(path, error))?;
        lines.push(b'\n');
    }
    m3ae_files::write(path, &lines)?;
    Ok(())
}

/// A prediction as it is written, with `hit` added for other programs.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    prediction: &'a Prediction,
    hit: bool,
}

/// Reads `predictions.jsonl`.
///
/// # Errors
/// The file cannot be read, or a line of it is not a prediction.
pub fn read_predictions(path: &Path) -> Result<Vec<Prediction>, EvalError> {
    let text = fs::read_to_string(path).map_err(|error| EvalError::file(path, error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|error| EvalError::file(path, format!("line {} is not a prediction: {error}", number + 1)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::tests::evaluation;
    use crate::vqa::tests::predictions;

    #[test]
    fn an_evaluation_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.json");
        let evaluation = evaluation();
        write_evaluation(&path, &evaluation).unwrap();
        let read = read_evaluation(&path).unwrap();
        same(&serde_json::to_value(&read).unwrap(), &serde_json::to_value(&evaluation).unwrap());
        let text = fs::read_to_string(&path).unwrap().replace("\"version\": 1", "\"version\": 9");
        fs::write(&path, text).unwrap();
        assert!(read_evaluation(&path).unwrap_err().to_string().contains("version 9"));
        fs::write(&path, "{}").unwrap();
        assert!(read_evaluation(&path).unwrap_err().to_string().contains("not an evaluation"));
    }

    /// Equal but for the last bits of numbers, which reading JSON may change.
    fn same(a: &Value, b: &Value) {
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                assert!(a.keys().eq(b.keys()), "{a:?} {b:?}");
                a.iter().for_each(|(key, value)| same(value, &b[key]));
            }
            (Value::Array(a), Value::Array(b)) => {
                assert_eq!(a.len(), b.len());
                a.iter().zip(b).for_each(|(a, b)| same(a, b));
            }
            (a, b) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 1e-14, "{a} {b}"),
                _ => assert_eq!(a, b),
            },
        }
    }

    #[test]
    fn predictions_come_back_and_a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.jsonl");
        let list = predictions(7);
        write_predictions(&path, &list).unwrap();
        assert_eq!(read_predictions(&path).unwrap(), list);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 7);
        assert!(text.lines().all(|line| line.contains("\"hit\":")));
        fs::write(&path, text + "{\"question_id\": 8\n").unwrap();
        let error = read_predictions(&path).unwrap_err().to_string();
        assert!(error.contains("line 8"), "{error}");
    }
}
