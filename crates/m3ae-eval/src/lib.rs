//! Scores with intervals, comparisons of runs and evaluation reports, from predictions; no tensors.
//!
//! Every score is an [`Estimate`]: a value, the number of items behind it, and two 95 % bootstrap intervals. One
//! resamples single items (questions, samples, queries). The other resamples images together with all their items;
//! quote that one where an image has several questions, because their answers are not independent. Resampling is
//! seeded: the same predictions give the same intervals on every machine.
//!
//! ```
//! use m3ae_eval::{AnswerType, Bootstrap, Prediction, vqa_scores};
//!
//! let prediction = |id: i64, score: f64| Prediction {
//!     question_id: id,
//!     image_id: format!("image-{}", id / 2),
//!     question: "is there an effusion?".into(),
//!     answers: vec!["yes".into()],
//!     answer_type: AnswerType::Closed,
//!     question_type: None,
//!     top: vec![("yes".into(), 0.7), ("no".into(), 0.3)],
//!     score,
//! };
//! let predictions: Vec<Prediction> = (0..100).map(|id| prediction(id, f64::from(u8::from(id % 4 != 0)))).collect();
//! let scores = vqa_scores(&predictions, &Bootstrap::default())?;
//! assert_eq!((scores.overall.hits, scores.overall.score.value), (75, 0.75));
//! let interval = scores.overall.score.interval().expect("there are several images");
//! assert!(interval.low < 0.75 && 0.75 < interval.high);
//! # Ok::<(), m3ae_eval::EvalError>(())
//! ```
//!
//! | task | function | conventions |
//! |---|---|---|
//! | question answering | [`vqa_scores`] | mean score of the model's answers; a hit is an answer with the full score |
//! | calibration | [`calibration`] | bins of equal width, closed on the right, weighted by count |
//! | classification | [`classification_scores`] | macro-F1 over classes that occur as truth or prediction; 0/0 is 0 |
//! | retrieval | [`retrieval_scores`] | ties count against the model |
//! | comparing two runs | [`compare()`] | paired bootstrap of the difference, exact McNemar test |
//! | several tasks over seeds | [`benchmark_rows`] | mean and deviation over seeds, published numbers beside them |
//!
//! [`write_evaluation`] writes an [`Evaluation`] as `eval.json` and [`write_predictions`] writes `predictions.jsonl`.
//! [`eval_report`] makes an HTML page of one evaluation, [`compare_report`] of two.

mod benchmark;
mod bootstrap;
mod calibration;
mod classification;
mod compare;
mod confusion;
mod error;
mod published;
mod record;
mod report;
mod retrieval;
mod selection;
#[cfg(test)]
mod test_data;
mod vqa;

pub use benchmark::{BenchmarkRow, BenchmarkTable, Finished, RunScore, Without, benchmark_rows};
pub use bootstrap::{Bootstrap, Estimate, Interval};
pub use calibration::{CALIBRATION_BINS, Calibration, ReliabilityBin, calibration};
pub use classification::{ClassScore, ClassificationScores, Labelled, classification_scores};
pub use compare::{Comparison, compare, exact_mcnemar};
pub use confusion::Confusion;
pub use error::EvalError;
pub use published::{Comparability, PUBLISHED, PublishedNumber, PublishedSource, comparability, published};
pub use record::{
    ChosenOn, Evaluation, Protocol, Scores, read_evaluation, read_predictions, write_evaluation, write_predictions,
};
pub use report::{Case, Side, choose_cases, compare_report, eval_report};
pub use retrieval::{RECALL_AT, RetrievalDirection, RetrievalScores, ScoreMatrix, retrieval_scores};
pub use selection::{SelectionNote, selection_note};
pub use vqa::{AnswerType, GroupScore, Prediction, VqaScores, vqa_scores};
