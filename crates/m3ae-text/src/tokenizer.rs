//! The tokenizer: texts to ids and back.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use m3ae_files::FilesError;

use crate::error::TextError;
use crate::family::Family;

/// Ids from this number on are refused: published vocabularies have 30 to 250 thousand.
pub(crate) const MAX_IDS: usize = 1 << 24;

/// The ids of the special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Specials {
    /// Begins every text: `<s>` or `[CLS]`.
    pub start: u32,
    /// Ends every text: `</s>` or `[SEP]`.
    pub end: u32,
    /// Fills a batch up to its longest text.
    pub pad: u32,
    /// Stands in for a token to be predicted.
    pub mask: u32,
    /// Stands in for what the vocabulary does not have.
    pub unknown: u32,
}

impl Specials {
    /// Whether `id` is one of the special tokens, which are never masked and never predicted.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        [self.start, self.end, self.pad, self.mask, self.unknown].contains(&id)
    }
}

/// A text as ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Start token, the text, end token. Not padded.
    pub ids: Vec<u32>,
    /// Whether the text's end was cut off to stay within the length.
    pub truncated: bool,
}

/// A tokenizer of one of the two [families](Family); see the [crate](crate) for an example.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    family: Family,
    specials: Specials,
    /// By id: whether the token begins a word. Its length is the vocabulary's size.
    starts_word: Vec<bool>,
    hash: String,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("family", &self.family)
            .field("vocab_size", &self.vocab_size())
            .field("specials", &self.specials)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Puts a tokenizer together. `origin` is named in errors.
    pub(crate) fn assemble(mut inner: tokenizers::Tokenizer, family: Family, origin: &Path) -> Result<Self, TextError> {
        // Length is decided per call, and padding per batch: settings of a published file are removed.
        inner.with_truncation(None).map_err(TextError::build)?;
        inner.with_padding(None);
        let id = |token: &'static str| {
            inner.token_to_id(token).ok_or_else(|| TextError::MissingSpecial { path: origin.to_owned(), token, family })
        };
        let [start, pad, end, unknown, mask] = family.special_tokens();
        let specials =
            Specials { start: id(start)?, end: id(end)?, pad: id(pad)?, mask: id(mask)?, unknown: id(unknown)? };

        let vocabulary = inner.get_vocab(true);
        let size = vocabulary.values().max().map_or(0, |&last| last as usize + 1);
        if size > MAX_IDS {
            return Err(TextError::format(origin, format!("its largest id is {}: {} is the limit", size - 1, MAX_IDS)));
        }
        let mut starts_word = vec![false; size];
        for (token, id) in vocabulary {
            starts_word[id as usize] = match family {
                Family::Roberta => token.starts_with('Ġ'),
                Family::Bert => !token.starts_with("##"),
            };
        }
        let hash = hash(&inner)?;
        Ok(Self { inner, family, specials, starts_word, hash })
    }

    /// Writes `folder/tokenizer.json`, whole or not at all; the folder is made where it is missing.
    ///
    /// # Errors
    /// The folder or file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), TextError> {
        let text = self.inner.to_string(true).map_err(TextError::build)?;
        fs::create_dir_all(folder).map_err(FilesError::io("create", folder))?;
        m3ae_files::write(&folder.join("tokenizer.json"), text.as_bytes())?;
        Ok(())
    }

    /// The text's ids between start and end token, at most `max_length` in all. The end of a longer text is cut off.
    ///
    /// # Errors
    /// `max_length` is less than 2.
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Encoding, TextError> {
        let room = max_length.checked_sub(2).ok_or(TextError::MaxLength { given: max_length })?;
        let encoding = self.inner.encode_fast(text, false).map_err(|error| TextError::Encode {
            excerpt: text.chars().take(60).collect(),
            reason: error.to_string(),
        })?;
        let body = encoding.get_ids();
        let kept = body.len().min(room);
        let mut ids = Vec::with_capacity(kept + 2);
        ids.push(self.specials.start);
        ids.extend_from_slice(&body[..kept]);
        ids.push(self.specials.end);
        Ok(Encoding { ids, truncated: kept < body.len() })
    }

    /// The text of some ids, without the special tokens where `skip_special`. Ids outside the vocabulary are left out.
    #[must_use]
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        // Both families' decoders accept every token; the plain tokens are the best answer should one not.
        self.inner
            .decode(ids, skip_special)
            .unwrap_or_else(|_| ids.iter().filter_map(|&id| self.token(id)).collect::<Vec<_>>().join(" "))
    }

    /// How the vocabulary spells a token; `None` outside of it.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// One more than the largest id: the number of rows of an embedding table.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.starts_word.len()
    }

    /// The special tokens' ids.
    #[must_use]
    pub fn specials(&self) -> &Specials {
        &self.specials
    }

    /// Which family's rules this tokenizer follows.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether a word begins with this token, for whole-word masking: BERT's tokens that do not begin with `##`,
    /// RoBERTa's that do with `Ġ`. The first token of a RoBERTa text begins a word too, without looking like it: that
    /// is for the caller to know. Outside the vocabulary: false.
    #[must_use]
    pub fn starts_word(&self, id: u32) -> bool {
        self.starts_word.get(id as usize).copied().unwrap_or(false)
    }

    /// BLAKE3, in hexadecimal, of everything that decides a text's ids. Stored with a run, to refuse a changed
    /// tokenizer. It does not depend on which files the tokenizer came from, nor on the order of keys in them.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hash.clone()
    }
}

fn hash(inner: &tokenizers::Tokenizer) -> Result<String, TextError> {
    let value = serde_json::to_value(inner).map_err(TextError::build)?;
    let mut hasher = blake3::Hasher::new_derive_key("m3ae 2026 tokenizer v1");
    for part in ["added_tokens", "normalizer", "pre_tokenizer", "model"] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
        hash_value(&mut hasher, &value[part]);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Feeds a JSON value to the hasher, object keys in alphabetical order.
fn hash_value(hasher: &mut blake3::Hasher, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            hasher.update(b"{");
            for (key, value) in map.iter().collect::<BTreeMap<_, _>>() {
                hash_value(hasher, &Value::String(key.clone()));
                hash_value(hasher, value);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| hash_value(hasher, item));
            hasher.update(b"]");
        }
        // The length goes first, so that neighbouring strings cannot run into each other.
        Value::String(text) => {
            hasher.update(b"\"");
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            hasher.update(value.to_string().as_bytes());
            hasher.update(b";");
        }
    }
}
