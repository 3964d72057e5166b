//! `m3ae-lab bench`, on tiny models.

use std::fs;

use crate::locate::golden;
use crate::{TINY, fails, succeeds};

/// The built-in recipes at the tiny recipe's sizes, as values of `option`.
fn tiny(option: &str) -> Vec<String> {
    let tiny: toml::Table = TINY.parse().unwrap();
    let (vision, phantom) = (&tiny["model"]["vision"], &tiny["phantom"]);
    let sizes = [
        format!("model.vision.width={}", vision["width"]),
        format!("model.vision.image_size={}", vision["image_size"]),
        format!("phantom.side={}", phantom["side"]),
        format!("phantom.train={}", phantom["train"]),
    ];
    let counts = ["val", "test", "vqa_train", "vqa_val", "vqa_test"].map(|key| format!("phantom.{key}=4"));
    sizes.into_iter().chain(counts).flat_map(|value| [option.to_owned(), value]).collect()
}

#[test]
fn a_step_is_timed_alone_and_in_turns_with_a_peer() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = ["--small", "--image", "32", "--text", "8", "--batch", "2", "--steps", "1", "--rounds", "2"];
    for work in ["step", "finetune", "infer"] {
        let printed = succeeds(folder.path(), &[&["bench", work], &sizes[..]].concat());
        assert!(printed.contains("| ours |") && printed.contains("--peer"), "{printed}");
    }
    // A peer that needs a thousand seconds.
    let script = "echo '20 M parameters'; echo 'step 0: 1.0 s, 1 samples/s, peak 1.0 GB, loss 1'; \
                  echo \"step 1: 1000.0 s, 1 samples/s, peak 900.0 GB, loss 1\"; echo \"$@\" > asked";
    fs::write(folder.path().join("peer.sh"), script).unwrap();
    let peer = ["--peer", "/bin/sh", "--peer-script", "peer.sh", "--json", "turns.json"];
    let printed = succeeds(folder.path(), &[&["bench", "step"], &sizes[..], &peer].concat());
    assert!(
        printed.contains("| PyTorch | 20.0 M | 1000.000 |") && printed.contains("| ratio to PyTorch | | 0.00 |"),
        "{printed}"
    );
    let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
    assert!(asked.contains("--mode pretrain") && asked.contains("--batch 2") && asked.contains("--small"), "{asked}");
    let json = fs::read_to_string(folder.path().join("turns.json")).unwrap();
    let turns: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (side, name) in ["ours", "PyTorch"].iter().enumerate() {
        let side = &turns["sides"][side];
        assert_eq!((&side["name"], side["turns"].as_array().unwrap().len()), (&serde_json::json!(name), 2), "{json}");
    }
    assert!(turns["environment"]["processors"].is_string(), "{json}");

    fs::write(folder.path().join("peer.sh"), "exit 3").unwrap();
    let error = fails(folder.path(), &[&["bench", "step"], &sizes[..], &peer].concat());
    assert!(error.contains("/bin/sh ended with exit status: 3"), "{error}");
    let error = fails(folder.path(), &["bench", "infer", "--image", "33"]);
    assert!(error.contains("--image 33 is no multiple of the patch size 16"), "{error}");
}

#[test]
fn everything_is_measured_by_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "all", "--small", "--rounds", "1", "--steps", "1", "--out", "out"];
    let printed = succeeds(folder.path(), &args);
    let tables = fs::read_to_string(folder.path().join("out/all.md")).unwrap();
    for name in ["step", "finetune", "infer", "infer-8", "retrieval", "data", "load"] {
        assert!(printed.contains(&format!("## {name}\n\n")) && tables.contains(&format!("## {name}\n\n")), "{printed}");
        let json = fs::read_to_string(folder.path().join(format!("out/{name}.json"))).unwrap();
        let measured: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(measured["environment"]["processors"].is_string(), "{json}");
    }
    // A peer that fails takes with it what stands beside it, and nothing else.
    let error = fails(folder.path(), &[&args[..], &["--peer", "/bin/false"]].concat());
    assert!(
        error.contains("not measured, for the reasons above: step, finetune, infer, infer-8, data, load"),
        "{error}"
    );
}

