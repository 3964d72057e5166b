//! Tokenizers from published files. What a file says is checked here, before the tokenizer library relies on it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use tokenizers::AddedToken;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::{bpe, bpe::BPE, wordpiece::WordPiece};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::{bert::BertPreTokenizer, byte_level::ByteLevel};
use tokenizers::processors::{bert::BertProcessing, roberta::RobertaProcessing};

use crate::error::TextError;
use crate::family::Family;
use crate::tokenizer::{MAX_IDS, Tokenizer};

/// Larger files are refused; `roberta-base`'s are under 2 MB.
const MAX_BYTES: u64 = 256 << 20;

type Vocabulary = HashMap<String, u32>;
type Merges = Vec<(String, String)>;

impl Tokenizer {
    /// Reads a `tokenizer.json` file, or a folder with `tokenizer.json`, with `vocab.json` and `merges.txt` (as
    /// `roberta-base` is published), or with `vocab.txt` (as `bert-base-uncased` is). If a folder has several of them,
    /// the first of this list is used.
    ///
    /// # Errors
    /// There is no such file, a file cannot be read or is of another kind, or a special token is missing.
    pub fn load(path: &Path) -> Result<Self, TextError> {
        load(path)
    }
}

fn load(path: &Path) -> Result<Tokenizer, TextError> {
    if path.is_file() {
        return from_json(path);
    }
    let [json, vocabulary, merges, word_pieces] =
        ["tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"].map(|name| path.join(name));
    if json.is_file() {
        from_json(&json)
    } else if vocabulary.is_file() && merges.is_file() {
        let vocab = read_vocab_json(&vocabulary)?;
        let merges = read_merges(&merges, &vocab)?;
        roberta(vocab, merges, &vocabulary)
    } else if word_pieces.is_file() {
        bert(read_vocab_txt(&word_pieces)?, &word_pieces)
    } else {
        Err(TextError::Missing { path: path.to_owned() })
    }
}

/// A byte-level BPE as `roberta-base` is configured.
pub(crate) fn roberta(vocab: Vocabulary, merges: Merges, origin: &Path) -> Result<Tokenizer, TextError> {
    let [start, _, end, unknown, mask] = Family::Roberta.special_tokens();
    let ends = (vocab.get(end).copied(), vocab.get(start).copied());
    let model = BPE::builder()
        .vocab_and_merges(vocab.into_iter().collect::<bpe::Vocab>(), merges)
        .unk_token(unknown.to_owned())
        .build()
        .map_err(|error| TextError::format(origin, error))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    inner.with_decoder(Some(ByteLevel::new(false, true, true)));
    // Ours does not read the post-processor (`encode` adds start and end), but other readers of a saved file do.
    if let (Some(end_id), Some(start_id)) = ends {
        let processor = RobertaProcessing::new((end.to_owned(), end_id), (start.to_owned(), start_id));
        inner.with_post_processor(Some(processor.trim_offsets(true).add_prefix_space(false)));
    }
    // A mask spelled out in a text takes the space before it along.
    let specials = Family::Roberta.special_tokens().map(|token| AddedToken::from(token, true).lstrip(token == mask));
    add_known(&mut inner, specials)?;
    Tokenizer::assemble(inner, Family::Roberta, origin)
}

/// A WordPiece tokenizer as `bert-base-uncased` is configured: text cleaned, Chinese characters apart, accents
/// stripped, lower case.
fn bert(vocab: Vocabulary, origin: &Path) -> Result<Tokenizer, TextError> {
    let [start, _, end, unknown, _] = Family::Bert.special_tokens();
    let ends = (vocab.get(end).copied(), vocab.get(start).copied());
    let model = WordPiece::builder()
        .vocab(vocab.into_iter().collect::<bpe::Vocab>())
        .unk_token(unknown.to_owned())
        .continuing_subword_prefix("##".to_owned())
        .build()
        .map_err(|error| TextError::format(origin, error))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    inner.with_normalizer(Some(BertNormalizer::new(true, true, None, true))).map_err(TextError::build)?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    inner.with_decoder(Some(WordPieceDecoder::new("##".to_owned(), true)));
    if let (Some(end_id), Some(start_id)) = ends {
        inner.with_post_processor(Some(BertProcessing::new((end.to_owned(), end_id), (start.to_owned(), start_id))));
    }
    add_known(&mut inner, Family::Bert.special_tokens().map(|token| AddedToken::from(token, true)))?;
    Tokenizer::assemble(inner, Family::Bert, origin)
}

/// Declares those special tokens that the vocabulary has. A missing one must stay missing, to be reported, and not get
/// a new id.
fn add_known(inner: &mut tokenizers::Tokenizer, specials: [AddedToken; 5]) -> Result<(), TextError> {
    let known: Vec<_> = specials.into_iter().filter(|token| inner.token_to_id(&token.content).is_some()).collect();
    inner.add_special_tokens(known).map_err(TextError::build)?;
    Ok(())
}

