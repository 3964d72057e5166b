//! Preparation: what it promises, the sets' layouts, real data, interruptions, memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corpus;
mod golden;
mod hub;
mod layouts;
mod loading;
#[path = "../../../../tests/golden/locate.rs"]
mod locate;
#[cfg(unix)]
mod processes;
mod promises;

use std::{
    fs,
    path::{Path, PathBuf},
};

use m3ae_prepare::{Plan, PrepareError, PrepareOptions, SetName, prepare};

/// The smallest PNG there is, with some bytes of its own behind it.
fn png(number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::GrayImage::from_pixel(3, 2, [number as u8].into());
    image.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

fn write(path: PathBuf, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// VQA-RAD's layout: 12 training images with 2 questions each, and 2 test images with one.
fn vqa_rad() -> tempfile::TempDir {
    let raw = tempfile::tempdir().unwrap();
    let question = |id: usize, image: usize, answer: serde_json::Value| {
        serde_json::json!({
            "qid": id, "image_name": format!("{image}.jpg"), "question": format!("What of {id}?"), "answer": answer,
            "answer_type": "CLOSED ",
        })
    };
    let train: Vec<_> = (0..24).map(|id| question(id, id % 12, (id % 5).into())).collect();
    write(raw.path().join("trainset.json"), serde_json::to_string(&train).unwrap());
    let test = [question(100, 1, "Yes".into()), question(101, 20, "3".into())];
    write(raw.path().join("testset.json"), serde_json::to_string(&test).unwrap());
    for image in (0..12).chain([20]) {
        write(raw.path().join("images").join(format!("{image}.jpg")), png(image));
    }
    raw
}

fn options() -> PrepareOptions {
    PrepareOptions { workers: 3, ..PrepareOptions::default() }
}

fn run(set: SetName, raw: &Path, out: &Path, options: &PrepareOptions) -> Result<Vec<bool>, PrepareError> {
    let mut kept = std::collections::BTreeMap::new();
    prepare(set, raw, out, options, &mut |progress| {
        kept.insert(progress.file.to_owned(), progress.kept);
    })?;
    Ok(kept.into_values().collect())
}

fn images(plan: &Plan, split: usize) -> Vec<&str> {
    plan.splits[split].rows.iter().map(|row| row.image_id.as_str()).collect()
}
