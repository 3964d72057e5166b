//! `m3ae pretrain`, on synthetic data at the smallest size that still is a model.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{fails, succeeds};

/// The recipe of these tests.
pub const TINY: &str = include_str!("../tiny.toml");

/// A folder with the tiny recipe in it.
fn workplace() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let run = folder.path().join("runs/tiny");
    (folder, run)
}

fn pretrain(folder: &Path, options: &[&str]) -> String {
    succeeds(folder, &[&["pretrain", "--config", "tiny.toml"], options].concat())
}

fn pretrain_fails(folder: &Path, options: &[&str]) -> String {
    fails(folder, &[&["pretrain", "--config", "tiny.toml"], options].concat())
}

#[test]
fn leaves_recipe_weights_metrics_log_and_pictures() {
    let (folder, run) = workplace();
    let printed = pretrain(folder.path(), &[]);
    assert!(printed.contains("untrained") && printed.contains("samples/s"), "{printed}");

    let recipe = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(recipe.contains("learning_rate = 0.001") && recipe.contains("weight_decay = 0.01"), "{recipe}");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "validation", "train", "validation", "train", "train", "validation"]);
    assert!(
        lines.iter().filter(|line| line["event"] == "train").all(|line| line["gradient_norm"].as_f64() > Some(0.0))
    );

    let weights = fs::read(run.join("model/model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    assert!(tensors.names().contains(&"multi_modal_vision_layers.0.crossattention.self.query.weight"));
    for step in [0, 3, 6] {
        let picture = image::open(run.join(format!("reconstructions-{step:06}.png"))).unwrap();
        // Two images beside each other, three pictures each.
        assert_eq!((picture.width(), picture.height()), (4 + 6 * 164 + 12, 4 + 164));
    }
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("mlm loss") && report.contains("data:image/png;base64,") && report.contains("[train]"));
    assert_eq!(fs::read_dir(run.join("tensorboard")).unwrap().count(), 1);
    for name in [
        "log.txt",
        "environment.json",
        "predictions-000003.json",
        "tokenizer.json",
        "model/config.json",
        "model/tokenizer.json",
    ] {
        assert!(run.join(name).is_file(), "{name}");
    }
}

#[test]
fn the_same_recipe_gives_the_same_weights_for_any_number_of_workers() {
    let (folder, run) = workplace();
    let weights = |options: &[&str]| {
        pretrain(folder.path(), options);
        fs::read(run.join("model/model.safetensors")).unwrap()
    };
    let first = weights(&[]);
    assert_eq!(first, weights(&["--overwrite", "--set", "data.workers=3"]));
    assert_ne!(first, weights(&["--overwrite", "--set", "run.seed=1"]));
}

#[test]
fn threads_of_the_processor_share_a_step_and_repeat_it_exactly() {
    let (folder, run) = workplace();
    let weights = |name: &str, options: &[&str]| {
        let name = format!("run.name={name}");
        pretrain(
            folder.path(),
            &[&["--set", &name, "--set", "model.text.dropout=0.0", "--set", "model.fusion.dropout=0.0"], options]
                .concat(),
        );
        let path = run.with_file_name(&name["run.name=".len()..]).join("model/model.safetensors");
        let bytes = fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let of = |name: &str| tensors.tensor(name).unwrap().data().to_vec();
        let floats = |bytes: Vec<u8>| -> Vec<f32> {
            bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
        };
        floats(of("mim_head.decoder_pred.weight"))
    };
    let one = weights("one", &[]);
    let two = weights("two", &["--set", "train.devices=2"]);
    assert_eq!(two, weights("again", &["--set", "train.devices=2"]));
    // The same sum in another order; six steps of Adam at 1e-3 move a weight by at most 6e-3.
    let difference = one.iter().zip(&two).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 1e-3, "{difference}");
    let error = pretrain_fails(folder.path(), &["--set", "train.devices=2"]);
    assert!(error.contains("set model.text.dropout = 0 and model.fusion.dropout = 0"), "{error}");
    let error = pretrain_fails(folder.path(), &["--set", "train.devices=2", "--set", "train.all_reduce=collective"]);
    assert!(error.contains("this backend cannot sum over its 2 devices by itself"), "{error}");
    let error = pretrain_fails(folder.path(), &["--set", "train.devices=3"]);
    assert!(error.contains("train.accumulate: 2 batches cannot be shared evenly by train.devices = 3"), "{error}");
}

#[test]
fn a_task_that_does_not_exist_is_named_by_both_commands() {
    let (folder, _) = workplace();
    for command in ["pretrain", "finetune"] {
        let error = fails(folder.path(), &[command, "--config", "tiny.toml", "--set", "task.kind=captioning"]);
        assert!(error.contains("task.kind: there is no task \"captioning\"; choose one of pretraining"), "{error}");
    }
}

