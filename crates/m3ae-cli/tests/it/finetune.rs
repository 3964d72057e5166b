//! `m3ae finetune`, on synthetic data and on a toy set in MELINDA's layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::{fails, pretrain::TINY, succeeds};

/// The tiny model's sizes and data, for fine-tuning.
fn recipe(kind: &str) -> String {
    let (head, tail) = TINY.split_once("[train]").unwrap();
    let (_, log) = tail.split_once("[log]").unwrap();
    let task = format!("[task]\nkind = \"{kind}\"\nfalse_texts = 3\n");
    let train = "[train]\nbatch_size = 4\nepochs = 2\nlearning_rate = 1e-3\n[log]\n";
    format!("{head}{task}{train}{}", log.replace("validate_every = 3\n", ""))
}

fn workplace(kind: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tune.toml"), recipe(kind)).unwrap();
    folder
}

fn finetune(folder: &Path, options: &[&str]) -> String {
    succeeds(folder, &[&["finetune", "--config", "tune.toml"], options].concat())
}

fn finetune_fails(folder: &Path, options: &[&str]) -> String {
    fails(folder, &[&["finetune", "--config", "tune.toml"], options].concat())
}

/// A folder with a tiny model fine-tuned to answer questions (`runs/tiny`) and its synthetic set (`phantom`): made
/// once, for tests that only read it.
pub fn tuned() -> &'static Path {
    // Nobody drops a static: a fixed place is cleaned by the next run instead.
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tuned");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("tune.toml"), recipe("question-answering")).unwrap();
        // A few images more than elsewhere, so that intervals over images have something to resample.
        finetune(&folder, &["--set", "phantom.vqa_test=5", "--set", "phantom.vqa_train=6"]);
        folder
    });
    &FOLDER
}

fn last_line(folder: &Path) -> serde_json::Value {
    let metrics = fs::read_to_string(folder.join("runs/tiny/metrics.jsonl")).unwrap();
    serde_json::from_str(metrics.lines().last().unwrap()).unwrap()
}

#[test]
fn questions_are_learned_from_a_pretrained_model_and_the_best_is_tested() {
    let folder = workplace("question-answering");
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    succeeds(folder.path(), &["pretrain", "--config", "tiny.toml", "--set", "run.name=first"]);

    // The folder of the run stands for the model in it, and for the tokenizer beside that model.
    let printed = finetune(folder.path(), &["--checkpoint", "runs/first"]);
    assert!(printed.contains("this head starts afresh") && printed.contains("test, best weights"), "{printed}");
    let test = last_line(folder.path());
    assert_eq!(test["event"], "test");
    let score = test["metrics"]["vqa_score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score), "{test}");
    let answers = fs::read_to_string(folder.path().join("runs/tiny/model/answers.json")).unwrap();
    let answers: Vec<String> = serde_json::from_str(&answers).unwrap();
    assert!(answers.contains(&"yes".to_owned()), "{answers:?}");
    let best = fs::read_dir(folder.path().join("runs/tiny/checkpoints")).unwrap();
    let best = best.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("best-"));
    assert_eq!(best.count(), 1);

    // A fine-tuned model goes on with its own head, and only with the same answers.
    let keep = ["--checkpoint", "runs/tiny/model", "--set", "init.keep_head=true", "--set", "run.name=second"];
    let printed = finetune(folder.path(), &keep);
    assert!(!printed.contains("this head starts afresh"), "{printed}");
    let other = ["--set", "phantom.vqa_train=9", "--set", "data.phantom=other", "--set", "run.name=third"];
    let tokenizer = ["--set", "text.tokenizer=phantom/tokenizer"];
    let error = finetune_fails(folder.path(), &[&keep[..4], &other[..], &tokenizer[..]].concat());
    assert!(error.contains("init.keep_head: the checkpoint's vqa_head has"), "{error}");
}

#[test]
fn a_run_goes_on_to_the_same_bytes_without_the_model_that_it_began_from() {
    let folder = workplace("question-answering");
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    succeeds(folder.path(), &["pretrain", "--config", "tiny.toml", "--set", "run.name=first"]);
    let options = ["--checkpoint", "runs/first/model", "--set", "checkpoint.every=1", "--set", "checkpoint.keep=99"];
    finetune(folder.path(), &options);
    let run = folder.path().join("runs/tiny");
    let whole = fs::read(run.join("model/model.safetensors")).unwrap();

    // As if the run had been killed after its first step, and the pre-trained model moved away since.
    fs::remove_dir_all(run.join("model")).unwrap();
    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("step-000001") {
            fs::remove_dir_all(path).unwrap();
        }
    }
    fs::rename(folder.path().join("runs/first"), folder.path().join("runs/elsewhere")).unwrap();
    let printed = finetune(folder.path(), &[&options[..], &["--resume"]].concat());
    assert!(printed.contains("resuming from") && printed.contains("step-000001"), "{printed}");
    assert_eq!(fs::read(run.join("model/model.safetensors")).unwrap(), whole);
}

