//! Masked language modelling: which tokens of a caption are hidden, and by what.
//!
//! The rule is BERT's, in the form of the reference's collator:
//! 1. The words of the sequence (single tokens, or groups of them) are put into a random order.
//! 2. Words are taken from it until 15 % of the sequence's tokens are chosen, at least one: the *count* is not left
//!    to chance. A word that would exceed the count is passed over.
//! 3. Of the chosen tokens, each for itself, 80 % become the mask token, 10 % a random token and 10 % stay.
//!
//! One difference: the reference pads to a fixed length first and counts the padding, both in the 15 % and among the
//! candidates, so that the masked share of a caption is 15 % only on average. Here padding is seen nowhere, and the
//! share is the same for every caption and however the batch is padded.

use m3ae_random::{Generator, Key, Stream};

/// The label of a position whose prediction does not count.
pub const IGNORED: i64 = -100;

/// The most tokens that are chosen in one sequence.
pub const MAX_PREDICTIONS: usize = 512;

/// The unit of masking: single tokens or whole words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Single tokens, as the reference does with RoBERTa.
    #[default]
    Token,
    /// All tokens of a word, as the reference does with BERT.
    WholeWord,
}

/// How captions are masked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextMaskConfig {
    /// Share of the sequence's tokens that are chosen, in `(0, 1]`.
    pub probability: f64,
    /// Share of the chosen tokens that become the mask token.
    pub replace: f64,
    /// Share of the chosen tokens that become a random token. The remaining tokens stay as they are.
    pub random: f64,
    /// Single tokens or whole words.
    pub unit: Unit,
}

impl Default for TextMaskConfig {
    fn default() -> Self {
        Self { probability: 0.15, replace: 0.8, random: 0.1, unit: Unit::Token }
    }
}

/// Which field of a [`TextMaskConfig`] is wrong.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum TextMaskError {
    /// The chosen share is not in `(0, 1]`.
    #[error("probability {0} is not in (0, 1]")]
    Probability(f64),
    /// The mask token's share is not in `[0, 1]`.
    #[error("replace {0} is not in [0, 1]")]
    Replace(f64),
    /// The random tokens' share is not in `[0, 1]`.
    #[error("random {0} is not in [0, 1]")]
    Random(f64),
    /// The two shares exceed the whole.
    #[error("replace {replace} and random {random} are together more than 1")]
    Shares {
        /// The mask token's share.
        replace: f64,
        /// The random tokens' share.
        random: f64,
    },
}

impl TextMaskConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn validate(&self) -> Result<(), TextMaskError> {
        let Self { probability, replace, random, .. } = *self;
        if !(probability > 0.0 && probability <= 1.0) {
            return Err(TextMaskError::Probability(probability));
        }
        if !(0.0..=1.0).contains(&replace) {
            return Err(TextMaskError::Replace(replace));
        }
        if !(0.0..=1.0).contains(&random) {
            return Err(TextMaskError::Random(random));
        }
        // 0.9 + 0.1 and the like may exceed 1 by a rounding.
        if replace + random > 1.0 + 1e-9 {
            return Err(TextMaskError::Shares { replace, random });
        }
        Ok(())
    }
}

/// The ids of a vocabulary that masking needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    size: u32,
    mask: u32,
    padding: u32,
    /// Ascending, without repetition, with the mask and the padding.
    special: Vec<u32>,
}

/// Why a [`Vocabulary`] cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    /// A special token is none of the vocabulary's.
    #[error("special token {id} is not in a vocabulary of {size} tokens")]
    Special {
        /// The special token.
        id: u32,
        /// Tokens in the vocabulary.
        size: u32,
    },
    /// There is no token that could be drawn at random.
    #[error("all {0} tokens of the vocabulary are special")]
    AllSpecial(u32),
}

impl Vocabulary {
    /// A vocabulary of `size` tokens. `special` are the tokens that are never masked and never drawn at random; `mask`
    /// and `padding` belong to them, named there or not. The reference also counts the unknown token to them.
    ///
    /// # Errors
    /// Where a special token is outside the vocabulary, or no other token is left.
    pub fn new(size: u32, mask: u32, padding: u32, special: &[u32]) -> Result<Self, VocabularyError> {
        let mut special = [special, &[mask, padding]].concat();
        special.sort_unstable();
        special.dedup();
        if let Some(&id) = special.last().filter(|&&id| id >= size) {
            return Err(VocabularyError::Special { id, size });
        }
        if special.len() == size as usize {
            return Err(VocabularyError::AllSpecial(size));
        }
        Ok(Self { size, mask, padding, special })
    }