#[test]
fn costs_by_size_leave_a_chart_for_each_size() {
    let folder = tempfile::tempdir().unwrap();
    let fixed = ["bench", "sizes", "--small", "--image", "32", "--text", "8", "--batch", "2", "--steps", "1"];
    let lists = ["--batches", "1,2", "--images", "32", "--texts", "8,16", "--out", "out"];
    let printed = succeeds(folder.path(), &[&fixed[..], &lists[..]].concat());
    assert!(printed.contains("| batch (samples) | ours, s | ours, GB |"), "{printed}");
    for axis in ["batch", "image", "text"] {
        let chart = fs::read_to_string(folder.path().join(format!("out/pretrain-{axis}.svg"))).unwrap();
        assert!(chart.contains(&format!("Seconds by {axis} (pretrain)")), "{chart}");
    }
    let json = fs::read_to_string(folder.path().join("out/sizes.json")).unwrap();
    let measured: serde_json::Value = serde_json::from_str(&json).unwrap();
    // Batch 2 with 8 tokens is on all lists, and measured once.
    assert_eq!(measured["points"].as_array().unwrap().len(), 3, "{json}");
    let error = fails(folder.path(), &[&fixed[..], &["--texts", "9999"]].concat());
    assert!(error.contains("--text 9999: the text encoder ends at 512"), "{error}");
}

#[test]
fn shared_encodings_take_turns_with_three_passes() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = ["--small", "--image", "32", "--text", "8", "--batch", "2", "--steps", "1", "--rounds", "1"];
    let printed = succeeds(folder.path(), &[&["bench", "sharing"], &sizes[..]].concat());
    for row in [
        "| shared encodings |",
        "| three passes |",
        "| ratio to three passes |",
        "| ratio to shared, false images from the batch |",
    ] {
        assert!(printed.contains(row), "{printed}");
    }
}

#[test]
fn pairs_encoded_once_have_the_scores_of_full_passes() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "retrieval", "--small", "--image-size", "32", "--max-length", "8", "--batch-size", "2"];
    let sizes = ["--images", "3", "--texts", "2", "--full-pairs", "4", "--rounds", "2", "--json", "turns.json"];
    let printed = succeeds(folder.path(), &[&args[..], &sizes[..]].concat());
    assert!(printed.contains("| encoded once | 6 |") && printed.contains("| full passes | 4 |"), "{printed}");
    assert!(printed.contains("the same scores") && printed.contains("by its multiply-adds at most"), "{printed}");
    let json = fs::read_to_string(folder.path().join("turns.json")).unwrap();
    let turns: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(turns["speedup"].as_f64().unwrap() > 0.0 && turns["limit"].as_f64().unwrap() > 1.0, "{json}");
    assert_eq!(turns["sides"][1]["turns"].as_array().unwrap().len(), 2, "{json}");
    let error = fails(folder.path(), &["bench", "retrieval", "--images", "2", "--texts", "2", "--full-pairs", "5"]);
    assert!(error.contains("2 images with 2 texts are 4 pairs"), "{error}");
}

#[test]
fn a_profile_has_every_part_of_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "profile", "--small", "--image", "32", "--text", "8", "--batch", "2", "--steps", "1"];
    let printed = succeeds(folder.path(), &[&args[..], &["--json", "parts.json"]].concat());
    let json = fs::read_to_string(folder.path().join("parts.json")).unwrap();
    let measured: serde_json::Value = serde_json::from_str(&json).unwrap();
    for part in measured["parts"].as_array().unwrap() {
        assert!(part["forward"].as_f64().unwrap() > 0.0, "{json}");
        assert!(printed.contains(&format!("| {} |", part["name"].as_str().unwrap())), "{printed}");
    }
    assert!(measured["peak_gflop_per_second"].as_f64().unwrap() > 0.0, "{json}");
    assert!(printed.contains("Matrix products alone, at the peak"), "{printed}");
}

