//! Scores with intervals, comparisons of runs and evaluation reports, from predictions; no tensors.
//!
//! Every score is an [`Estimate`]: a value, how many items it is of, and two 95 % intervals. One resamples single items
//! (questions, samples, queries); the other resamples images with everything that belongs to them, and is the honest one
//! where an image has several questions, since their answers are not independent. Resampling is seeded: the same predictions give
//! the same intervals on every machine.
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
//! # Ok::<(), m3ae_eval::EvalError>(())
//! ```
//!
//! | what | function | conventions |
//! |---|---|---|
//! | question answering | [`vqa_scores`] | mean of the chosen answers' scores; a hit has the full score |
//! | calibration | [`calibration`] | equal-width bins, closed on the right; weights by count |
//! | classification | [`classification_scores`] | macro-F1 over classes that occur as truth or prediction; 0/0 is 0 |
//! | retrieval | [`retrieval_scores`] | ties count against the model |
//! | two runs | [`compare()`] | paired bootstrap of the difference, exact McNemar test |
//! | several tasks over seeds | [`benchmark_rows`] | mean, deviation over seeds, each seed's interval, published numbers |
//!
//! [`Evaluation`] is what `eval.json` holds, [`write_predictions`] writes `predictions.jsonl`, [`eval_report`] makes the page, and [`compare_report`] that of
//! two evaluations.

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
