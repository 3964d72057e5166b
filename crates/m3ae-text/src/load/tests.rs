//! Published files, good and bad.

use super::*;

const WORD_PIECES: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\neff\n##usion\nno\n.\n中\n";

/// A folder with one file.
fn folder_with(name: &str, content: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    folder
}

#[test]
fn word_pieces_follow_bert() {
    let folder = folder_with("vocab.txt", WORD_PIECES);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!((tokenizer.family(), tokenizer.vocab_size()), (Family::Bert, 10));
    // Lower case, no accents, Chinese characters apart, punctuation apart, unknown words as one token.
    let encoding = tokenizer.encode("Nó EFFUSION中no.xyz\u{0}", 32).unwrap();
    assert_eq!(encoding.ids, [2, 7, 5, 6, 9, 7, 8, 1, 3]);
    assert_eq!((tokenizer.starts_word(5), tokenizer.starts_word(6), tokenizer.starts_word(99)), (true, false, false));
    assert_eq!(tokenizer.decode(&encoding.ids, true), "no effusion 中 no.");
}

#[test]
fn long_texts_are_cut_between_start_and_end() {
    let tokenizer = Tokenizer::load(folder_with("vocab.txt", WORD_PIECES).path()).unwrap();
    let cut = tokenizer.encode("no no no no", 4).unwrap();
    assert_eq!((cut.ids.as_slice(), cut.truncated), ([2, 7, 7, 3].as_slice(), true));
    let whole = tokenizer.encode("no no", 4).unwrap();
    assert_eq!((whole.ids, whole.truncated), (cut.ids, false));
    assert_eq!(tokenizer.encode("", 2).unwrap().ids, [2, 3]);
    assert!(matches!(tokenizer.encode("no", 1), Err(TextError::MaxLength { given: 1 })));
}

#[test]
fn a_saved_tokenizer_comes_back_the_same() {
    for original in [
        Tokenizer::load(folder_with("vocab.txt", WORD_PIECES).path()).unwrap(),
        Tokenizer::train(["no effusion, no fracture"], 265).unwrap(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let nested = folder.path().join("made/for/it");
        original.save(&nested).unwrap();
        assert_eq!(fs::read_dir(&nested).unwrap().count(), 1, "only tokenizer.json is left behind");
        for path in [nested.clone(), nested.join("tokenizer.json")] {
            let loaded = Tokenizer::load(&path).unwrap();
            assert_eq!(loaded.hash(), original.hash());
            assert_eq!(loaded.specials(), original.specials());
            let text = "No effusion; <mask> [MASK]";
            assert_eq!(loaded.encode(text, 64).unwrap(), original.encode(text, 64).unwrap());
        }
    }
}

#[test]
fn the_hash_sees_every_change() {
    let hash = |vocab: &str| Tokenizer::load(folder_with("vocab.txt", vocab).path()).unwrap().hash();
    assert_eq!(hash(WORD_PIECES), hash(WORD_PIECES));
    assert_eq!(hash(WORD_PIECES).len(), 64);
    assert_ne!(hash(WORD_PIECES), hash(&WORD_PIECES.replace("eff", "aff")));
    assert_ne!(hash(WORD_PIECES), hash(&WORD_PIECES.replace("no\n.", ".\nno")));
}

#[test]
fn a_padded_and_truncating_file_is_read_without_either() {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::load(folder_with("vocab.txt", WORD_PIECES).path()).unwrap().save(folder.path()).unwrap();
    let path = folder.path().join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    json["truncation"] = serde_json::json!(
        {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    fs::write(&path, json.to_string()).unwrap();
    assert_eq!(Tokenizer::load(&path).unwrap().encode("no no no", 9).unwrap().ids, [2, 7, 7, 7, 3]);
}

/// Name and content of a file.
type File<'a> = (&'a str, &'a [u8]);

/// The error of loading a folder with these files.
fn refusal(files: &[File<'_>]) -> String {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, content)| fs::write(folder.path().join(name), content).unwrap());
    Tokenizer::load(folder.path()).unwrap_err().to_string()
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    let vocab: &[u8] =
        br#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "c": 6, "ab": 7, "<mask>": 8}"#;
    let cases: [(&[File<'_>], &[&str]); 11] = [
        (&[], &["no tokenizer at", "vocab.txt"]),
        (&[("vocab.json", vocab)], &["no tokenizer at", "merges.txt"]),
        (&[("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nno\n")], &["vocab.txt", "[MASK]", "BERT"]),
        (&[("vocab.txt", b"")], &["vocab.txt", "[CLS]"]),
        (&[("vocab.txt", b"\xff\xfe")], &["vocab.txt", "UTF-8"]),
        (&[("vocab.json", br#"{"a": 0, "b": 0}"#), ("merges.txt", b"")], &["\"a\" and \"b\"", "id 0"]),
        (&[("vocab.json", br#"{"a": 4294967295}"#), ("merges.txt", b"")], &["vocab.json"]),
        (&[("vocab.json", vocab), ("merges.txt", b"#version: 0.2\na b\nb c\n")], &["merges.txt, line 3", "\"bc\""]),
        (&[("vocab.json", vocab), ("merges.txt", b"a b c\n")], &["merges.txt, line 1", "two tokens"]),
        (&[("tokenizer.json", b"{\"model\": {\"type\": \"Unigram\"}}")], &["model.type", "Unigram"]),
        (&[("tokenizer.json", b"{\"model\"")], &["tokenizer.json", "line 1"]),
    ];
    for (files, expected) in cases {
        let message = refusal(files);
        assert!(expected.iter().all(|part| message.contains(part)), "{message}: {expected:?}");
    }
}

#[test]
fn an_unsound_tokenizer_json_is_refused_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::train(["no no no"], 262).unwrap().save(folder.path()).unwrap();
    let good = fs::read_to_string(folder.path().join("tokenizer.json")).unwrap();
    let changed = |pointer: &str, value: serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_str(&good).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        refusal(&[("tokenizer.json", json.to_string().as_bytes())])
    };
    assert!(changed("/model/dropout", 0.1.into()).contains("other ids every time"));
    assert!(changed("/model/merges/0", serde_json::json!(["a", "<unk>"])).contains("model.merges[0]"));
    assert!(changed("/model/merges/0", 7.into()).contains("expected two tokens"));
    assert!(changed("/model/continuing_subword_prefix", "##".into()).contains("continuing_subword_prefix"));
    assert!(changed("/model/vocab", serde_json::json!({})).contains("not in the vocabulary"));
}
