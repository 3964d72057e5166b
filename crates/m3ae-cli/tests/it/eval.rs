//! `m3ae eval`, on the synthetic set with a tiny model, and on real data with the reference's small model where they
//! are there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::finetune::tuned;
use crate::locate::{golden, larger_golden};
use crate::{fails, succeeds};

/// A folder of its own beside the shared model, and the arguments that evaluate it.
fn evaluate(out: &Path, options: &[&str]) -> String {
    let out = out.display().to_string();
    let args = ["eval", "phantom-vqa", "--checkpoint", "runs/tiny", "--raw", "phantom", "--resamples", "400", "--out"];
    succeeds(tuned(), &[&args[..], &[&out], options].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn leaves_scores_predictions_and_a_report_that_agree_with_training() {
    let out = tempfile::tempdir().unwrap();
    let printed = evaluate(out.path(), &["--logits"]);
    assert!(printed.contains("95 % over images") && printed.contains("questions/s"), "{printed}");
    let (eval, predictions) = (json(&out.path().join("eval.json")), lines(&out.path().join("predictions.jsonl")));
    let overall = &eval["scores"]["scores"]["overall"];
    assert_eq!(overall["score"]["items"].as_u64(), Some(predictions.len() as u64));
    let mean = predictions.iter().map(|line| line["score"].as_f64().unwrap()).sum::<f64>() / predictions.len() as f64;
    assert!((overall["score"]["value"].as_f64().unwrap() - mean).abs() < 1e-12);
    // What training measured on its test split, question by question and without sharing.
    let metrics = lines(&tuned().join("runs/tiny/metrics.jsonl"));
    let tested = metrics.last().unwrap()["metrics"]["vqa_score"].as_f64().unwrap();
    assert!((mean - tested).abs() < 1e-6, "{mean} {tested}");
    for line in &predictions {
        let top = line["top"].as_array().unwrap();
        assert!(top.len() == 5 && top[0][1].as_f64() >= top[1][1].as_f64(), "{line}");
        let hit = line["answers"].as_array().unwrap().contains(&top[0][0]);
        assert_eq!(line["hit"].as_bool(), Some(hit), "{line}");
    }
    let logits = fs::read(out.path().join("logits.safetensors")).unwrap();
    let logits = safetensors::SafeTensors::deserialize(&logits).unwrap();
    assert_eq!(logits.tensor("logits").unwrap().shape()[0], predictions.len());
    let html = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(html.contains("attention over image") && html.contains("data:image/png;base64"));
}

#[test]
fn types_of_questions_have_scores_counts_and_intervals() {
    let out = tempfile::tempdir().unwrap();
    let printed = evaluate(out.path(), &[]);
    let (eval, predictions) = (json(&out.path().join("eval.json")), lines(&out.path().join("predictions.jsonl")));
    let types = eval["scores"]["scores"]["by_type"].as_array().unwrap();
    assert!(types.len() > 3, "{types:?}");
    for group in types {
        let name = group["name"].as_str().unwrap();
        let of: Vec<&Value> = predictions.iter().filter(|line| line["question_type"] == name).collect();
        assert_eq!(group["score"]["items"].as_u64(), Some(of.len() as u64), "{group}");
        let hits = of.iter().filter(|line| line["hit"] == true).count();
        assert_eq!(group["hits"].as_u64(), Some(hits as u64), "{group}");
        assert!(group["score"]["by_image"]["low"].as_f64() <= group["score"]["value"].as_f64(), "{group}");
        assert!(printed.lines().any(|line| line.starts_with(name)), "{name}: {printed}");
    }
    assert!(fs::read_to_string(out.path().join("report.html")).unwrap().contains("Scores by type of question"));
}

#[test]
fn results_of_something_else_are_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let run = |checkpoint: &Path, options: &[&str]| {
        let (checkpoint, raw) = (checkpoint.display().to_string(), tuned().join("phantom").display().to_string());
        let args = ["eval", "phantom-vqa", "--checkpoint", &checkpoint, "--raw", &raw, "--resamples", "400"];
        crate::m3ae(folder.path(), &[&args[..], options].concat())
    };
    let ok = |checkpoint: &Path, options: &[&str]| {
        let output = run(checkpoint, options);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let refused = |checkpoint: &Path, options: &[&str]| {
        let output = run(checkpoint, options);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (own, results) = (tuned().join("runs/tiny"), folder.path().join("runs/eval/phantom-vqa-tiny"));
    ok(&own, &[]);
    // The same again, whatever the file's name for it, and other intervals; then another split, which has another
    // folder.
    ok(&own.join("model"), &["--seed", "1"]);
    ok(&own, &["--split", "val"]);
    assert!(folder.path().join("runs/eval/phantom-vqa-tiny-val/eval.json").is_file());
    let before = fs::read(results.join("eval.json")).unwrap();
    // A model of the same name with other weights.
    let other = folder.path().join("elsewhere/tiny");
    with_value(&own.join("model"), &other.join("model"), "vqa_head.3.bias", 0.5);
    let error = refused(&other, &[]);
    assert!(error.contains("runs/eval/phantom-vqa-tiny holds another evaluation"), "{error}");
    assert!(error.contains("weights was ") && error.contains("--overwrite"), "{error}");
    let error = refused(&own, &["--max-length", "12"]);
    assert!(error.contains("max length was 40, is 12"), "{error}");
    let out = results.display().to_string();
    let error = refused(&own, &["--split", "val", "--out", &out]);
    assert!(error.contains("split was test, is val"), "{error}");
    assert_eq!(before, fs::read(results.join("eval.json")).unwrap());
    ok(&other, &["--overwrite"]);
    assert_ne!(before, fs::read(results.join("eval.json")).unwrap());
}

/// VQA-RAD's layout, from the synthetic set, with an answer that only test has.
fn as_vqa_rad(folder: &Path) -> String {
    let raw = folder.join("raw");
    crate::benchmark::copy_folder(&tuned().join("phantom/vqa_rad"), &raw);
    fs::remove_file(raw.join("valset.json")).unwrap();
    let path = raw.join("testset.json");
    let mut test: Value = json(&path);
    test[0]["answer"] = "zebra".into();
    fs::write(&path, test.to_string()).unwrap();
    raw.display().to_string()
}

#[test]
fn a_protocol_that_was_asked_for_is_kept_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let raw = as_vqa_rad(folder.path());
    for (vocabulary, val) in [("all", "copy-test"), ("all", "split"), ("train", "copy-test"), ("train", "split")] {
        let out = format!("{vocabulary}-{val}");
        let args = ["prepare", "vqa-rad", "--raw", &raw, "--vocabulary", vocabulary, "--val", val, "--out", &out];
        succeeds(folder.path(), &args);
    }
    let refused = |prepared: &str, protocol: &str| {
        let args = ["eval", "vqa-rad", "--checkpoint", "nowhere", "--prepared", prepared, "--protocol", protocol];
        fails(folder.path(), &args)
    };
    for (prepared, protocol, why) in [
        ("all-split", "clean", "answers that are classes occur in no training question"),
        ("train-copy-test", "clean", "validation is a copy of test"),
        ("all-split", "published", "validation is not a copy of test"),
        ("train-copy-test", "published", "have an answer that is no class"),
        // What is as it was asked for fails at the model.
        ("all-copy-test", "published", "--checkpoint nowhere"),
        ("train-split", "clean", "--checkpoint nowhere"),
    ] {
        let error = refused(prepared, protocol);
        assert!(error.contains(why), "{prepared} {protocol}: {error}");
        assert_eq!(error.contains("were prepared otherwise"), !why.contains("nowhere"), "{error}");
    }
    // What is absent is prepared as asked for, where nothing else is.
    let args = ["eval", "vqa-rad", "--checkpoint", "nowhere", "--raw", &raw, "--protocol", "clean"];
    assert!(fails(folder.path(), &args).contains("--checkpoint nowhere"));
    let made = fs::read(folder.path().join("data/arrows-clean/vqa_vqa_rad_test.arrow")).unwrap();
    assert_eq!(made, fs::read(folder.path().join("train-split/vqa_vqa_rad_test.arrow")).unwrap());
}

#[test]
fn batch_size_and_split_change_what_they_say_and_nothing_else() {
    let [one, two, val] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    evaluate(one.path(), &["--batch-size", "1"]);
    evaluate(two.path(), &["--batch-size", "7"]);
    let answers = |folder: &Path| -> Vec<String> {
        lines(&folder.join("predictions.jsonl")).iter().map(|line| line["top"][0][0].to_string()).collect()
    };
    assert_eq!(answers(one.path()), answers(two.path()));
    let printed = evaluate(val.path(), &["--split", "val"]);
    assert!(printed.contains("fine-tuning chooses its checkpoint on it"), "{printed}");
    assert_ne!(answers(one.path()).len(), 0);
    let path = |folder: &Path| folder.join("eval.json").display().to_string();
    let page = tempfile::tempdir().unwrap();
    let out = page.path().join("both").display().to_string();
    let printed = succeeds(tuned(), &["eval", "--compare", &path(one.path()), &path(two.path()), "--out", &out]);
    assert!(
        printed.contains("overall: no significant difference between A and B") && printed.contains("compare.html"),
        "{printed}"
    );
    let html = fs::read_to_string(page.path().join("both/compare.html")).unwrap();
    assert!(
        html.contains("no significant difference") && html.contains("By type of question") && !html.contains("<script")
    );
    let compared = json(&page.path().join("both/compare.json"));
    assert_eq!(compared["comparisons"][0]["difference"]["value"], 0.0, "{compared}");
    let error = fails(tuned(), &["eval", "--compare", &path(one.path()), &path(val.path())]);
    assert!(error.contains("compare evaluations of the same questions"), "{error}");
}

#[test]
fn what_cannot_be_scored_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = |args: &[&str]| {
        let out = out.display().to_string();
        let error = fails(tuned(), &[&["eval", "phantom-vqa", "--out", &out], args].concat());
        assert!(!Path::new(&out).exists(), "{error}");
        error
    };
    let data = ["--raw", "phantom"];
    let error = run(&[&["--checkpoint", "runs/nowhere"], &data[..]].concat());
    assert!(error.contains("runs/nowhere"), "{error}");
    // A head for other answers, and one for none.
    let other = golden("fixture").join("m3ae.ckpt").display().to_string();
    let error = run(&[&["--checkpoint", &other, "--tokenizer", "phantom/tokenizer"], &data[..]].concat());
    assert!(error.contains("it is another model's"), "{error}");
    let answers = folder.path().join("answers.json");
    fs::write(&answers, "[\"yes\"]").unwrap();
    let answers = answers.display().to_string();
    let error = run(&[&["--checkpoint", "runs/tiny", "--answers", &answers], &data[..]].concat());
    assert!(error.contains("but the vocabulary has 1 answers"), "{error}");
    let error = run(&["--checkpoint", "runs/tiny", "--raw", "nowhere", "--prepared", "nowhere/arrows"]);
    assert!(error.contains("vqa_phantom_test.arrow is missing"), "{error}");

    // Weights that compute no number.
    let broken = folder.path().join("broken");
    with_value(&tuned().join("runs/tiny/model"), &broken, "vqa_head.3.bias", f32::NAN);
    let broken = broken.display().to_string();
    let error = run(&[&["--checkpoint", &broken], &data[..]].concat());
    assert!(error.contains("not finite"), "{error}");
}

/// A copy of a model folder with `value` as a tensor's first number.
pub fn with_value(model: &Path, copy: &Path, tensor: &str, value: f32) {
    crate::benchmark::copy_folder(model, copy);
    let weights = copy.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let begin = 8 + header + metadata.info(tensor).unwrap().data_offsets.0;
    bytes[begin..begin + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(&weights, bytes).unwrap();
}

#[test]
fn unknown_benchmarks_are_answered_with_the_nearest() {
    let output = crate::m3ae(tuned(), &["eval", "vqa-red", "--checkpoint", "x"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("similar value exists: 'vqa-rad'"), "{error}");
}

/// The whole way from raw images to scores, against the reference's own.
#[test]
fn the_reference_s_model_has_the_reference_s_scores_on_real_data() {
    let (Some(reference), Some(raw)) = (larger_golden("golden/vqa_rad_small"), larger_golden("data/vqa_rad")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |path: &Path| path.display().to_string();
    let raw = path(&raw);
    let checkpoint = path(&reference.join("m3ae_vqa_rad_small.ckpt"));
    let tokenizer = path(&golden("text/roberta-base"));
    let model = ["--checkpoint", &checkpoint, "--tokenizer", &tokenizer];
    let args = ["eval", "vqa-rad", "--protocol", "published", "--raw", &raw, "--logits", "--resamples", "400"];
    let printed = succeeds(folder.path(), &[&args[..], &model].concat());
    // Its checkpoint was chosen on test, but does not say so: nothing is claimed.
    assert!(printed.contains("WARNING: Validation equals test in the prepared files."), "{printed}");
    assert!(printed.contains("It is unknown how this checkpoint was chosen"), "{printed}");

    let out = folder.path().join("runs/eval/vqa-rad-m3ae_vqa_rad_small");
    let (eval, expected) = (json(&out.join("eval.json")), json(&reference.join("expected.json")));
    for group in ["overall", "closed", "open"] {
        let estimate = &eval["scores"]["scores"][group]["score"];
        let (ours, theirs) = (estimate["value"].as_f64().unwrap(), expected["final"][group].as_f64().unwrap() / 100.0);
        let one_question = 1.0 / estimate["items"].as_f64().unwrap();
        assert!((ours - theirs).abs() <= one_question + 1e-6, "{group}: {ours} {theirs}");
    }
    let values = |path: &Path| -> Vec<f32> {
        let bytes = fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let data = tensors.tensor("logits").unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let (ours, theirs) = (values(&out.join("logits.safetensors")), values(&reference.join("test_logits.safetensors")));
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let worst = ours.iter().zip(&theirs).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    // JPEG decoders differ by a grey level here and there.
    assert!(worst / largest < 1e-3, "{worst} of {largest}");
}
