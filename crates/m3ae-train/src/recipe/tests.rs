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
