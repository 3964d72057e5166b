//! The two published families of tokenizers.

use std::fmt;

/// The published model family that a tokenizer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Byte-level BPE: `<s> … </s>`, a leading space is part of the token (`Ġ`).
    Roberta,
    /// Lower-cased WordPiece: `[CLS] … [SEP]`, a piece that continues a word begins with `##`.
    Bert,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Roberta => "RoBERTa",
            Self::Bert => "BERT",
        })
    }
}

impl Family {
    /// The special tokens' spelling, in the order start, padding, end, unknown, mask (RoBERTa's first four ids).
    pub(crate) fn special_tokens(self) -> [&'static str; 5] {
        match self {
            Self::Roberta => ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            Self::Bert => ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],
        }
    }
}
