//! Real data sets, prepared: against what the reference's preparation wrote.

use m3ae_data::{
    arrow::{ArrowFile, Kind},
    read_questions_arrow,
};
use m3ae_prepare::{PrepareOptions, PrepareReport, SetName, ValChoice, VocabularyScope, plan, prepare};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");

pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: no development data at {}", path.display());
        return None;
    }
    Some(path)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reference writes an image's whole path, its golden rows and we the name.
fn name(image_id: &str) -> &str {
    image_id.rsplit('/').next().unwrap_or(image_id)
}

/// A row as the golden files have it.
fn row(file: &ArrowFile, number: usize) -> serde_json::Value {
    let row = file.questions(number).unwrap();
    serde_json::json!({
        "questions": row.questions, "answers": row.answers, "answer_labels": row.answer_labels,
        "answer_scores": row.answer_scores, "image_id": name(row.image_id), "question_id": row.question_ids,
        "answer_type": row.answer_types, "split": row.split, "image_sha256": sha256(row.image),
    })
}

fn golden(name: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(Path::new(SHARED).join("golden/arrow").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn rows(file: &ArrowFile) -> Vec<serde_json::Value> {
    (0..file.len()).map(|number| row(file, number)).collect()
}

/// One row at a time: a difference should be readable.
fn assert_same(rows: &[serde_json::Value], expected: &[serde_json::Value]) {
    assert_eq!(rows.len(), expected.len());
    rows.iter().zip(expected).enumerate().for_each(|(i, (row, expected))| assert_eq!(row, expected, "row {i}"));
}

#[test]
fn the_references_own_file_is_read() {
    let Some(folder) = shared("golden/arrow") else { return };
    let file = ArrowFile::open(&folder.join("vqa_vqa_rad_test.arrow")).unwrap();
    assert_eq!(file.kind(), Kind::Questions);
    assert_same(&rows(&file), &golden("vqa_vqa_rad_test.jsonl"));
    assert!(file.vocabulary().unwrap().is_none());
}

#[test]
fn vqa_rad_is_prepared_as_the_reference_does() {
    let (Some(raw), Some(folder)) = (shared("data/vqa_rad"), shared("golden/arrow")) else { return };
    let out = tempfile::tempdir().unwrap();
    let options = PrepareOptions { val: Some(ValChoice::CopyTest), workers: 2, ..Default::default() };
    let files = prepare(SetName::VqaRad, &raw, out.path(), &options, &mut |_| {}).unwrap();
    assert_eq!(
        files.iter().map(|file| (file.images, file.texts)).collect::<Vec<_>>(),
        [(314, 3064), (203, 451), (203, 451)]
    );

    let open = |split: &str| ArrowFile::open(&out.path().join(format!("vqa_vqa_rad_{split}.arrow"))).unwrap();
    for split in ["train", "test"] {
        assert_same(&rows(&open(split)), &golden(&format!("vqa_vqa_rad_{split}.jsonl")));
    }
    let mut expected = golden("vqa_vqa_rad_test.jsonl");
    expected.iter_mut().for_each(|row| row["split"] = "val".into());
    assert_same(&rows(&open("val")), &expected);

    // Columns and types too, but for what pandas adds.
    let reference = ArrowFile::open(&folder.join("vqa_vqa_rad_test.arrow")).unwrap();
    assert_eq!(open("test").schema().collect::<Vec<_>>(), reference.schema().collect::<Vec<_>>());
    assert_eq!(open("test").vocabulary().unwrap().unwrap().len(), 498);
    // What the questions are about, in whatever order the raw file names several types.
    let asked = read_questions_arrow(open("test").path()).unwrap().questions;
    let of = |types: &str| asked.iter().filter(|question| question.question_type.as_deref() == Some(types)).count();
    assert_eq!((of("PRES"), of("POS,PRES"), of("ATTRIB,PRES"), of("PRES,POS")), (163, 3, 3, 0));

    let report = PrepareReport::load(out.path()).unwrap();
    let leak = report.shared_images.iter().find(|shared| shared.files[1].ends_with("test.arrow")).unwrap();
    assert_eq!((leak.files[0].as_str(), leak.images), ("vqa_vqa_rad_train.arrow", 203));
    assert_eq!(files[0].duplicate_texts, 465);
}

#[test]
fn label_counts_are_the_published_ones() {
    let (Some(rad), Some(slake), Some(medical)) =
        (shared("data/vqa_rad"), shared("data/slake_text"), shared("data/vqa_med_2019_text"))
    else {
        return;
    };
    let count = |set, raw: &Path, options: &PrepareOptions| {
        let plans = plan(set, raw, options).unwrap();
        let questions = |row: &m3ae_prepare::PlannedRow| match &row.data {
            m3ae_data::arrow::RowData::Questions { questions, .. } => questions.len(),
            _ => 0,
        };
        let texts = |split: usize| plans[0].splits[split].rows.iter().map(questions).sum::<usize>();
        (plans[0].vocabulary.as_ref().unwrap().len(), [texts(0), texts(1), texts(2)])
    };
    let options = PrepareOptions::default();
    assert_eq!(count(SetName::VqaRad, &rad, &options).0, 498);
    assert_eq!(count(SetName::Slake, &slake, &options), (222, [4919, 1053, 1061]));
    assert_eq!(count(SetName::VqaMed2019, &medical, &options), (79, [9600, 1500, 375]));
    let train_only = PrepareOptions { vocabulary: VocabularyScope::Train, ..options };
    assert!(count(SetName::VqaRad, &rad, &train_only).0 < 498);
}

#[test]
fn other_real_sets_are_prepared() {
    let (Some(roco), Some(medicat)) = (shared("data/medpix2_roco_layout"), shared("data/medicat_sample")) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let options = PrepareOptions { workers: 2, decode_images: true, ..Default::default() };
    for (set, raw, rows) in [
        (SetName::Roco, &roco, vec![480, 70, 70]),
        (SetName::IrtrRoco, &roco, vec![480, 70, 70]),
        (SetName::Medicat, &medicat, vec![6]),
    ] {
        let files = prepare(set, raw, out.path(), &options, &mut |_| {}).unwrap();
        for (file, rows) in files.iter().zip(&rows) {
            let dropped = file.dropped.get("fewer than 3 words").copied().unwrap_or(0);
            assert!(file.images <= *rows && file.images + dropped >= *rows, "{file:?}");
        }
    }
    println!("{}", PrepareReport::load(out.path()).unwrap());
}
