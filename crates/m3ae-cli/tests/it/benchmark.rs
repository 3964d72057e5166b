//! `m3ae benchmark`: tiny sets in the published layouts, from a tiny pre-trained model to the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::finetune::melinda;
use crate::pretrain::TINY;
use crate::{fails, m3ae, succeeds};

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &copy),
            false => assert!(fs::copy(&path, copy).is_ok()),
        }
    }
}

/// A pre-trained model, its synthetic set, and three published sets' raw folders made of it.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let sizes = ["phantom.test=4", "phantom.vqa_train=3", "phantom.vqa_test=3", "train.steps=1", "run.name=first"];
    let sizes: Vec<&str> = sizes.iter().flat_map(|size| ["--set", size]).collect();
    succeeds(folder.path(), &[&["pretrain", "--config", "tiny.toml"], &sizes[..]].concat());
    let data = folder.path().join("data");
    copy_folder(&folder.path().join("phantom/vqa_rad"), &data.join("finetune_data/vqa_rad"));
    copy_folder(&folder.path().join("phantom/roco"), &data.join("pretrain_data/roco"));
    melinda(&data.join("finetune_data/melinda"));
    folder
}

/// What makes every recipe tiny.
const CHANGES: [&str; 11] = [
    "phantom.test=4",
    "phantom.vqa_train=3",
    "phantom.vqa_test=3",
    "phantom-vqa:data.phantom=phantom",
    "model.vision.image_size=32",
    "train.batch_size=4",
    "train.accumulate=1",
    "train.epochs=1",
    "train.learning_rate=1e-3",
    "roco:task.false_texts=2",
    "text.max_length=40",
];

/// The benchmark at the tiny model's sizes.
fn command(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_m3ae"));
    command.args(["benchmark", "--checkpoint", "runs/first", "--resamples", "400"]);
    let tiny: toml::Table = TINY.parse().unwrap();
    for (key, value) in tiny["phantom"].as_table().unwrap() {
        command.args(["--set", &format!("phantom.{key}={value}")]);
    }
    for change in CHANGES {
        command.args(["--set", change]);
    }
    command.args(options).current_dir(folder).env_remove("RUST_LOG");
    command
}

fn benchmark(folder: &Path, options: &[&str]) -> Output {
    command(folder, options).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["what"].as_str().unwrap()).collect()
}

