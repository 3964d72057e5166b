//! Fine-tuning: question answering, classification, retrieval.

mod classification;
mod question_answering;
mod retrieval;

pub(crate) use classification::CLASSIFICATION;
pub use classification::Classification;
pub(crate) use question_answering::QUESTION_ANSWERING;
pub use question_answering::QuestionAnswering;
pub(crate) use retrieval::RETRIEVAL;
pub use retrieval::Retrieval;