#[test]
fn images_are_counted_by_the_second_and_a_peer_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "data", "--small", "--rounds", "1"];
    let printed = succeeds(folder.path(), &[&args[..], &["--json", "rates.json"]].concat());
    for row in ["8 images", "S=288, one core | crate m3ae-data |", "| loader, S=384, by the clock | 1 threads |"] {
        assert!(printed.contains(row), "{printed}");
    }
    let json = fs::read_to_string(folder.path().join("rates.json")).unwrap();
    let rates: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(rates["at"][1]["sides"][0]["turns"][0]["seconds"].as_f64().is_some(), "{json}");
    let error = fails(folder.path(), &[&args[..], &["--peer", "no-such-python"]].concat());
    assert!(error.contains("Pillow: cannot start no-such-python"), "{error}");
    let error = fails(folder.path(), &["bench", "data", "--raw", "."]);
    assert!(error.contains("no image (png, jpg, jpeg)"), "{error}");
}

#[test]
fn loading_is_timed_beside_reading_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "load", "--rounds", "1"];
    let printed = succeeds(folder.path(), &[&args[..], &["--small", "--json", "turns.json"]].concat());
    assert!(printed.contains("safetensors of ") && printed.contains("| reading the file |"), "{printed}");
    let json = fs::read_to_string(folder.path().join("turns.json")).unwrap();
    let turns: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(turns["sides"][0]["turns"][0]["parameters"].as_f64().unwrap() > 1.0, "{json}");
    let checkpoint = golden("fixture/m3ae.ckpt");
    let printed = succeeds(folder.path(), &[&args[..], &["--checkpoint", checkpoint.to_str().unwrap()]].concat());
    assert!(printed.contains("PyTorch-Lightning checkpoint of "), "{printed}");
    let error = fails(folder.path(), &["bench", "load", "--checkpoint", "nowhere.ckpt"]);
    assert!(error.contains("nowhere.ckpt"), "{error}");
}

#[test]
fn transfer_compares_pretrained_with_scratch_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec!["bench".to_owned(), "transfer".into(), "--seeds".into(), "2".into()];
    args.extend(tiny("--set"));
    args.extend(tiny("--set-pretraining"));
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
    let train = |loss: f64| format!("{{\"event\":\"train\",\"step\":1,\"metrics\":{{\"vqa_loss\":{loss}}}}}\n");
    let line = |step: u32, score: f64| {
        format!(
            "{{\"event\":\"validation\",\"step\":{step},\"metrics\":\
             {{\"vqa_score\":{score},\"closed_score\":0.5,\"open_score\":0.25}}}}\n"
        )
    };
    let lines = [line(0, 0.0), train(9.0), train(7.0), line(10, 0.25), train(3.25), line(20, 0.5)];
    fs::write(run.join("metrics.jsonl"), lines.concat()).unwrap();
    let epoch = |overall: f64| format!("{{\"loss\": 6.5, \"overall\": {overall}, \"closed\": 60.0, \"open\": 5.0}}");
    let reference = |name: &str, epochs: &[f64]| {
        let epochs: Vec<String> = epochs.iter().map(|&overall| epoch(overall)).collect();
        fs::write(folder.path().join(name), format!("{{\"history\": [{}]}}", epochs.join(","))).unwrap();
    };
    reference("other.json", &[24.0, 45.5]);
    reference("reference.json", &[20.0, 45.5]);
    let args = ["bench", "curve", "run", "--reference", "reference.json", "--chart", "curve.svg"];
    let two = ["bench", "curve", "run", "run", "--reference", "reference.json", "other.json"];
    assert!(succeeds(folder.path(), &two).contains("| 1 | 8.00 | 6.50 | 25.0 | 22.0 (20.0–24.0) |"));
    let printed = succeeds(folder.path(), &args);
    assert!(printed.contains("| 2 | 3.25 | 6.50 | 50.0 | 45.5 | 50.0 |"), "{printed}");
    assert!(fs::read_to_string(folder.path().join("curve.svg")).unwrap().contains("reference 1"));
    reference("reference.json", &[20.0]);
    assert!(fails(folder.path(), &args).contains("reference.json has 1 epochs, not 2"));
}
