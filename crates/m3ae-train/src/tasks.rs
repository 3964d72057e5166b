//! The tasks: pre-training and the three kinds of fine-tuning.

mod classification;
mod pairs;
mod pretraining;
mod question_answering;
mod retrieval;

pub use classification::Classification;
pub(crate) use pairs::matrix;
pub use pairs::{Texts, images};
pub use pretraining::Pretraining;
pub use question_answering::QuestionAnswering;
pub use retrieval::Retrieval;