#[test]
fn every_set_that_is_here_is_tuned_and_scored_and_done_once() {
    let folder = workplace();
    let out = folder.path().join("runs/benchmark");
    let output = benchmark(folder.path(), &["--seeds", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let found = json(&out.join("benchmark.json"));
    assert_eq!(found["complete"], true);
    assert_eq!(names(&found["missing"]), ["slake", "vqa-med-2019"]);
    assert!(found["missing"][0]["why"].as_str().unwrap().contains("med-vqa.com/slake"), "{found}");
    let rows = found["rows"].as_array().unwrap();
    let tasks: BTreeSet<&str> = rows.iter().map(|row| row["task"].as_str().unwrap()).collect();
    let expected = ["melinda", "phantom-vqa", "roco, fine-tuned", "roco, zero-shot", "vqa-rad"];
    assert_eq!(tasks.into_iter().collect::<Vec<_>>(), expected);
    for row in rows {
        let runs = row["runs"].as_array().unwrap();
        assert_eq!(runs.len(), if row["task"] == "roco, zero-shot" { 1 } else { 2 }, "{row}");
        let values: Vec<f64> = runs.iter().map(|run| run["score"]["value"].as_f64().unwrap()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((row["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{row}");
        for run in runs {
            // The table's numbers are those of the evaluation that it names.
            let place = run["folder"].as_str().unwrap();
            let evaluation = json(&folder.path().join(place).join("eval.json"));
            assert!(evaluation["scores"].to_string().contains(&run["score"].to_string()), "{run}");
            assert!(Path::new(place).starts_with("runs/benchmark/eval"), "{place}");
        }
    }
    // Published numbers are beside, and it is said that these are not made alike.
    let of = |task: &str| rows.iter().find(|row| row["task"] == task).unwrap();
    assert_eq!(of("vqa-rad")["published"][0]["percent"], 77.01);
    assert_eq!(of("melinda")["comparability"]["same"], false);
    assert!(of("vqa-rad")["comparability"]["differences"].to_string().contains("train.epochs=1"));
    let markdown = fs::read_to_string(out.join("benchmark.md")).unwrap();
    assert!(markdown.contains("| vqa-rad | overall | ") && markdown.contains("| 77.01 | 77.4 / 76.9 / 76.7 | no ["));
    assert!(printed(&output).contains(markdown.trim_end()), "{}", printed(&output));

    // Again: nothing is trained, and the table is the same.
    let output = benchmark(folder.path(), &["--seeds", "2"]);
    let again = printed(&output);
    assert_eq!((output.status.code(), again.matches("reused").count()), (Some(0), 9), "{again}");
    assert!(!again.contains("validation after"), "{again}");
    assert_eq!(json(&out.join("benchmark.json"))["rows"], found["rows"]);

    // Other settings belong to another benchmark; what fails does not stop the rest.
    let other = ["--seeds", "1", "--sets", "phantom-vqa,vqa-rad", "--set", "vqa-rad:train.epochs=2"];
    let output = benchmark(folder.path(), &other);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let found = json(&out.join("benchmark.json"));
    assert_eq!((names(&found["failed"]), found["complete"].as_bool()), (vec!["vqa-rad, seed 0"], Some(false)));
    assert!(
        printed(&output).contains("choose another --out") && printed(&output).contains("train.epochs: was 1, is 2")
    );
    // What was finished of the other sets stays in the table, and the other seed's only where it is asked for.
    let rows = found["rows"].as_array().unwrap();
    let shown: BTreeSet<&str> = rows.iter().map(|row| row["task"].as_str().unwrap()).collect();
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), expected[..4]);
    assert!(rows.iter().all(|row| row["runs"].as_array().unwrap().len() == 1), "{found}");
    // As does another model.
    let args = ["pretrain", "--config", "tiny.toml", "--set", "data.phantom=other", "--set", "train.steps=1"];
    succeeds(folder.path(), &args);
    let error = fails(folder.path(), &["benchmark", "--checkpoint", "runs/tiny", "--sets", "phantom-vqa"]);
    assert!(error.contains("holds the benchmark of another model, runs/first"), "{error}");
}

#[test]
fn mistakes_are_reported_before_anything_is_trained() {
    let folder = workplace();
    let run = |args: &[&str]| {
        let output = m3ae(folder.path(), &[&["benchmark", "--checkpoint", "runs/first"], args].concat());
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = run(&["--sets", "slake"]);
    assert!(error.contains("slake: found neither data/arrows/vqa_slack_train.arrow"), "{error}");
    assert!(error.contains("med-vqa.com"), "{error}");
    assert!(run(&["--sets", "slak"]).contains("similar value exists: 'slake'"));
    assert!(run(&["--set", "train.epoch=1"]).contains("did you mean `epochs`?"));
    assert!(run(&["--set", "run.seed=1"]).contains("the benchmark sets run.seed itself"));
    assert!(run(&["--seeds", "0"]).contains("--seeds"));
    let error = fails(folder.path(), &["benchmark", "--checkpoint", "nowhere"]);
    assert!(error.contains("--checkpoint nowhere"), "{error}");
    assert!(!folder.path().join("runs/benchmark").exists());
}

#[cfg(unix)]
#[test]
fn a_signal_stops_it_and_the_same_command_goes_on() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let folder = workplace();
    let args = ["--seeds", "2", "--sets", "phantom-vqa", "--out"];
    let whole = benchmark(folder.path(), &[&args[..], &["whole"]].concat());
    assert_eq!(whole.status.code(), Some(0), "{}", printed(&whole));
    let rows = |out: &str| json(&folder.path().join(out).join("benchmark.json"))["rows"].to_string();

    let mut child = command(folder.path(), &[&args[..], &["parts"]].concat());
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("== phantom-vqa, seed 1")));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let rest = std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));
    let status = child.wait().unwrap();
    let rest = rest.join().unwrap();
    assert_eq!(status.code(), Some(75), "{rest}");
    let found = json(&folder.path().join("parts/benchmark.json"));
    assert_eq!((found["complete"].as_bool(), &found["unfinished"][0]), (Some(false), &"phantom-vqa, seed 1".into()));
    assert!(rest.contains("**Not complete**") && rest.contains("## Not run yet"), "{rest}");
    assert_eq!(found["rows"][0]["runs"].as_array().unwrap().len(), 1);

    let output = benchmark(folder.path(), &[&args[..], &["parts"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert_eq!(printed(&output).matches("reused").count(), 1);
    assert_eq!(rows("parts").replace("parts/", ""), rows("whole").replace("whole/", ""));
}
