//! `m3ae eval`, on the synthetic set with a tiny model, and on real data with the reference's small model where they are there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::finetune::tuned;
use crate::{fails, here, succeeds};

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
    let printed = succeeds(tuned(), &["eval", "--compare", &path(one.path()), &path(two.path())]);
    assert!(printed.contains("overall: A and B cannot be told apart"), "{printed}");
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
    let other = here("fixture").join("m3ae.ckpt").display().to_string();
    let error = run(&[&["--checkpoint", &other, "--tokenizer", "phantom/tokenizer"], &data[..]].concat());
    assert!(error.contains("it is another model's"), "{error}");
    let answers = folder.path().join("answers.json");
    fs::write(&answers, "[\"yes\"]").unwrap();
    let answers = answers.display().to_string();
    let error = run(&[&["--checkpoint", "runs/tiny", "--answers", &answers], &data[..]].concat());
    assert!(error.contains("but the vocabulary has 1 answers"), "{error}");
    let error = run(&["--checkpoint", "runs/tiny", "--raw", "nowhere", "--prepared", "nowhere/arrows"]);
    assert!(error.contains("vqa_phantom_test.arrow is missing"), "{error}");

    // Weights that compute NaN.
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    for entry in fs::read_dir(tuned().join("runs/tiny/model")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, broken.join(path.file_name().unwrap())).unwrap();
    }
    let weights = broken.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, bytes).unwrap();
    let broken = broken.display().to_string();
    let error = run(&[&["--checkpoint", &broken], &data[..]].concat());
    assert!(error.contains("not finite"), "{error}");
}

#[test]
fn unknown_benchmarks_are_answered_with_the_nearest() {
    let output = crate::m3ae(tuned(), &["eval", "vqa-red", "--checkpoint", "x"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("vqa-rad"), "{error}");
}

/// The whole way from raw images to scores, against the reference's own.
#[test]
fn the_reference_s_model_has_the_reference_s_scores_on_real_data() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let golden = shared.join("golden/vqa_rad_small");
    if !golden.is_dir() || !shared.join("data/vqa_rad").is_dir() {
        println!("skipped: {} is not here", golden.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |path: &Path| path.display().to_string();
    let raw = path(&shared.join("data/vqa_rad"));
    let checkpoint = path(&golden.join("m3ae_vqa_rad_small.ckpt"));
    let tokenizer = path(&shared.join("data/tokenizers/roberta-base"));
    let model = ["--checkpoint", &checkpoint, "--tokenizer", &tokenizer];
    let args = ["eval", "vqa-rad", "--protocol", "published", "--raw", &raw, "--logits", "--resamples", "400"];
    let printed = succeeds(folder.path(), &[&args[..], &model].concat());
    assert!(printed.contains("VALIDATION EQUALS TEST"), "{printed}");

    let out = folder.path().join("runs/eval/vqa-rad-test");
    let (eval, expected) = (json(&out.join("eval.json")), json(&golden.join("expected.json")));
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
    let (ours, theirs) = (values(&out.join("logits.safetensors")), values(&golden.join("test_logits.safetensors")));
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let worst = ours.iter().zip(&theirs).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    // JPEG decoders differ by a grey level here and there.
    assert!(worst / largest < 1e-3, "{worst} of {largest}");

    let golden = path(&golden);
    let printed = succeeds(folder.path(), &["parity", &golden]);
    assert!(printed.contains("18 comparisons, all within tolerance"), "{printed}");
}