/// `tokenizer.json`, the tokenizer library's own form.
fn from_json(path: &Path) -> Result<Tokenizer, TextError> {
    let text = read(path)?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| TextError::format(path, error))?;
    let model = &json["model"];
    // Older files do not name the type; only BPE has merges.
    let kind = model["type"].as_str().unwrap_or(if model["merges"].is_array() { "BPE" } else { "" });
    let family = match kind {
        "BPE" => Family::Roberta,
        "WordPiece" => Family::Bert,
        other => {
            let reason = format!("model.type is {other:?}: expected \"BPE\" (RoBERTa) or \"WordPiece\" (BERT)");
            return Err(TextError::format(path, reason));
        }
    };
    if !model["dropout"].is_null() {
        let reason = "model.dropout is set, so that a text would get other ids every time: set it to null";
        return Err(TextError::format(path, reason));
    }
    if family == Family::Roberta {
        if model["continuing_subword_prefix"].as_str().is_some_and(|prefix| !prefix.is_empty()) {
            let reason = "model.continuing_subword_prefix is set: RoBERTa's byte-level BPE has none";
            return Err(TextError::format(path, reason));
        }
        check_json_merges(path, model)?;
    }
    let inner = tokenizers::Tokenizer::from_bytes(&text).map_err(|error| TextError::format(path, error))?;
    Tokenizer::assemble(inner, family, path)
}

/// The merges of a `tokenizer.json`, written `"a b"` or `["a", "b"]`, against its vocabulary.
fn check_json_merges(path: &Path, model: &serde_json::Value) -> Result<(), TextError> {
    let vocab: HashSet<&str> = model["vocab"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    for (index, merge) in model["merges"].as_array().into_iter().flatten().enumerate() {
        let pair = match merge {
            serde_json::Value::String(text) => text.split_once(' '),
            other => other[0].as_str().zip(other[1].as_str()),
        };
        check_merge(pair, |token| vocab.contains(token))
            .map_err(|reason| TextError::format(path, format!("model.merges[{index}]: {reason}")))?;
    }
    Ok(())
}

/// Whether both halves of a merge and their union are tokens: the tokenizer library relies on it.
fn check_merge<'a>(pair: Option<(&'a str, &'a str)>, has: impl Fn(&str) -> bool) -> Result<(&'a str, &'a str), String> {
    let (left, right) = pair.ok_or("expected two tokens with a space between them")?;
    let union = format!("{left}{right}");
    match [left, right, &union].into_iter().find(|token| !has(token)) {
        Some(token) => Err(format!("{token:?} is not in the vocabulary: the two come from different tokenizers")),
        None => Ok((left, right)),
    }
}

/// `vocab.json`: an object of token -> id.
fn read_vocab_json(path: &Path) -> Result<Vocabulary, TextError> {
    let vocab: Vocabulary = serde_json::from_str(&read(path)?).map_err(|error| TextError::format(path, error))?;
    let mut seen = HashMap::with_capacity(vocab.len());
    for (token, id) in &vocab {
        if let Some(other) = seen.insert(*id, token) {
            let mut both = [token, other];
            both.sort();
            return Err(TextError::format(path, format!("{:?} and {:?} have the same id {id}", both[0], both[1])));
        }
    }
    Ok(vocab)
}

/// `merges.txt`: a version line, then two tokens per line, the earliest merge first.
fn read_merges(path: &Path, vocab: &Vocabulary) -> Result<Merges, TextError> {
    let text = read(path)?;
    let mut merges = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("#version") || line.is_empty() {
            continue;
        }
        let pair = line.split_once(' ').filter(|(_, right)| !right.contains(' '));
        let (left, right) = check_merge(pair, |token| vocab.contains_key(token))
            .map_err(|reason| TextError::at(path, index + 1, reason))?;
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}

/// `vocab.txt`: a token per line, its id the line's number from 0. Of a repeated token the last line counts, as
/// everywhere.
fn read_vocab_txt(path: &Path) -> Result<Vocabulary, TextError> {
    let text = read(path)?;
    let too_long = || TextError::format(path, format!("it has more than {MAX_IDS} lines"));
    text.lines()
        .enumerate()
        .map(|(id, line)| Ok((line.trim_end().to_owned(), u32::try_from(id).map_err(|_| too_long())?)))
        .collect()
}

/// A file's text, within the size limit.
fn read(path: &Path) -> Result<String, TextError> {
    let wrap = |source| TextError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(wrap)?;
    let bytes = file.metadata().map_err(wrap)?.len();
    if bytes > MAX_BYTES {
        return Err(TextError::TooLarge { path: path.to_owned(), bytes, limit: MAX_BYTES });
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(wrap)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