#[test]
fn the_best_weights_are_kept_not_the_last() {
    let folder = workplace("question-answering");
    // With a rate this high, the second epoch undoes what the first has learned, or learns it: the model is the better
    // one.
    let options = ["--set", "train.learning_rate=0.05", "--set", "train.epochs=4", "--set", "checkpoint.every=1"];
    finetune(folder.path(), &options);
    let metrics = fs::read_to_string(folder.path().join("runs/tiny/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let validated: Vec<(u64, f64)> = lines
        .iter()
        .filter(|line| line["event"] == "validation" && line["step"] != 0)
        .map(|line| (line["step"].as_u64().unwrap(), line["metrics"]["vqa_score"].as_f64().unwrap()))
        .collect();
    // The first of equals.
    let best = validated.iter().copied().fold((0, -1.0), |best, at| if at.1 > best.1 { at } else { best });
    assert_eq!(lines.last().unwrap()["step"].as_u64(), Some(best.0), "{validated:?}");
    let weights = |path: String| fs::read(folder.path().join("runs/tiny").join(path)).unwrap();
    let kept = weights("model/model.safetensors".into());
    assert_eq!(kept, weights(format!("checkpoints/best-{:06}/model.safetensors", best.0)));
}

#[test]
fn a_run_whose_best_weights_are_lost_ends_with_the_last_ones_and_says_so() {
    let folder = workplace("question-answering");
    // Nothing is learned: the first validation is the best, and the last weights are of a later step.
    let options = ["--set", "train.learning_rate=1e-30", "--set", "train.epochs=3"];
    finetune(folder.path(), &options);
    let run = folder.path().join("runs/tiny");
    let best = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let best = best.filter(|path| path.to_string_lossy().contains("best-")).collect::<Vec<_>>();
    assert_eq!(best.len(), 1);
    let tested = last_line(folder.path())["step"].as_u64().unwrap();
    fs::remove_dir_all(&best[0]).unwrap();
    let output =
        crate::m3ae(folder.path(), &[&["finetune", "--config", "tune.toml", "--resume"], &options[..]].concat());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(err.contains(&format!("the best weights so far, those of step {tested}, are lost")), "{err}");
    let last = last_line(folder.path())["step"].as_u64().unwrap();
    assert!(last > tested && run.join("model/model.safetensors").is_file());
}

#[test]
fn retrieval_starts_from_the_matching_head() {
    let folder = workplace("retrieval");
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    succeeds(folder.path(), &["pretrain", "--config", "tiny.toml", "--set", "run.name=first"]);
    // The synthetic test split of the tiny recipe has one image; retrieval needs others beside it.
    let more = ["--set", "phantom.test=6", "--set", "data.phantom=more", "--set", "text.tokenizer=phantom/tokenizer"];
    let still = ["--checkpoint", "runs/first/model", "--set", "train.learning_rate=1e-30"];
    finetune(folder.path(), &[&still[..], &more[..]].concat());
    assert!(last_line(folder.path())["metrics"]["irtr_accuracy"].as_f64().is_some());
    let tensor = |run: &str, name: &str| {
        let weights = fs::read(folder.path().join("runs").join(run).join("model/model.safetensors")).unwrap();
        safetensors::SafeTensors::deserialize(&weights).unwrap().tensor(name).unwrap().data().to_vec()
    };
    let (matching, score) = (tensor("first", "itm_head.fc.weight"), tensor("tiny", "irtr_head.weight"));
    assert_eq!(matching[matching.len() / 2..], score);
}

/// MELINDA's layout: eight figures in each split, of two classes in `p_meth_label` and three in `i_meth_label`.
pub fn melinda(raw: &Path) {
    fs::create_dir_all(raw.join("melinda_images")).unwrap();
    for split in ["train", "dev", "test"] {
        let mut rows = "figure_file,caption,i_meth_label,p_meth_label,i_meth,p_meth\n".to_owned();
        for i in 0..8_u8 {
            let name = format!("{split}{i}.png");
            image::GrayImage::from_pixel(20, 20, [i * 30].into()).save(raw.join("melinda_images").join(&name)).unwrap();
            rows += &format!("{name},\"a figure,\nnumber {i}\",a{},b{},c{},d{}\n", i % 3, i % 2, i % 3, i % 2);
        }
        fs::write(raw.join(format!("{split}.csv")), rows).unwrap();
    }
}

#[test]
fn figures_are_classified_by_any_of_the_label_columns() {
    let folder = workplace("classification");
    let raw = folder.path().join("melinda");
    melinda(&raw);
    succeeds(folder.path(), &["prepare", "melinda", "--raw", "melinda"]);
    // A tokenizer: the synthetic set's.
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    succeeds(
        folder.path(),
        &["pretrain", "--config", "tiny.toml", "--set", "run.name=first", "--set", "train.steps=1"],
    );
    let text = recipe("classification").replace("phantom = \"phantom\"", "sets = [\"melinda\"]");
    let text = text.replace("[text]", "[text]\ntokenizer = \"phantom/tokenizer\"");
    fs::write(folder.path().join("tune.toml"), text).unwrap();

    let printed = finetune(folder.path(), &[]);
    assert!(printed.contains("classified correctly"), "{printed}");
    assert!(last_line(folder.path())["metrics"]["cls_accuracy"].as_f64().is_some());
    let classes = |folder: &Path| {
        let weights = fs::read(folder.join("model/model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
        tensors.tensor("cls_head.3.weight").unwrap().shape()[0]
    };
    assert_eq!(classes(&folder.path().join("runs/tiny")), 2);
    let printed = succeeds(folder.path(), &["eval", "melinda", "--checkpoint", "runs/tiny", "--resamples", "400"]);
    assert!(printed.contains("macro-F1"), "{printed}");
    let eval = fs::read_to_string(folder.path().join("runs/eval/melinda-tiny/eval.json")).unwrap();
    let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
    let accuracy = eval["scores"]["scores"]["accuracy"]["value"].as_f64().unwrap();
    let tested = last_line(folder.path())["metrics"]["cls_accuracy"].as_f64().unwrap();
    assert!((accuracy - tested).abs() < 1e-6, "{accuracy} {tested}");
    let error = fails(folder.path(), &["eval", "melinda", "--checkpoint", "runs/tiny", "--label", "i_meth_label"]);
    assert!(error.contains("has 2 classes, and i_meth_label has 3"), "{error}");
    // Weights that compute no number.
    let model = folder.path().join("runs/tiny/model");
    crate::eval::with_value(&model, &folder.path().join("broken"), "cls_head.3.bias", f32::NAN);
    let error = fails(folder.path(), &["eval", "melinda", "--checkpoint", "broken"]);
    assert!(error.contains("not finite") && !folder.path().join("runs/eval/melinda-broken").exists(), "{error}");
    finetune(folder.path(), &["--set", "task.label=i_meth_label", "--set", "run.name=other"]);
    assert_eq!(classes(&folder.path().join("runs/other")), 3);
    let error = finetune_fails(folder.path(), &["--set", "task.label=meth", "--set", "run.name=third"]);
    assert!(error.contains("task.label: there is no column \"meth\"; choose one of i_meth, p_meth"), "{error}");
}

#[test]
fn what_cannot_be_tuned_is_said_before_anything_starts() {
    let folder = workplace("question-answering");
    let error = finetune_fails(folder.path(), &["--checkpoint", "nowhere"]);
    assert!(error.contains("pre-train one first") && error.contains("nowhere"), "{error}");
    let error = finetune_fails(folder.path(), &["--set", "train.epochs=0"]);
    assert!(error.contains("train.epochs: 0 is too small"), "{error}");
    let error = finetune_fails(folder.path(), &["--set", "train.batch_size=1000"]);
    assert!(error.contains("fewer than train.batch_size = 1000"), "{error}");
    let error = fails(folder.path(), &["pretrain", "--config", "tune.toml"]);
    assert!(error.contains("this recipe is for fine-tuning"), "{error}");
    let error =
        fails(folder.path(), &["finetune", "vqa-rad", "--set", "init.checkpoint=", "--set", "text.tokenizer=x"]);
    assert!(error.contains("x"), "{error}");
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn the_built_in_recipes_name_their_data_when_it_is_missing() {
    let folder = workplace("question-answering");
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    succeeds(
        folder.path(),
        &["pretrain", "--config", "tiny.toml", "--set", "run.name=first", "--set", "train.steps=1"],
    );
    for (task, set) in [
        ("vqa-rad", "vqa-rad"),
        ("slake", "slake"),
        ("vqa-med-2019", "vqa-med-2019"),
        ("melinda", "melinda"),
        ("irtr-roco", "irtr-roco"),
    ] {
        let error = fails(folder.path(), &["finetune", task, "--checkpoint", "runs/first/model"]);
        assert!(error.contains(&format!("cargo xtask prepare {set} --raw")), "{error}");
    }
}