#[test]
fn an_earlier_run_is_never_overwritten_unasked() {
    let (folder, run) = workplace();
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("precious.txt"), "results").unwrap();
    // Nor asked, where it is no run at all.
    for options in [&[][..], &["--overwrite"], &["--resume"]] {
        assert!(pretrain_fails(folder.path(), options).contains("already holds files, which are not a run's"));
    }
    assert!(run.join("precious.txt").is_file());
}

#[test]
fn mistakes_in_the_recipe_are_named_before_anything_is_written() {
    let (folder, run) = workplace();
    let error = pretrain_fails(folder.path(), &["--set", "train.lerning_rate=1"]);
    assert!(error.contains("did you mean `learning_rate`?"), "{error}");
    let error = pretrain_fails(folder.path(), &["--set", "train.batch_size=1"]);
    assert!(error.contains("train.batch_size: 1 is too small"), "{error}");
    let error = fails(folder.path(), &["pretrain", "--config", "nowhere.toml"]);
    assert!(error.contains("nowhere.toml"), "{error}");
    assert!(!run.exists());
}

#[test]
fn sizes_that_no_model_can_have_are_named() {
    let (folder, run) = workplace();
    for (option, expected) in [
        ("model.vision.image_size=33", "model.vision.image_size: 33 is not a multiple of vision.patch_size, 8"),
        ("model.preset=huge", "there is no preset \"huge\""),
        ("text.max_length=500", "text.max_length: 500 is more than the position table allows"),
        ("train.batch_size=25", "train has 24 usable samples, fewer than train.batch_size = 25"),
        ("train.warmup=7", "train.warmup: 7 is not between 0 and 6"),
        ("train.epochs=1", "both `steps` and `epochs` are given"),
    ] {
        let error = pretrain_fails(folder.path(), &["--set", option]);
        assert!(error.contains(expected), "{error}");
        // Such a run leaves nothing behind that the next would stumble over.
        assert!(!run.exists(), "{option}");
    }
}

/// The phantom set's captions folder, after a first run has made it.
fn roco_of(folder: &Path) -> PathBuf {
    pretrain(folder, &["--set", "train.steps=1", "--set", "train.warmup=0.0"]);
    folder.join("phantom/roco")
}

#[test]
fn unreadable_samples_are_listed_and_stop_the_run_above_the_share() {
    let (folder, run) = workplace();
    let images = roco_of(folder.path()).join("train/radiology/images");
    let mut files: Vec<PathBuf> = fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    fs::write(&files[0], b"").unwrap();
    fs::remove_file(&files[1]).unwrap();

    let error = pretrain_fails(folder.path(), &["--overwrite"]);
    assert!(error.contains("could not be used, more than data.max_skipped_share = 0.01"), "{error}");
    assert!(fs::read_to_string(run.join("skipped.txt")).unwrap().contains("phantom-train-"));

    let printed = pretrain(folder.path(), &["--overwrite", "--set", "data.max_skipped_share=0.2"]);
    assert!(printed.contains("2 samples were skipped"), "{printed}");
    let skipped = fs::read_to_string(run.join("skipped.txt")).unwrap();
    assert_eq!(skipped.lines().count(), 2, "{skipped}");
}

#[test]
fn a_missing_data_folder_says_which_layout_is_expected() {
    let (folder, _run) = workplace();
    let recipe = TINY.replace("phantom = \"phantom\"", "roco = \"nowhere\"");
    fs::write(folder.path().join("tiny.toml"), recipe).unwrap();
    let error = pretrain_fails(folder.path(), &[]);
    assert!(error.contains("text.tokenizer: is missing"), "{error}");
    let error = pretrain_fails(folder.path(), &["--set", "text.tokenizer=nowhere"]);
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn a_run_starts_from_the_weights_of_another() {
    let (folder, run) = workplace();
    pretrain(folder.path(), &["--set", "train.steps=3"]);
    let first = fs::read(run.join("model/model.safetensors")).unwrap();

    // With a learning rate of next to nothing, the second run ends where the first did.
    let still = ["train.learning_rate=1e-30", "train.steps=1", "init.checkpoint=runs/tiny/model", "run.name=second"];
    let options: Vec<&str> = still.iter().flat_map(|option| ["--set", option]).collect();
    let printed = pretrain(folder.path(), &options);
    assert!(printed.contains("init.checkpoint: ") && printed.contains("parameters loaded"), "{printed}");
    assert_eq!(first, fs::read(folder.path().join("runs/second/model/model.safetensors")).unwrap());

    let error = pretrain_fails(folder.path(), &["--set", "run.name=third", "--set", "init.text=runs/tiny/model"]);
    assert!(error.contains("runs/tiny/model"), "{error}");
    let options = ["--set", "run.name=fourth", "--set", "init.vision=no/such", "--set", "init.text="];
    assert!(pretrain_fails(folder.path(), &options).contains("no/such"));
}
