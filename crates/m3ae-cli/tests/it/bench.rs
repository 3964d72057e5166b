//! `m3ae bench`, on tiny models.

use std::fs;

use crate::{fails, pretrain::TINY, succeeds};

#[test]
fn transfer_compares_pretrained_with_scratch_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    // The built-in recipes at the tiny recipe's sizes.
    let tiny: toml::Table = TINY.parse().unwrap();
    let mut args = vec!["bench".to_owned(), "transfer".into(), "--seeds".into(), "2".into()];
    for (section, key) in
        [("model", "vision_width"), ("model", "image_size"), ("phantom", "side"), ("phantom", "train")]
    {
        for option in ["--set", "--set-pretraining"] {
            args.extend([option.to_owned(), format!("{section}.{key}={}", tiny[section][key])]);
        }
    }
    for key in ["val", "test", "vqa_train", "vqa_val", "vqa_test"] {
        for option in ["--set", "--set-pretraining"] {
            args.extend([option.to_owned(), format!("phantom.{key}=4")]);
        }
    }
    args.extend(["--set-pretraining", "train.steps=2", "--set", "train.epochs=1"].map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let printed = succeeds(folder.path(), &args);
    assert!(printed.contains("| all | mean | "), "{printed}");
    let json = fs::read_to_string(folder.path().join("runs/transfer/transfer.json")).unwrap();
    let pairs: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(pairs.as_array().unwrap().len(), 2);
    assert!(pairs[1]["scratch"]["vqa_score"].as_f64().is_some(), "{json}");

    let again = succeeds(folder.path(), &args);
    assert!(again.contains("resuming from") && !again.contains("step 1/"), "{again}");
    assert_eq!(json, fs::read_to_string(folder.path().join("runs/transfer/transfer.json")).unwrap());
}

#[test]
fn curves_stand_beside_the_references() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    let line = |step: u32, score: f64| {
        format!(
            "{{\"event\":\"validation\",\"step\":{step},\"metrics\":\
             {{\"vqa_score\":{score},\"closed_score\":0.5,\"open_score\":0.25}}}}\n"
        )
    };
    fs::write(run.join("metrics.jsonl"), line(0, 0.0) + &line(10, 0.25) + &line(20, 0.5)).unwrap();
    let epoch = |overall: f64| format!("{{\"overall\": {overall}, \"closed\": 60.0, \"open\": 5.0}}");
    let reference = |epochs: &[f64]| {
        let epochs: Vec<String> = epochs.iter().map(|&overall| epoch(overall)).collect();
        fs::write(folder.path().join("reference.json"), format!("{{\"history\": [{}]}}", epochs.join(","))).unwrap();
    };
    reference(&[20.0, 45.5]);
    let args = ["bench", "curve", "run", "--reference", "reference.json", "--chart", "curve.svg"];
    let two = ["bench", "curve", "run", "run", "--reference", "reference.json", "reference.json"];
    assert!(succeeds(folder.path(), &two).contains("| 1 | 25.0 (25.0–25.0) | 20.0 (20.0–20.0) |"));
    let printed = succeeds(folder.path(), &args);
    assert!(printed.contains("| 2 | 50.0 | 45.5 | 50.0 |"), "{printed}");
    assert!(fs::read_to_string(folder.path().join("curve.svg")).unwrap().contains("reference 1"));
    reference(&[20.0]);
    assert!(fails(folder.path(), &args).contains("reference.json has 1 epochs, not 2"));
}
