//! Promises of recipes.

use super::*;

const MINIMAL: &str = "
[run]
name = 'a'
[model]
preset = 'small'
[data]
phantom = 'datasets/phantom'
[train]
batch_size = 4
steps = 10
learning_rate = 1e-3
";

fn error(text: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|&s| s.to_owned()).collect();
    RunConfig::parse(text, "test.toml", &overrides).unwrap_err().to_string()
}

#[test]
fn a_resolved_recipe_reads_back_to_itself() {
    let config = RunConfig::parse(MINIMAL, "test.toml", &["train.steps=20".into(), "run.name=b".into()]).unwrap();
    assert_eq!((config.train.steps, config.run.name.as_str()), (Some(20), "b"));
    let text = toml::to_string(&config).unwrap();
    assert_eq!(RunConfig::parse(&text, "again", &[]).unwrap(), config);
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_a_suggestion() {
    let message = error(&MINIMAL.replace("learning_rate", "learnig_rate"), &[]);
    assert!(message.contains("did you mean `learning_rate`?"), "{message}");
    assert!(message.contains("line 11"), "{message}");
    let message = error(MINIMAL, &["train.step=3"]);
    assert!(message.contains("did you mean `steps`?"), "{message}");
}

#[test]
fn set_takes_paths_numbers_and_words() {
    let text = MINIMAL.replace("phantom = 'datasets/phantom'", "");
    let overrides = ["data.roco=../roco".to_owned(), "text.tokenizer=tok".into(), "masking.whole_words=true".into()];
    let config = RunConfig::parse(&text, "t", &overrides).unwrap();
    assert_eq!(config.data.roco, Some("../roco".into()));
    assert!(config.masking.whole_words);
    assert!(error(MINIMAL, &["train"]).contains("expected key=value"));
    assert!(error(MINIMAL, &["run.name.x=1"]).contains("is a value, not a section"));
}

#[test]
fn impossible_values_name_their_key() {
    for (option, key) in [
        ("train.batch_size=1", "train.batch_size"),
        ("train.steps=0", "train.steps"),
        ("train.learning_rate=nan", "train.learning_rate"),
        ("train.warmup=11", "train.warmup"),
        ("data.max_skipped_share=2.0", "data.max_skipped_share"),
        ("run.name=a/b", "run.name"),
        ("data.roco=x", "data"),
    ] {
        let message = error(MINIMAL, &[option]);
        assert!(message.starts_with(&format!("{key}:")), "{option}: {message}");
    }
}

#[test]
fn a_value_that_makes_no_sense_is_shown_with_its_line() {
    let message = error(&MINIMAL.replace("preset = 'small'", "preset = 'small'\nvision.image_sise = 32"), &[]);
    assert_eq!(message, "model.vision.image_sise: unknown key; did you mean `image_size`? (test.toml, line 6)");
    let message = error(&MINIMAL.replace("batch_size = 4", "batch_size = 1"), &[]);
    assert_eq!(message, "train.batch_size: 1 is too small; it must be at least 2 (test.toml, line 9)");
    // What --set changed stands in no line.
    assert!(!error(MINIMAL, &["train.batch_size=1"]).contains("line"));
}

#[test]
fn numbers_out_of_range_are_named_and_short() {
    for (option, expected) in [
        ("train.learning_rate=0.0", "train.learning_rate: 0 is not above 0 and at most 1"),
        ("train.learning_rate=1e300", "train.learning_rate: 1e300 is not above 0 and at most 1"),
        ("train.clip_norm=0.0", "train.clip_norm: 0 is not above 0 and finite"),
        ("train.clip_norm=inf", "train.clip_norm: inf is not above 0 and finite"),
        ("masking.text_probability=1.5", "masking.text_probability: 1.5 is not above 0 and at most 1"),
        ("masking.text_probability=0.0", "masking.text_probability: 0 is not above 0 and at most 1"),
        ("masking.image_ratio=1.0", "masking.image_ratio: 1 is not in [0, 1)"),
        ("objectives.mim=-1e-300", "objectives.mim: -1e-300 is not between 0 and 1000000"),
        ("train.batch_size=1000000000000", "train.batch_size: 1000000000000 is too large; at most 65536 is accepted"),
        ("phantom.side=31", "phantom.side: 31 is not between 32 and 1024"),
    ] {
        assert_eq!(error(MINIMAL, &[option]), expected);
    }
}

#[test]
fn every_recipe_in_the_repository_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut found = 0;
    for folder in [folder.clone(), folder.join("pretrain"), folder.join("finetune")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                // One recipe leaves the tokenizer to the user.
                let config = RunConfig::load(&path, &["text.tokenizer=x".into()]).unwrap();
                assert_eq!(RunConfig::parse(&config.to_toml().unwrap(), "again", &[]).unwrap(), config);
                found += 1;
            }
        }
    }
    assert!(found >= 10, "{found}");
}

#[test]
fn warm_up_is_a_share_below_one_and_steps_from_one_on() {
    let warmup =
        |value: &str| RunConfig::parse(MINIMAL, "t", &[format!("train.warmup={value}")]).unwrap().schedule(10).warmup;
    assert_eq!((warmup("0.25"), warmup("3.0"), warmup("0.0")), (2, 3, 0));
}

#[test]
fn how_gradients_come_together_is_one_of_three_words_and_absent_by_default() {
    let parse = |options: &[String]| RunConfig::parse(MINIMAL, "t", options);
    let default = parse(&[]).unwrap();
    assert_eq!(default.train.all_reduce, AllReduce::Auto);
    assert!(!default.to_toml().unwrap().contains("all_reduce"));
    for (word, value) in [("auto", AllReduce::Auto), ("collective", AllReduce::Collective), ("copy", AllReduce::Copy)] {
        let config = parse(&[format!("train.all_reduce={word}")]).unwrap();
        assert_eq!(config.train.all_reduce, value);
        assert_eq!(RunConfig::parse(&config.to_toml().unwrap(), "again", &[]).unwrap(), config);
    }
    let message = error(MINIMAL, &["train.all_reduce=nccl"]);
    assert!(message.contains("expected one of `auto`, `collective`, `copy`"), "{message}");
}
