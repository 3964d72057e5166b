//! Training a byte-level BPE, for data sets without a published vocabulary. The synthetic set trains one on its own
//! captions and questions, whose number a recipe chooses, so no vocabulary could be shipped for it.
//!
//! The `tokenizers` crate has a trainer, but where two merges spell the same token its result depends on the order of a
//! randomly seeded hash table. This one is a function of its texts: ties go to the pair with the smaller ids, and a
//! merge that would spell a known token is not made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::path::Path;

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use crate::error::TextError;
use crate::family::Family;
use crate::load::roberta;
use crate::tokenizer::{MAX_IDS, Tokenizer};

/// Pairs that occur less often are not merged.
const MIN_COUNT: u64 = 2;

/// Two neighbouring symbols.
type Pair = (u32, u32);

impl Tokenizer {
    /// Trains a RoBERTa-style byte-level BPE: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then the 256 bytes, then merges
    /// in the order they were learnt, `<mask>` last. The vocabulary stays smaller than `vocab_size` where the texts
    /// repeat too little. The same texts, in whatever order, give the same tokenizer.
    ///
    /// # Errors
    /// `vocab_size` has no room for the special tokens and the bytes (261), or is larger than can be read back.
    pub fn train<'a>(texts: impl IntoIterator<Item = &'a str>, vocab_size: usize) -> Result<Self, TextError> {
        train(texts, vocab_size)
    }
}

fn train<'a>(texts: impl IntoIterator<Item = &'a str>, vocab_size: usize) -> Result<Tokenizer, TextError> {
    let [start, pad, end, unknown, mask] = Family::Roberta.special_tokens();
    let mut tokens: Vec<String> = [start, pad, end, unknown].map(str::to_owned).into();
    let alphabet: BTreeSet<char> = ByteLevel::alphabet().into_iter().collect();
    let symbols: HashMap<char, u32> = alphabet.iter().copied().zip(tokens.len() as u32..).collect();
    tokens.extend(alphabet.iter().map(char::to_string));
    let minimum = tokens.len() + 1;
    if !(minimum..=MAX_IDS).contains(&vocab_size) {
        return Err(TextError::VocabularySize { given: vocab_size, minimum, maximum: MAX_IDS });
    }

    let mut corpus = Corpus::new(count_words(texts)?, &symbols);
    let mut known: HashSet<String> = tokens.iter().cloned().chain([mask.to_owned()]).collect();
    let mut merges = Vec::new();
    while tokens.len() + 1 < vocab_size {
        let Some((left, right)) = corpus.most_frequent() else { break };
        let (a, b) = (tokens[left as usize].clone(), tokens[right as usize].clone());
        let union = format!("{a}{b}");
        if known.insert(union.clone()) {
            corpus.merge((left, right), tokens.len() as u32);
            tokens.push(union);
            merges.push((a, b));
        } else {
            corpus.forbid((left, right));
        }
    }
    tokens.push(mask.to_owned());
    roberta(tokens.into_iter().zip(0..).collect(), merges, Path::new("the training texts"))
}

/// The words of the texts, in byte-level spelling, and how often each occurs: split as encoding will split them.
fn count_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<BTreeMap<String, u64>, TextError> {
    let splitter = ByteLevel::new(false, true, true);
    let mut words = BTreeMap::new();
    for text in texts {
        let mut text = PreTokenizedString::from(text);
        splitter.pre_tokenize(&mut text).map_err(TextError::build)?;
        for (word, ..) in text.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            *words.entry(word.to_owned()).or_default() += 1;
        }
    }
    Ok(words)
}

/// How often a pair occurs, and in which words.
#[derive(Default)]
struct Occurrences {
    count: u64,
    words: HashSet<usize>,
}

/// Words as symbols, and an index of the pairs in them.
struct Corpus {
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, Occurrences>,
    /// Every count that a pair has had since it last was current: those that no longer hold are passed over.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
    forbidden: HashSet<Pair>,
}

