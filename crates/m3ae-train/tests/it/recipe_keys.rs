//! Every key of a recipe is taken to its borders and beyond, on a run of one step with a tiny model: each value ends in
//! training or in an error that names the key, never in a panic, a hang or gigabytes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use m3ae_image::Transform;
use m3ae_model::{M3aeConfig, Precision};
use m3ae_phantom::PhantomConfig;
use m3ae_train::{
    AllReduce, CheckpointSection, DataSection, Decay, FalseImages, InitSection, LogSection, MaskingSection,
    ObjectivesSection, OnFailure, RunConfig, RunSection, TaskSection, TextSection, TrainSection,
};

use crate::tiny::{Place, one_step, recipe};

/// Longer than one step can take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest message that is of use.
const LONGEST_MESSAGE: usize = 5000;
/// Most memory of the process, in KiB: two runs at a time with the smallest patches that there are, of one pixel.
const MEMORY_KIB: usize = 2 << 20;

/// A recipe with every key. All fields are written out: a new one does not compile until it is here.
fn full() -> RunConfig {
    let path = || Some(PathBuf::from("x"));
    let word = || Some("x".to_owned());
    RunConfig {
        run: RunSection { name: "x".into(), directory: "x".into(), seed: 0 },
        task: TaskSection { kind: "pretraining".into(), label: "x".into(), false_texts: 1 },
        model: toml::from_str(&model_keys()).unwrap(),
        init: InitSection { vision: word(), text: word(), checkpoint: word(), keep_head: false },
        data: DataSection {
            roco: path(),
            phantom: path(),
            sets: vec!["x".into()],
            weights: vec![1.0],
            prepared: "x".into(),
            transform: Transform::Clip,
            max_skipped_share: 0.0,
            workers: 0,
            cache_mib: 0,
        },
        phantom: PhantomConfig {
            seed: 0,
            side: 32,
            train: 1,
            val: 1,
            test: 1,
            vqa_train: 1,
            vqa_val: 1,
            vqa_test: 1,
            captions_per_image: 1,
        },
        text: TextSection { tokenizer: path(), max_length: 3 },
        masking: MaskingSection { image_ratio: 0.5, text_probability: 0.5, whole_words: false },
        objectives: ObjectivesSection { mlm: 1.0, mim: 1.0, itm: 1.0, false_images: FalseImages::DataSet },
        train: TrainSection {
            batch_size: 2,
            steps: Some(1),
            epochs: Some(1),
            accumulate: 1,
            devices: 1,
            all_reduce: AllReduce::Copy,
            learning_rate: 0.1,
            lr_multiplier_head: 1.0,
            lr_multiplier_multi_modal: 1.0,
            weight_decay: 0.0,
            warmup: 0.0,
            decay: Decay::Polynomial,
            decay_power: 1.0,
            end_learning_rate: 0.0,
            precision: Precision::F32,
            gradient_checkpointing: false,
            clip_norm: Some(1.0),
        },
        log: LogSection { every: 1, validate_every: Some(1), validation_samples: Some(1), pictures: 0 },
        checkpoint: CheckpointSection {
            every: 0,
            minutes: 0.0,
            keep: 1,
            background: false,
            on_failure: OnFailure::Stop,
        },
    }
}

/// All keys of both vision encoders' configurations, as TOML.
fn model_keys() -> String {
    let mut text = String::from("preset = 'small'\n");
    let mut seen = BTreeSet::new();
    for preset in ["small", "swin-base-224"] {
        let json = serde_json::to_value(M3aeConfig::preset(preset).unwrap()).unwrap();
        for (section, keys) in json.as_object().unwrap().iter().filter(|(section, _)| *section != "heads") {
            let Some(keys) = keys.as_object() else {
                if seen.insert(section.clone()) {
                    writeln!(text, "{section} = {keys}").unwrap();
                }
                continue;
            };
            for (key, value) in keys {
                let key = format!("{section}.{key}");
                if seen.insert(key.clone()) {
                    let value = if value.is_null() { "-1".into() } else { value.to_string() };
                    writeln!(text, "{key} = {value}").unwrap();
                }
            }
        }
    }
    text
}

fn keys_of(prefix: &str, value: &toml::Value, keys: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                keys_of(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, keys);
            }
        }
        _ => keys.push(prefix.to_owned()),
    }
}

/// The borders of every type; each key gets them all.
fn values() -> Vec<String> {
    let numbers = [
        "0",
        "-1",
        "1",
        "2",
        "1_000_000_000",
        "1_000_000_000_000",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "0.0",
        "-0.0",
        "0.5",
        "1.0",
        "1e-320",
        "1e300",
        "-1e300",
        "1e400",
        "nan",
        "inf",
        "-inf",
    ];
    let others = [
        "''",
        "'x'",
        "'.'",
        "'..'",
        "\"\\u0000\"",
        "true",
        "false",
        "[]",
        "['']",
        "['x', 'x']",
        "[nan]",
        "[0]",
        "[1e300]",
        "[-1, -1, -1, -1]",
        "[0, 0, 0, 0]",
        "[1_000_000_000, 1, 1, 1]",
        "[[[]]]",
        "{}",
        "{ x = 1 }",
        "1979-05-27",
    ];
    let long = format!("'{}'", "a".repeat(100_000));
    numbers.iter().chain(&others).map(|&value| value.to_owned()).chain([long]).collect()
}