    /// Whether a token is never masked: special tokens, the mask token and padding.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.special.binary_search(&id).is_ok()
    }

    /// A token that is not special, uniformly.
    fn draw(&self, generator: &mut Generator) -> u32 {
        // The n-th token that is not special: the n-th of all, moved on by every special one up to there.
        let mut id = generator.below(self.size as usize - self.special.len()) as u32;
        for &special in &self.special {
            id += u32::from(special <= id);
        }
        id
    }
}

/// A masked caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedText {
    /// The tokens the encoder sees.
    pub ids: Vec<u32>,
    /// The original token where one was chosen, [`IGNORED`] elsewhere.
    pub labels: Vec<i64>,
}

/// Masks captions of one vocabulary.
///
/// ```
/// use m3ae_masking::{IGNORED, TextMaskConfig, TextMasker, Vocabulary};
/// use m3ae_random::{Key, Stream};
///
/// // RoBERTa's <s>, <pad>, </s>, <unk> and <mask>.
/// let vocabulary = Vocabulary::new(50_265, 50_264, 1, &[0, 1, 2, 3, 50_264])?;
/// let masker = TextMasker::new(TextMaskConfig::default(), vocabulary)?;
///
/// let ids = [0, 500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 2, 1, 1];
/// let key = Key { seed: 7, epoch: 0, sample: "ROCO_00001#0", stream: Stream::TextMask };
/// let masked = masker.mask(&ids, |_| true, key);
/// // 15 % of 12 tokens; the two of padding do not count.
/// assert_eq!(masked.labels.iter().filter(|&&label| label != IGNORED).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TextMasker {
    config: TextMaskConfig,
    vocabulary: Vocabulary,
}

impl TextMasker {
    /// A masker with these settings.
    ///
    /// # Errors
    /// Where the settings are not valid.
    pub fn new(config: TextMaskConfig, vocabulary: Vocabulary) -> Result<Self, TextMaskError> {
        config.validate()?;
        Ok(Self { config, vocabulary })
    }

    /// How many tokens of a sequence are to be chosen, given its length with special tokens and without padding:
    /// the configured share, rounded to the nearest (halves to the even), at least 1 and at most [`MAX_PREDICTIONS`].
    #[must_use]
    pub fn predictions(&self, length: usize) -> usize {
        let share = length as f64 * self.config.probability;
        (share.round_ties_even() as usize).clamp(1, MAX_PREDICTIONS)
    }

    /// Masks one sequence, padded or not. `starts_word` tells, by position, whether a token begins a word; it is only
    /// asked under [`Unit::WholeWord`]. A token after a special one begins a word in any case.
    ///
    /// The draw is named by `key`, whose stream is taken to be [`Stream::TextMask`] whatever it says.
    ///
    /// With [`Unit::Token`] exactly [`predictions`](Self::predictions) tokens get a label, or all that can where they
    /// are fewer; with [`Unit::WholeWord`] at most as many. A sequence whose tokens are all special gets no label, nor
    /// does one whose words are all longer than the count.
    #[must_use]
    pub fn mask(&self, ids: &[u32], starts_word: impl Fn(usize) -> bool, key: Key<'_>) -> MaskedText {
        let mut generator = Key { stream: Stream::TextMask, ..key }.generator();
        let mut masked = MaskedText { ids: ids.to_vec(), labels: vec![IGNORED; ids.len()] };
        for position in self.choose(ids, starts_word, &mut generator) {
            masked.labels[position] = i64::from(ids[position]);
            let share = f64::from(generator.uniform());
            if share < self.config.replace {
                masked.ids[position] = self.vocabulary.mask;
            } else if share < self.config.replace + self.config.random {
                masked.ids[position] = self.vocabulary.draw(&mut generator);
            }
        }
        masked
    }

    /// The chosen positions, ascending.
    fn choose(&self, ids: &[u32], starts_word: impl Fn(usize) -> bool, generator: &mut Generator) -> Vec<usize> {
        let length = ids.iter().filter(|&&id| id != self.vocabulary.padding).count();
        let predictions = self.predictions(length);
        let mut words = self.words(ids, starts_word);
        generator.shuffle(&mut words);
        let mut chosen = Vec::with_capacity(predictions);
        for word in words {
            if chosen.len() + word.len() <= predictions {
                chosen.extend(word);
            }
        }
        chosen.sort_unstable();
        chosen
    }

    /// The units of a text: runs of positions, none of them special.
    fn words(&self, ids: &[u32], starts_word: impl Fn(usize) -> bool) -> Vec<std::ops::Range<usize>> {
        let mut words: Vec<std::ops::Range<usize>> = Vec::new();
        for (position, &id) in ids.iter().enumerate() {
            if self.vocabulary.is_special(id) {
                continue;
            }
            match words.last_mut() {
                Some(word) if self.config.unit == Unit::WholeWord && word.end == position && !starts_word(position) => {
                    word.end = position + 1;
                }
                _ => words.push(position..position + 1),
            }
        }
        words
    }
}