impl Corpus {
    fn new(counts: BTreeMap<String, u64>, symbols: &HashMap<char, u32>) -> Self {
        let words: Vec<(Vec<u32>, u64)> = counts
            .into_iter()
            .map(|(word, count)| (word.chars().filter_map(|symbol| symbols.get(&symbol).copied()).collect(), count))
            .collect();
        let mut pairs: HashMap<Pair, Occurrences> = HashMap::new();
        for (index, (word, count)) in words.iter().enumerate() {
            for pair in pairs_of(word) {
                let entry = pairs.entry(pair).or_default();
                entry.count += count;
                entry.words.insert(index);
            }
        }
        let queue = pairs.iter().map(|(&pair, entry)| (entry.count, Reverse(pair))).collect();
        Self { words, pairs, queue, forbidden: HashSet::new() }
    }

    /// The pair that occurs most often, if any occurs often enough. It stays so until it is merged or forbidden.
    fn most_frequent(&mut self) -> Option<Pair> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let current = self.pairs.get(&pair).map_or(0, |entry| entry.count);
            if count == current && count >= MIN_COUNT && !self.forbidden.contains(&pair) {
                return Some(pair);
            }
        }
        None
    }

    /// Never offers `pair` again.
    fn forbid(&mut self, pair: Pair) {
        self.forbidden.insert(pair);
    }

    /// Replaces `pair` by `union` in every word.
    fn merge(&mut self, pair: Pair, union: u32) {
        let Some(occurrences) = self.pairs.get(&pair) else { return };
        let mut changed = HashSet::new();
        for index in occurrences.words.clone() {
            let (word, count) = &mut self.words[index];
            let merged = merged(word, pair, union);
            for old in pairs_of(word) {
                if let Some(entry) = self.pairs.get_mut(&old) {
                    entry.count -= *count;
                    entry.words.remove(&index);
                }
                changed.insert(old);
            }
            for new in pairs_of(&merged) {
                let entry = self.pairs.entry(new).or_default();
                entry.count += *count;
                entry.words.insert(index);
                changed.insert(new);
            }
            *word = merged;
        }
        for pair in changed {
            match self.pairs.get(&pair).map_or(0, |entry| entry.count) {
                0 => drop(self.pairs.remove(&pair)),
                count => self.queue.push((count, Reverse(pair))),
            }
        }
    }
}

/// Each two neighbours, as often as they occur.
fn pairs_of(word: &[u32]) -> impl Iterator<Item = Pair> {
    word.windows(2).map(|pair| (pair[0], pair[1]))
}

