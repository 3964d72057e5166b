//! The published tokenizers and the normalisation of answers, against what the reference computes.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on fails.

#[path = "../../../../tests/golden/locate.rs"]
mod locate;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use m3ae_text::{Family, Tokenizer};

use locate::{golden, larger_golden};

/// Compares the ids and masks of every text in `tokens.json`.
fn compare_tokens(file: &Path, at_least: usize) {
    let cases: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= at_least, "{}", cases.len());
    for (folder, name, family) in
        [("roberta-base", "roberta", Family::Roberta), ("bert-base-uncased", "bert", Family::Bert)]
    {
        let tokenizer = Tokenizer::load(&golden("text").join(folder)).unwrap();
        assert_eq!(tokenizer.family(), family);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let length = case["max_length"].as_u64().unwrap() as usize;
            let encoding = tokenizer.encode(text, length).unwrap();
            let mask: Vec<u64> = (0..length).map(|i| u64::from(i < encoding.ids.len())).collect();
            let mut ids = encoding.ids;
            ids.resize(length, tokenizer.specials().pad);
            assert_eq!(serde_json::json!(ids), case[format!("{name}_ids")], "{name} at {length}: {text:?}");
            assert_eq!(serde_json::json!(mask), case[format!("{name}_mask")], "{name} at {length}: {text:?}");
        }
    }
}

fn compare_answers(file: &Path, at_least: usize) {
    let answers: BTreeMap<String, String> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(answers.len() >= at_least, "{}", answers.len());
    for (answer, normal) in answers {
        assert_eq!(m3ae_text::normalize_answer(&answer), normal, "{answer:?}");
    }
}

#[test]
fn ids_are_the_references() {
    compare_tokens(&golden("text/tokens.json"), 176);
}

#[test]
fn answers_are_normalised_as_the_reference_does() {
    compare_answers(&golden("text/answers.json"), 500);
}

#[test]
fn more_texts_and_answers_are_the_references() {
    let Some(folder) = larger_golden("golden/text") else { return };
    compare_tokens(&folder.join("tokens.json"), 258);
    compare_answers(&folder.join("answers.json"), 900);
}