/// Trains one step with `key` set to `value`.
fn attempt(place: &Place, key: &str, value: &str) -> Result<(), String> {
    let folder = place.folder.path();
    let number = place.number();
    let data = match key.split('.').next() {
        Some("data") if key == "data.roco" => "roco",
        Some("data") if ["data.sets", "data.weights", "data.prepared"].contains(&key) => "sets",
        Some("text") => "roco",
        Some("phantom") => "fresh",
        _ => "phantom",
    };
    let mut overrides = vec![format!("run.name='run{number}'")];
    overrides.push(match PATHS.contains(&key) {
        true => format!("{key}={}", inside(folder, number, value)),
        false => format!("{key}={value}"),
    });
    match key {
        _ if data == "fresh" => overrides.push(format!("data.phantom='{}/fresh{number}'", folder.display())),
        "task.false_texts" => overrides.push("task.kind=retrieval".into()),
        key if key.starts_with("model.vision.") && M3AE_SWIN_KEYS.contains(&&key["model.vision.".len()..]) => {
            overrides.extend(TINY_SWIN.map(str::to_owned));
            overrides.push(format!("{key}={value}"));
        }
        _ => {}
    }
    let config = RunConfig::parse(&recipe(folder, data), "tiny", &overrides).map_err(|error| error.to_string())?;
    one_step(&config).map_err(|error| error.to_string())
}

/// Keys that name a file or folder.
const PATHS: [&str; 5] = ["run.directory", "data.roco", "data.phantom", "data.prepared", "text.tokenizer"];

/// What is a relative path, moved into a folder of its own: nothing is written elsewhere.
fn inside(folder: &Path, number: usize, value: &str) -> String {
    let parsed = toml::from_str::<toml::Table>(&format!("path = {value}"));
    let path = match parsed.as_ref().map(|table| &table["path"]) {
        Ok(toml::Value::String(path)) => path.clone(),
        Ok(toml::Value::Datetime(_)) | Err(_) => value.to_owned(),
        Ok(_) => return value.to_owned(),
    };
    match path.is_empty() || path.contains(char::is_control) || path.len() > 255 {
        true => value.to_owned(),
        false => format!("'{}'", folder.join(format!("in{number}")).join(path).display()),
    }
}

/// Keys that a CLIP encoder does not have.
const M3AE_SWIN_KEYS: [&str; 4] = ["depths", "heads", "window", "mlp_ratio"];
/// A Swin encoder of one block a stage in the place of CLIP.
const TINY_SWIN: [&str; 4] = [
    "model.vision={ encoder = 'swin', image_size = 32, patch_size = 4, width = 8, window = 1 }",
    "model.vision.depths=[1, 1, 1, 1]",
    "model.vision.heads=[1, 1, 1, 1]",
    "objectives.mim=0",
];

/// Whether a message says where to look: the key's path, or its section and the key in it.
fn names(message: &str, key: &str) -> bool {
    let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
    let section = section.strip_prefix("model.").unwrap_or(section);
    message.contains(key)
        || (message.contains(section) && message.contains(&format!("`{last}`")))
        || message.contains(&format!("{section}.{last}"))
}

#[test]
fn every_key_at_and_beyond_its_borders_trains_or_is_named() {
    let mut keys = Vec::new();
    keys_of("", &toml::Value::try_from(full()).unwrap(), &mut keys);
    assert!(keys.len() > 90, "{}", keys.len());
    let place = Place::new();
    let cases: Vec<(String, String)> =
        keys.iter().flat_map(|key| values().into_iter().map(|value| (key.clone(), value))).collect();
    let next = AtomicUsize::new(0);
    let (trained, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let largest = Mutex::new((0, String::new()));
    let (done, progress) = mpsc::channel();
    let running = [const { Mutex::new(String::new()) }; 2];
    thread::scope(|scope| {
        for current in &running {
            let (done, next, cases, place) = (done.clone(), &next, &cases, &place);
            let (trained, wrong, largest) = (&trained, &wrong, &largest);
            scope.spawn(move || {
                while let Some((key, value)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let short: String = value.chars().take(60).collect();
                    *current.lock().unwrap() = format!("{key} = {short}");
                    let before = peak_kib();
                    let result = thread::scope(|scope| scope.spawn(|| attempt(place, key, value)).join());
                    // Linux counts memory per thread with some delay: the peak can fall a little.
                    let grown = peak_kib().saturating_sub(before);
                    let mut largest = largest.lock().unwrap();
                    if grown > largest.0 {
                        *largest = (grown, format!("for {key} = {short}"));
                    }
                    drop(largest);
                    let problem = match result {
                        Err(_) => Some("a panic".to_owned()),
                        Ok(Ok(())) => {
                            trained.fetch_add(1, Ordering::Relaxed);
                            None
                        }
                        Ok(Err(message)) if message.len() > LONGEST_MESSAGE => {
                            Some(format!("{} bytes of message", message.len()))
                        }
                        Ok(Err(message)) => (!names(&message, key)).then(|| format!("not named in: {message}")),
                    };
                    if let Some(problem) = problem {
                        wrong.lock().unwrap().push(format!("{key} = {short}: {problem}"));
                    }
                    let _ = done.send(());
                }
            });
        }
        drop(done);
        loop {
            match progress.recv_timeout(PATIENCE) {
                Ok(()) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    // Threads that hang cannot be joined.
                    eprintln!("one of these hangs: {running:?}");
                    std::process::exit(1);
                }
            }
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let trained = trained.into_inner();
    assert!(trained > keys.len(), "only {trained} runs trained: the others say nothing about training");
    let (grown, case) = largest.into_inner().unwrap();
    let peak = peak_kib();
    assert!(peak < MEMORY_KIB, "the runs took up to {peak} KiB, {grown} of them {case}");
}

/// Most memory that the process ever had, in KiB; 0 where the system does not tell.
fn peak_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
