//! `m3ae info` and `m3ae convert`.

use std::fs;
use std::path::Path;

use m3ae_text::Tokenizer;

use crate::finetune::tuned;
use crate::locate::golden;
use crate::{fails, succeeds};

#[test]
fn a_checkpoint_becomes_a_folder_that_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = golden("fixture").join("m3ae.ckpt").display().to_string();
    let text = succeeds(folder.path(), &["info", &fixture]);
    assert!(text.contains("PyTorch-Lightning") && text.contains("heads     mlm, mim, itm, vqa, cls, irtr"), "{text}");

    let printed = succeeds(folder.path(), &["convert", &fixture, "--out", "model"]);
    assert!(printed.contains("299 parameters loaded"), "{printed}");
    let text = succeeds(folder.path(), &["info", "model"]);
    assert!(text.contains("heads     mlm, mim, itm, vqa, cls, irtr"), "{text}");

    // Nothing that exists is overwritten, and what is no checkpoint is said to be none.
    assert!(fails(folder.path(), &["convert", &fixture, "--out", "model"]).contains("model"));
    assert!(fails(folder.path(), &["info", "nowhere"]).contains("nowhere"));
    std::fs::write(folder.path().join("notes.txt"), "some notes about a model").unwrap();
    assert!(fails(folder.path(), &["info", "notes.txt"]).contains("notes.txt"));
}

#[test]
fn a_published_tokenizer_of_several_files_becomes_one() {
    let folder = tempfile::tempdir().unwrap();
    let published = golden("text").join("roberta-base");
    let fixture = golden("fixture").join("m3ae.ckpt").display().to_string();
    let arguments = ["convert", &fixture, "--out", "model", "--tokenizer", &published.display().to_string()];
    succeeds(folder.path(), &arguments);
    let hash = |path: &Path| Tokenizer::load(path).unwrap().hash().to_owned();
    assert_eq!(hash(&folder.path().join("model/tokenizer.json")), hash(&published));
}

#[test]
fn the_folder_of_a_run_stands_for_the_model_in_it() {
    let made = tempfile::tempdir().unwrap();
    let out = made.path().join("model").display().to_string();
    let text = succeeds(tuned(), &["info", "runs/tiny"]);
    assert_eq!(text, succeeds(tuned(), &["info", "runs/tiny/model"]));
    assert!(text.contains(&Path::new("runs/tiny/model/model.safetensors").display().to_string()), "{text}");
    succeeds(tuned(), &["convert", "runs/tiny", "--out", &out]);
    // Its tokenizer and its answers go with the model.
    for name in ["model.safetensors", "config.json", "tokenizer.json", "answers.json"] {
        let bytes = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert!(bytes(&tuned().join("runs/tiny/model")) == bytes(Path::new(&out)), "{name}");
    }

    // A run that has no model yet names the checkpoint that can be opened instead.
    let run = made.path().join("run");
    let checkpoint = run.join("checkpoints/step-000003");
    fs::create_dir_all(&checkpoint).unwrap();
    fs::copy(Path::new(&out).join("model.safetensors"), checkpoint.join("model.safetensors")).unwrap();
    let error = fails(made.path(), &["info", "run"]);
    let newest = Path::new("run/checkpoints/step-000003").display().to_string();
    assert!(error.contains("no model yet") && error.contains(&newest), "{error}");
}
