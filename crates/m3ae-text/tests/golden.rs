//! The published tokenizers, against the ids that the reference computes.

use m3ae_text::{Family, Tokenizer};
use std::{fs, path::Path};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");

#[test]
fn ids_are_the_references() {
    let golden = Path::new(SHARED).join("golden/text/tokens.json");
    if !golden.is_file() {
        eprintln!("SKIPPED: no golden data at {}", golden.display());
        return;
    }
    let cases: serde_json::Value = serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(!cases.is_empty());
    for (folder, name, family) in
        [("roberta-base", "roberta", Family::Roberta), ("bert-base-uncased", "bert", Family::Bert)]
    {
        let tokenizer = Tokenizer::load(&Path::new(SHARED).join("data/tokenizers").join(folder)).unwrap();
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

#[test]
fn answers_are_normalised_as_the_reference_does() {
    let golden = Path::new(SHARED).join("golden/text/answers.json");
    if !golden.is_file() {
        eprintln!("SKIPPED: no golden data at {}", golden.display());
        return;
    }
    let answers: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
    assert!(answers.len() > 900);
    for (answer, normal) in answers {
        assert_eq!(m3ae_text::normalize_answer(&answer), normal, "{answer:?}");
    }
}
