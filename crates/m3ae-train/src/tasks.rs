//! The tasks: pre-training and the three kinds of fine-tuning.

mod classification;
mod pretraining;
mod question_answering;
mod retrieval;

pub use classification::Classification;
pub use pretraining::Pretraining;
pub use question_answering::QuestionAnswering;
pub use retrieval::Retrieval;
