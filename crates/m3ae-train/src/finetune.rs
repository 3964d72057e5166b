//! Fine-tuning: question answering, classification, retrieval.

mod classification;
mod question_answering;
mod retrieval;

pub use classification::Classification;
pub use question_answering::QuestionAnswering;
pub use retrieval::Retrieval;