/// The word with every `pair` replaced by `union`, from the left.
fn merged(word: &[u32], pair: Pair, union: u32) -> Vec<u32> {
    let mut result = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&symbol, tail)) = rest.split_first() {
        if symbol == pair.0 && tail.first() == Some(&pair.1) {
            result.push(union);
            rest = &tail[1..];
        } else {
            result.push(symbol);
            rest = tail;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXTS: [&str; 4] =
        ["Chest x-ray: no effusion.", "Chest CT with effusion", "no pleural effusion; no pneumothorax", "aaaa aaa aa"];

    #[test]
    fn specials_stand_where_roberta_has_them() {
        let tokenizer = Tokenizer::train(TEXTS, 300).unwrap();
        let specials = tokenizer.specials();
        assert_eq!((specials.start, specials.pad, specials.end, specials.unknown), (0, 1, 2, 3));
        assert_eq!(specials.mask as usize, tokenizer.vocab_size() - 1);
        assert_eq!(tokenizer.token(specials.mask).as_deref(), Some("<mask>"));
        assert_eq!(tokenizer.family(), Family::Roberta);
    }

    #[test]
    fn frequent_words_become_one_token() {
        let tokenizer = Tokenizer::train(TEXTS, 400).unwrap();
        // " effusion" occurs three times: start, one token, end.
        let encoding = tokenizer.encode(" effusion", 16).unwrap();
        assert_eq!(encoding.ids.len(), 3, "{:?}", encoding.ids);
        assert!(tokenizer.starts_word(encoding.ids[1]));
    }

    #[test]
    fn the_vocabulary_keeps_to_its_size() {
        assert_eq!(Tokenizer::train(TEXTS, 270).unwrap().vocab_size(), 270);
        // Nothing occurs twice: specials and bytes are all there is.
        assert_eq!(Tokenizer::train(["abcdef"], 1000).unwrap().vocab_size(), 261);
        for size in [0, 260, usize::MAX] {
            assert!(matches!(Tokenizer::train(TEXTS, size), Err(TextError::VocabularySize { minimum: 261, .. })));
        }
    }

    /// The merges by definition: count every pair anew each time.
    fn merges_by_definition(texts: &[String], count: usize) -> Vec<String> {
        let alphabet: BTreeSet<char> = ByteLevel::alphabet().into_iter().collect();
        let mut tokens: Vec<String> = alphabet.iter().map(char::to_string).collect();
        let symbols: HashMap<char, u32> = alphabet.into_iter().zip(0..).collect();
        let mut words: Vec<(Vec<u32>, u64)> = count_words(texts.iter().map(String::as_str))
            .unwrap()
            .into_iter()
            .map(|(word, count)| (word.chars().map(|symbol| symbols[&symbol]).collect(), count))
            .collect();
        let mut learnt = Vec::new();
        while learnt.len() < count {
            let mut pairs: BTreeMap<Pair, u64> = BTreeMap::new();
            for (word, count) in &words {
                pairs_of(word).for_each(|pair| *pairs.entry(pair).or_default() += count);
            }
            let spell = |pair: Pair| format!("{}{}", tokens[pair.0 as usize], tokens[pair.1 as usize]);
            let best = pairs
                .into_iter()
                .filter(|&(pair, count)| count >= MIN_COUNT && !tokens.contains(&spell(pair)))
                .max_by_key(|&(pair, count)| (count, Reverse(pair)));
            let Some((pair, _)) = best else { break };
            let union = spell(pair);
            let id = tokens.len() as u32;
            words.iter_mut().for_each(|(word, _)| *word = merged(word, pair, id));
            tokens.push(union.clone());
            learnt.push(union);
        }
        learnt
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_index_learns_what_counting_anew_would(texts in prop::collection::vec("[ab]{1,8}( [abc]{1,6}){0,4}", 1..6)) {
            let tokenizer = Tokenizer::train(texts.iter().map(String::as_str), 261 + 12).unwrap();
            let learnt: Vec<String> =
                (260..tokenizer.vocab_size() as u32 - 1).map(|id| tokenizer.token(id).unwrap()).collect();
            prop_assert_eq!(learnt, merges_by_definition(&texts, 12));
        }

        #[test]
        fn any_text_survives_encoding(text in "\\PC{0,40}") {
            let tokenizer = Tokenizer::train(TEXTS, 300).unwrap();
            prop_assume!(!text.contains('<'));
            let encoding = tokenizer.encode(&text, 1000).unwrap();
            prop_assert!(!encoding.truncated && !encoding.ids.contains(&tokenizer.specials().unknown));
            prop_assert_eq!(tokenizer.decode(&encoding.ids, true), text);
        }

        #[test]
        fn the_order_of_the_texts_does_not_matter(mut texts in prop::collection::vec("[abc ]{0,12}", 0..8)) {
            let first = Tokenizer::train(texts.iter().map(String::as_str), 280).unwrap();
            texts.reverse();
            let second = Tokenizer::train(texts.iter().map(String::as_str), 280).unwrap();
            prop_assert_eq!(first.hash(), second.hash());
        }
    }

    #[test]
    fn the_trained_tokenizer_never_changes() {
        // Recorded from the first version: runs made with a trained tokenizer refuse another one.
        assert_eq!(Tokenizer::train(TEXTS, 300).unwrap().hash(), RECORDED);
    }
    const RECORDED: &str = "a24f58ddeeb770ea598b161d822d3954800c043fec98b7de1dbb01fd20b61a3c";
}
