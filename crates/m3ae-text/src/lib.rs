//! Tokenization, answer normalisation and vocabularies.
