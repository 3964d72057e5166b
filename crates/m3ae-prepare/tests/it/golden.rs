//! Real data sets, prepared: against what the reference's preparation wrote.

use std::{collections::BTreeMap, fs, path::Path};

use m3ae_data::{
    arrow::{ArrowFile, Kind, RowData},
    read_questions_arrow,
};
use m3ae_prepare::{PrepareOptions, PrepareReport, SetName, ValChoice, VocabularyScope, plan, prepare};
use sha2::{Digest, Sha256};

use crate::{
    locate::{golden, larger_golden},
    write,
};

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

/// The reference's rows of a split.
fn expected_rows(split: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(golden(&format!("arrow/vqa_vqa_rad_{split}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// VQA-RAD prepared as the reference did: its validation split is a copy of test.
fn as_the_reference() -> PrepareOptions {
    PrepareOptions { val: Some(ValChoice::CopyTest), workers: 2, ..Default::default() }
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
fn rows_of_the_references_own_file_are_read() {
    let file = ArrowFile::open(&golden("arrow/vqa_vqa_rad_test_4_rows.arrow")).unwrap();
    assert_eq!((file.kind(), file.len()), (Kind::Questions, 4));
    let rows = rows(&file);
    let has = |expected: &serde_json::Value| rows.iter().any(|row| row["image_id"] == expected["image_id"]);
    assert_same(&rows, &expected_rows("test").into_iter().filter(has).collect::<Vec<_>>());
    assert!(file.vocabulary().unwrap().is_none());
}

#[test]
fn the_references_own_file_is_read() {
    let Some(folder) = larger_golden("golden/arrow") else { return };
    let file = ArrowFile::open(&folder.join("vqa_vqa_rad_test.arrow")).unwrap();
    assert_eq!(file.kind(), Kind::Questions);
    assert_same(&rows(&file), &expected_rows("test"));
    assert!(file.vocabulary().unwrap().is_none());
}

#[test]
fn every_row_of_vqa_rad_is_planned_as_the_reference_does() {
    let plans = plan(SetName::VqaRad, &golden("arrow/vqa_rad"), &as_the_reference()).unwrap();
    assert_eq!(plans[0].vocabulary.as_ref().unwrap().len(), 498);
    for (split, name) in plans[0].splits.iter().zip(["train", "val", "test"]) {
        let rows: Vec<_> = split.rows.iter().map(|row| planned(&row.image_id, &row.data, name)).collect();
        let mut expected = expected_rows(if name == "val" { "test" } else { name });
        for row in &mut expected {
            row["split"] = name.into();
            row.as_object_mut().unwrap().remove("image_sha256");
        }
        assert_same(&rows, &expected);
    }
}

/// A planned row as the golden files have it, without the image.
fn planned(image_id: &str, data: &RowData, split: &str) -> serde_json::Value {
    let RowData::Questions { questions, answers, answer_labels, answer_scores, question_ids, answer_types } = data
    else {
        panic!("{data:?} is no row of questions");
    };
    serde_json::json!({
        "questions": questions, "answers": answers, "answer_labels": answer_labels, "answer_scores": answer_scores,
        "image_id": name(image_id), "question_id": question_ids, "answer_type": answer_types, "split": split,
    })
}

/// The questions about the images that the repository has, prepared to Arrow: the reference's rows, but for the labels'
/// numbers, which count the answers of these few questions.
#[test]
fn a_part_of_vqa_rad_is_prepared_as_the_reference_does() {
    let (whole, part, out) = (golden("arrow/vqa_rad"), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in ["trainset.json", "testset.json"] {
        let questions: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(whole.join(file)).unwrap()).unwrap();
        let has_image = |question: &serde_json::Value| {
            whole.join("images").join(question["image_name"].as_str().unwrap()).is_file()
        };
        let kept: Vec<_> = questions.into_iter().filter(has_image).collect();
        write(part.path().join(file), serde_json::to_vec(&kept).unwrap());
    }
    for image in fs::read_dir(whole.join("images")).unwrap() {
        let image = image.unwrap();
        write(part.path().join("images").join(image.file_name()), fs::read(image.path()).unwrap());
    }
    prepare(SetName::VqaRad, part.path(), out.path(), &as_the_reference(), &mut |_| {}).unwrap();
    for (split, images) in [("train", 8), ("val", 6), ("test", 6)] {
        let file = ArrowFile::open(&out.path().join(format!("vqa_vqa_rad_{split}.arrow"))).unwrap();
        let mut rows = rows(&file);
        assert_eq!(rows.len(), images, "{split}");
        let mut expected = expected_rows(if split == "val" { "test" } else { split });
        expected.retain(|expected| rows.iter().any(|row| row["image_id"] == expected["image_id"]));
        let mut label_of = BTreeMap::new();
        for (row, expected) in rows.iter_mut().zip(&mut expected) {
            expected["split"] = split.into();
            // One number for one answer, and another for another.
            let labels = row["answer_labels"].as_array().unwrap().clone();
            for (answer, label) in expected["answers"].as_array().unwrap().iter().zip(labels) {
                assert_eq!(label_of.entry(answer.to_string()).or_insert(label.clone()), &label, "{answer}");
            }
            row["answer_labels"] = expected["answer_labels"].clone();
        }
        let different: std::collections::BTreeSet<_> = label_of.values().map(ToString::to_string).collect();
        assert_eq!(different.len(), label_of.len());
        assert_same(&rows, &expected);
    }
}

#[test]
fn vqa_rad_is_prepared_as_the_reference_does() {
    let (Some(raw), Some(folder)) = (larger_golden("data/vqa_rad"), larger_golden("golden/arrow")) else { return };
    let out = tempfile::tempdir().unwrap();
    let files = prepare(SetName::VqaRad, &raw, out.path(), &as_the_reference(), &mut |_| {}).unwrap();
    assert_eq!(
        files.iter().map(|file| (file.images, file.texts)).collect::<Vec<_>>(),
        [(314, 3064), (203, 451), (203, 451)]
    );

    let open = |split: &str| ArrowFile::open(&out.path().join(format!("vqa_vqa_rad_{split}.arrow"))).unwrap();
    for split in ["train", "test"] {
        assert_same(&rows(&open(split)), &expected_rows(split));
    }
    let mut expected = expected_rows("test");
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
        (larger_golden("data/vqa_rad"), larger_golden("data/slake_text"), larger_golden("data/vqa_med_2019_text"))
    else {
        return;
    };
    let count = |set, raw: &Path, options: &PrepareOptions| {
        let plans = plan(set, raw, options).unwrap();
        let questions = |row: &m3ae_prepare::PlannedRow| match &row.data {
            RowData::Questions { questions, .. } => questions.len(),
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
    let (Some(roco), Some(medicat)) = (larger_golden("data/medpix2_roco_layout"), larger_golden("data/medicat_sample"))
    else {
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
