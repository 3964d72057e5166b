//! Model folders: whole or not at all, and back without a bit's difference.

use std::fs;

use burn::prelude::*;
use m3ae_weights::{Checkpoint, Extras, WeightsError, export_folder, find_config, info, open_folder, resolve};

use crate::config;
use crate::craft::state;

fn answers(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("answer \"{i}\"")).collect()
}

#[test]
fn an_exported_folder_is_self_sufficient_and_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (device, out) = (Device::default(), folder.path().join("model"));
    let model = config().init(&device).unwrap();
    let tokenizer = folder.path().join("tokenizer.json");
    fs::write(&tokenizer, r#"{"version": "1.0"}"#).unwrap();
    let extras = Extras { tokenizer: Some(folder.path().to_owned()), answers: Some(answers(5)), max_length: Some(24) };
    export_folder(&model, &config(), &extras, &out).unwrap();
    fs::remove_file(&tokenizer).unwrap();

    let opened = open_folder(&out).unwrap();
    assert_eq!((&opened.config, opened.max_length), (&config(), Some(24)));
    assert_eq!(opened.answers, Some(answers(5)));
    assert_eq!(fs::read_to_string(opened.tokenizer.as_ref().unwrap()).unwrap(), r#"{"version": "1.0"}"#);
    let (copy, report) = opened.load(&device).unwrap();
    assert!(report.ignored.is_empty() && report.kept.is_empty(), "{report}");
    assert_eq!(state(&copy), state(&model));
    assert_eq!(find_config(&opened.checkpoint).unwrap(), config());
    assert_eq!(info(&out).unwrap().needs, m3ae_weights::Needs::M3ae(Box::new(config())));

    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["answers.json", "config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary folder is left");
}

#[test]
fn what_is_there_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(&Device::default()).unwrap();
    let error = export_folder(&model, &config(), &Extras::default(), folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::Exists { .. }), "{error}");
}

#[test]
fn a_failed_export_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let model = config().init(&Device::default()).unwrap();
    let missing = Extras { tokenizer: Some(folder.path().join("nowhere.json")), ..Extras::default() };
    let error = export_folder(&model, &config(), &missing, &out).unwrap_err();
    assert!(error.to_string().contains("nowhere.json"), "{error}");
    let wrong = Extras { answers: Some(answers(4)), ..Extras::default() };
    let error = export_folder(&model, &config(), &wrong, &out).unwrap_err();
    assert!(error.to_string().contains("4 answers for a question-answering head of 5"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let model = config().init(&Device::default()).unwrap();
    let extras = Extras { answers: Some(answers(5)), ..Extras::default() };
    export_folder(&model, &config(), &extras, &out).unwrap();
    let refused = |name: &str, text: &str, expected: &str| {
        let path = out.join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let error = open_folder(&out).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(name), "{expected}: {error}");
        fs::write(&path, before).unwrap();
    };
    refused("config.json", r#"{"format": "m3ae", "version": 2, "model": {}}"#, "version 2");
    refused("config.json", r#"{"format": "m3ae", "version": 1, "model": {}}"#, "model: ");
    refused("config.json", r#"{"model_type": "roberta"}"#, "not of an exported model");
    refused("config.json", "[[[[", "EOF");
    refused("answers.json", r#"["yes"]"#, "1 answers for a question-answering head of 5");
    let config = fs::read_to_string(out.join("config.json")).unwrap();
    refused(
        "config.json",
        &config.replace("\"image_size\": 32", "\"image_size\": 8000000"),
        "8000000 is too large; at most 16384 is accepted",
    );
    refused(
        "config.json",
        &config.replace("\"layers\": 1", "\"layers\": 100000000"),
        "100000000 is too large; at most 1024 is accepted",
    );
    open_folder(&out).unwrap();
}

#[test]
fn the_folder_of_a_run_leads_to_its_model() {
    let run = tempfile::tempdir().unwrap();
    let weights = config().init(&Device::default()).unwrap();
    let at = |path: &str| run.path().join(path);
    let given = run.path().to_str().unwrap();
    fs::create_dir(at("checkpoints")).unwrap();
    // Still training: there is nothing to open, and no checkpoint to offer.
    let error = resolve(given).unwrap_err().to_string();
    assert!(error.contains(given) && error.contains("no model yet") && !error.contains("newest"), "{error}");

    for name in ["step-000010", "best-000200", "step-000300", ".step-000400.part"] {
        export_folder(&weights, &config(), &Extras::default(), &at("checkpoints").join(name)).unwrap();
    }
    fs::create_dir(at("checkpoints/step-000500")).unwrap();
    for result in
        [resolve(given).map(|_| ()), Checkpoint::open(run.path()).map(|_| ()), open_folder(run.path()).map(|_| ())]
    {
        let Err(WeightsError::Unfinished { checkpoint: Some(newest), .. }) = result else { panic!("{result:?}") };
        assert_eq!(newest, at("checkpoints/step-000300"));
        Checkpoint::open(&newest).unwrap();
    }

    export_folder(&weights, &config(), &Extras::default(), &at("model")).unwrap();
    assert_eq!(resolve(given).unwrap(), at("model"));
    assert_eq!(Checkpoint::open(run.path()).unwrap().path(), at("model/model.safetensors"));
    assert_eq!(info(run.path()).unwrap().path, at("model/model.safetensors"));
    assert_eq!(open_folder(run.path()).unwrap().path, at("model"));
    // A folder with weights of its own is that model, whatever else it holds.
    assert_eq!(resolve(at("model").to_str().unwrap()).unwrap(), at("model"));
}
