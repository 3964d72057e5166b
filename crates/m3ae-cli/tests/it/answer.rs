//! `m3ae answer`, with a tiny model.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::finetune::tuned;
use crate::{fails, m3ae, succeeds};

/// One of the synthetic set's images.
fn image() -> String {
    let images = fs::read_dir(tuned().join("phantom/vqa_rad/images")).unwrap();
    let mut images: Vec<_> = images.map(|entry| entry.unwrap().path().display().to_string()).collect();
    images.sort();
    images.swap_remove(0)
}

const MODEL: [&str; 3] = ["answer", "--checkpoint", "runs/tiny/model"];

fn line(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn answers_in_words_in_json_and_with_a_picture() {
    let (image, folder) = (image(), tempfile::tempdir().unwrap());
    let ask = ["--image", &image, "--question", "is there a mass?"];
    let printed = succeeds(tuned(), &[&MODEL[..], &ask, &["--top", "3"]].concat());
    assert_eq!(printed.lines().filter(|line| line.contains(" %  ")).count(), 3, "{printed}");
    let picture = folder.path().join("attention.png").display().to_string();
    let printed = succeeds(tuned(), &[&MODEL[..], &ask, &["--json", "--attention", &picture]].concat());
    let answers = line(&printed);
    assert_eq!(answers["answers"].as_array().unwrap().len(), 5);
    assert_eq!(answers["truncated"], Value::Bool(false));
    assert_eq!(image::open(&picture).unwrap().width(), 224);
    let long = "is there a mass ".repeat(50);
    let printed = succeeds(tuned(), &[&MODEL[..], &["--image", &image, "--question", &long]].concat());
    assert!(printed.contains("the end was cut off"), "{printed}");
}

#[test]
fn a_table_is_answered_as_its_rows_alone_and_bad_rows_lose_nothing() {
    let (image, folder) = (image(), tempfile::tempdir().unwrap());
    fs::copy(&image, folder.path().join("a.png")).unwrap();
    fs::write(folder.path().join("b.png"), "not an image").unwrap();
    let table = folder.path().join("table.csv");
    fs::write(
        &table,
        "id,image,question\n1,a.png,is there a mass?\n2,b.png,what?\n3,a.png,\" \"\n4,a.png,which plane?\n",
    )
    .unwrap();
    let table = table.display().to_string();
    let output = m3ae(tuned(), &[&MODEL[..], &["--batch", &table, "--json"]].concat());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(err.contains("2 of 4 rows could not be answered") && err.contains("table.csv, line 3"), "{err}");
    let lines: Vec<Value> = out.lines().map(line).collect();
    assert!(lines[1]["error"].as_str().unwrap().contains("neither a PNG nor a JPEG"), "{out}");
    assert!(lines[2]["error"].as_str().unwrap().contains("nothing is asked"), "{out}");
    for (row, question) in [(0, "is there a mass?"), (3, "which plane?")] {
        let alone =
            line(&succeeds(tuned(), &[&MODEL[..], &["--image", &image, "--question", question, "--json"]].concat()));
        assert_eq!(lines[row]["id"].as_str(), Some(["1", "2", "3", "4"][row]));
        for (a, b) in lines[row]["answers"].as_array().unwrap().iter().zip(alone["answers"].as_array().unwrap()) {
            assert_eq!(a["answer"], b["answer"]);
            assert!((a["probability"].as_f64().unwrap() - b["probability"].as_f64().unwrap()).abs() < 1e-5);
        }
    }
}

#[test]
fn an_image_may_come_from_standard_input() {
    let image = image();
    fn ask(file: &str) -> Vec<&str> {
        [&MODEL[..], &["--image", file, "--question", "which plane?"]].concat()
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_m3ae"))
        .args(ask("-"))
        .current_dir(tuned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(&image).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), succeeds(tuned(), &ask(&image)));
}

#[test]
fn what_cannot_be_answered_says_why() {
    let (image, folder) = (image(), tempfile::tempdir().unwrap());
    let ask = |image: &str, question: &str| {
        fails(tuned(), &[&MODEL[..], &["--image", image, "--question", question]].concat())
    };
    assert!(ask(&image, "  ").contains("nothing is asked"));
    assert!(ask("nowhere.png", "what?").contains("nowhere.png"));
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    assert!(ask(&write("empty.png", b""), "what?").contains("empty"));
    let error = ask(&write("text.png", b"hello, I am a text"), "what?");
    assert_eq!(error.matches("neither a PNG nor a JPEG").count(), 1, "{error}");
    let tiny = folder.path().join("tiny.png");
    image::GrayImage::from_pixel(2, 300, [7].into()).save(&tiny).unwrap();
    assert!(ask(&tiny.display().to_string(), "what?").contains("2×300 pixels: too small"));
    let error = fails(tuned(), &["answer", "--checkpoint", "runs/none", "--image", &image, "--question", "what?"]);
    assert!(error.contains("runs/none"), "{error}");
    assert!(Path::new(&image).is_file());
}
