//! Tokenizers, answer normalisation and answer vocabularies.
//!
//! A [`Tokenizer`] turns a caption or a question into the ids that the text encoder reads. Two families are supported,
//! with the same ids as Hugging Face's tokenizers: RoBERTa's byte-level BPE and BERT's lower-cased WordPiece. It is
//! loaded from the files that models are published with, or trained on a small corpus:
//!
//! ```
//! use m3ae_text::Tokenizer;
//!
//! let captions = ["Chest x-ray: no effusion.", "Chest x-ray with a right effusion."];
//! let tokenizer = Tokenizer::train(captions, 300)?;
//! let encoding = tokenizer.encode("chest effusion", 16)?;
//! assert_eq!(encoding.ids.first(), Some(&tokenizer.specials().start));
//! assert_eq!(tokenizer.decode(&encoding.ids, true), "chest effusion");
//! # Ok::<(), m3ae_text::TextError>(())
//! ```
//!
//! Texts are read as the reference reads them: a special token *spelled out* in a text (`"<mask>"`, `"[SEP]"`) becomes
//! that special token.
//!
//! An answer becomes a class of a [`Vocabulary`], in the spelling that [`normalize_answer`] gives it.
//!
//! # Limits
//! Tokenizer files above 256 MiB and ids above 2^24 are refused before memory is spent on them.

mod error;
mod family;
mod load;
mod normalize;
mod tokenizer;
mod train;
mod vocabulary;

pub use error::TextError;
pub use family::Family;
pub use normalize::normalize_answer;
pub use tokenizer::{Encoding, Specials, Tokenizer};
pub use vocabulary::{Vocabulary, VocabularyError};
