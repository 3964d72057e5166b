//! Prepared data sets in Arrow files, and the loader that makes reproducible batches of them.
//!
//! ```text
//! roco_train.arrow ──read_captions_arrow──▶ CaptionSet ──Loader──▶ CaptionBatch { images [B, 3, S, S], text_ids, … }
//! ```
//!
//! - [`arrow`] reads and writes the files. [`read_captions_arrow`], [`read_questions_arrow`] and [`read_classes_arrow`]
//!   make samples of their rows; [`mix`] joins several sources.
//! - [`Loader`] makes batches with threads. A batch depends on seed, epoch and number only.
//!
//! Batches are plain vectors: no tensor library is chosen here.
//!
//! ```no_run
//! use m3ae_data::{Loader, LoaderConfig, read_captions_arrow};
//! use m3ae_text::Tokenizer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let set = read_captions_arrow("data/arrows/roco_train.arrow".as_ref())?;
//! let tokenizer = Tokenizer::load("roberta-base".as_ref())?;
//! let loader = Loader::new(&set.samples, &tokenizer, &LoaderConfig::default())?;
//! for batch in loader.epoch(0, 0) {
//!     println!("{} samples", batch?.len());
//! }
//! # Ok(())
//! # }
//! ```

pub mod arrow;
mod batch;
mod captions_arrow;
mod error;
mod labelled_arrow;
mod loader;
mod mixture;
mod prefetch;
mod sample;
mod source;
mod store;

pub use batch::{CaptionBatch, PaddedText, pad};
pub use captions_arrow::read_captions_arrow;
pub use error::DataError;
pub use labelled_arrow::{
    ClassifiedSample, ClassifiedSet, Question, QuestionSet, read_classes_arrow, read_questions_arrow, shared_vocabulary,
};
pub use loader::{Loader, LoaderConfig};
pub use mixture::{MixtureSource, mix};
pub use sample::{CaptionSample, CaptionSet, SkipReason, Skipped, collapse_whitespace};
pub use source::{ImageBytes, ImageSources, row_path};
