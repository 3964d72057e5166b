//! What preparation promises, on small made data sets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use m3ae_data::{
    arrow::{ArrowFile, RowData},
    prepare::{Plan, PrepareError, PrepareOptions, PrepareReport, SetName, ValChoice, VocabularyScope, plan, prepare},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

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

#[test]
fn finished_files_are_kept_and_changed_or_damaged_ones_made_again() {
    let (raw, out) = (vqa_rad(), tempfile::tempdir().unwrap());
    let names = ["vqa_vqa_rad_test.arrow", "vqa_vqa_rad_train.arrow", "vqa_vqa_rad_val.arrow"];
    assert_eq!(run(SetName::VqaRad, raw.path(), out.path(), &options()).unwrap(), [false; 3]);
    let read = || names.map(|name| fs::read(out.path().join(name)).unwrap());
    let (first, report) = (read(), fs::read(out.path().join("prepare-report.json")).unwrap());

    assert_eq!(run(SetName::VqaRad, raw.path(), out.path(), &options()).unwrap(), [true; 3]);
    assert_eq!(fs::read(out.path().join("prepare-report.json")).unwrap(), report);

    // Cut off, or another image: only that file is made again.
    fs::write(out.path().join(names[0]), &first[0][..100]).unwrap();
    assert_eq!(run(SetName::VqaRad, raw.path(), out.path(), &options()).unwrap(), [false, true, true]);
    write(raw.path().join("images/20.jpg"), png(77));
    assert_eq!(run(SetName::VqaRad, raw.path(), out.path(), &options()).unwrap(), [false, true, true]);

    // Any number of workers writes the same bytes, and nothing but files and report is left behind.
    write(raw.path().join("images/20.jpg"), png(20));
    let other = tempfile::tempdir().unwrap();
    run(SetName::VqaRad, raw.path(), other.path(), &PrepareOptions { workers: 1, ..options() }).unwrap();
    assert_eq!(names.map(|name| fs::read(other.path().join(name)).unwrap()), first);
    let mut left: Vec<_> = fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".prepare.lock", "prepare-report.json", names[0], names[1], names[2]]);
}

#[test]
fn a_validation_split_is_cut_from_train_by_image() {
    let raw = vqa_rad();
    let by = |val, seed| {
        plan(SetName::VqaRad, raw.path(), &PrepareOptions { val, seed, ..options() }).map(|mut p| p.remove(0))
    };
    let cut = by(None, 0).unwrap();
    assert_eq!((images(&cut, 0).len(), images(&cut, 1).len(), images(&cut, 2)), (11, 1, vec!["1.jpg", "20.jpg"]));
    assert!(!images(&cut, 0).contains(&images(&cut, 1)[0]));
    assert!((1..20).any(|seed| images(&by(None, seed).unwrap(), 1) != images(&cut, 1)));
    let copied = by(Some(ValChoice::CopyTest), 0).unwrap();
    assert_eq!((images(&copied, 0).len(), images(&copied, 1)), (12, vec!["1.jpg", "20.jpg"]));
    let error = by(Some(ValChoice::Given), 0).unwrap_err();
    assert!(error.to_string().contains("no validation split"), "{error}");
}

#[test]
fn a_vocabulary_of_train_leaves_other_answers_without_a_label() {
    let (raw, out) = (vqa_rad(), tempfile::tempdir().unwrap());
    let options = PrepareOptions { vocabulary: VocabularyScope::Train, val: Some(ValChoice::CopyTest), ..options() };
    let files = prepare(SetName::VqaRad, raw.path(), out.path(), &options, &mut |_| {}).unwrap();
    assert_eq!((files[0].labels, files[0].unknown_answers, files[2].unknown_answers), (5, 0, 1));
    let file = ArrowFile::open(&out.path().join("vqa_vqa_rad_test.arrow")).unwrap();
    let row = file.questions(0).unwrap();
    assert_eq!((row.answers, row.answer_labels, row.answer_scores), (vec![vec!["yes"]], vec![vec![]], vec![vec![]]));
    assert_eq!(file.questions(1).unwrap().answer_labels, [[3]]);
    // The image that train has too is a leak to know about.
    let report = PrepareReport::load(out.path()).unwrap();
    let pairs: Vec<_> = report.shared_images.iter().map(|shared| shared.images).collect();
    assert_eq!(pairs, [1, 1, 2]);
    assert!(
        report.to_string().contains("vqa_vqa_rad_train.arrow and vqa_vqa_rad_val.arrow share 1 images"),
        "{report}"
    );
}

#[test]
fn broken_records_stop_the_preparation_unless_allowed() {
    for (record, expected) in [
        (r#"{"image_name": "1.jpg", "question": "?", "answer": "a", "answer_type": "OPEN"}"#, "qid"),
        (r#"{"qid": 1, "image_name": 5, "question": "?", "answer": "a", "answer_type": "OPEN"}"#, "image_name"),
        (r#"{"qid": 1, "image_name": "1.jpg", "question": ["?"], "answer": "a", "answer_type": "OPEN"}"#, "question"),
        (r#"{"qid": 1, "image_name": "1.jpg", "question": "?", "answer": null, "answer_type": "OPEN"}"#, "answer"),
        (r#"{"qid": 1, "image_name": "1.jpg", "question": "?", "answer": "a", "answer_type": "MAYBE"}"#, "answer_type"),
        (
            r#"{"qid": 1, "image_name": "../1.jpg", "question": "?", "answer": "a", "answer_type": "OPEN"}"#,
            "no file name",
        ),
        ("17", "not a record"),
    ] {
        let raw = vqa_rad();
        write(raw.path().join("testset.json"), format!("[{record}]"));
        let error = plan(SetName::VqaRad, raw.path(), &options()).unwrap_err().to_string();
        assert!(error.contains("testset.json, record 0") && error.contains(expected), "{error}");
        let allowed = PrepareOptions { max_broken_share: 1.0, ..options() };
        let plans = plan(SetName::VqaRad, raw.path(), &allowed).unwrap();
        assert_eq!((plans[0].splits[2].rows.len(), plans[0].splits[2].dropped.len()), (0, 1));
    }
}

#[test]
fn annotations_that_are_none_are_refused_with_their_file() {
    for (content, expected) in [
        (b"{\"a\": 1}".as_slice(), "not an array of records"),
        (b"[{\"qid\": 1}", "not an array of records"),
        (b"[\"\xFF\"]", "not UTF-8 at byte 2"),
        (b"", "not an array of records"),
    ] {
        let raw = vqa_rad();
        write(raw.path().join("trainset.json"), content);
        let error = plan(SetName::VqaRad, raw.path(), &options()).unwrap_err().to_string();
        assert!(error.contains("trainset.json") && error.contains(expected), "{error}");
    }
    let raw = vqa_rad();
    fs::remove_file(raw.path().join("testset.json")).unwrap();
    assert!(
        matches!(plan(SetName::VqaRad, raw.path(), &options()), Err(PrepareError::Missing { path, .. }) if path.ends_with("testset.json"))
    );
}

#[test]
fn missing_and_unreadable_images_are_counted_and_named() {
    for (content, expected) in
        [(None, "no such image"), (Some(b"".as_slice()), "0 bytes"), (Some(b"<html>not found</html>"), "known kind")]
    {
        let (raw, out) = (vqa_rad(), tempfile::tempdir().unwrap());
        let image = raw.path().join("images/7.jpg");
        match content {
            Some(content) => fs::write(&image, content).unwrap(),
            None => fs::remove_file(&image).unwrap(),
        }
        // Without --decode a cut-off image passes; with it none does.
        let error = run(SetName::VqaRad, raw.path(), out.path(), &options()).unwrap_err().to_string();
        assert!(error.contains("7.jpg") && error.contains(expected), "{error}");
        assert!(!out.path().join("vqa_vqa_rad_train.arrow").exists());
        let allowed = PrepareOptions { max_broken_share: 0.1, val: Some(ValChoice::CopyTest), ..options() };
        let files = prepare(SetName::VqaRad, raw.path(), out.path(), &allowed, &mut |_| {}).unwrap();
        assert_eq!(files[0].images, 11);
        assert_eq!(files[0].dropped.values().sum::<usize>(), 1);
    }
    let (raw, out) = (vqa_rad(), tempfile::tempdir().unwrap());
    let whole = png(7);
    write(raw.path().join("images/7.jpg"), &whole[..whole.len() - 20]);
    assert!(run(SetName::VqaRad, raw.path(), out.path(), &options()).is_ok());
    let decode = PrepareOptions { decode_images: true, ..options() };
    assert!(run(SetName::VqaRad, raw.path(), tempfile::tempdir().unwrap().path(), &decode).is_err());
}

#[test]
fn melinda_is_read_from_quoted_csv_with_sorted_labels() {
    let raw = tempfile::tempdir().unwrap();
    let head = "figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\r\n";
    let train =
        format!("{head}a.png,\"First, \"\"line\"\"\r\nsecond line\",x2,p,l2,q\r\nb.png,plain caption,x1,p,l1,q\r\n");
    write(raw.path().join("train.csv"), train);
    write(raw.path().join("dev.csv"), format!("{head}a.png,dev caption,x1,p,l1,q"));
    write(raw.path().join("test.csv"), format!("{head}b.png,test caption,x3,p,l1,q\n"));
    for image in ["a.png", "b.png"] {
        write(raw.path().join("melinda_images").join(image), png(image.len()));
    }
    let out = tempfile::tempdir().unwrap();
    run(SetName::Melinda, raw.path(), out.path(), &options()).unwrap();
    let file = ArrowFile::open(&out.path().join("cls_melinda_train.arrow")).unwrap();
    let row = file.classes(0).unwrap();
    assert_eq!((row.captions, row.image_id), (vec!["First, \"line\" second line"], "a.png"));
    assert_eq!(row.labels, [vec![1], vec![0], vec![1], vec![0]]);
    assert_eq!(file.label_names().unwrap().unwrap()["i_meth"], ["x1", "x2", "x3"]);
    assert_eq!(ArrowFile::open(&out.path().join("cls_melinda_val.arrow")).unwrap().len(), 1);

    write(raw.path().join("test.csv"), "figure_file,caption,i_meth\na,b,c\n");
    let error = plan(SetName::Melinda, raw.path(), &options()).unwrap_err().to_string();
    assert!(error.contains("test.csv") && error.contains("no column p_meth"), "{error}");
}

#[test]
fn medicat_keeps_radiology_and_splits_by_the_seed() {
    let raw = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for i in 0..25 {
        let caption = format!("Figure {i}.  A\u{A0}chest radiograph");
        let references = match i {
            0 => serde_json::Value::Null,
            _ => serde_json::json!(["see figure", caption, format!("As shown in {i}.")]),
        };
        let record = serde_json::json!({
            "pdf_hash": "hash", "fig_uri": format!("{i}.png"), "s2_caption": caption, "s2orc_references": references,
            "radiology": i % 5 != 4,
        });
        lines += &format!("{record}\r\n");
        write(raw.path().join("release/figures").join(format!("hash_{i}.png")), png(i));
    }
    write(raw.path().join("release/some.jsonl"), &lines);
    let plans = plan(SetName::Medicat, raw.path(), &options()).unwrap();
    assert_eq!(plans[0].splits.iter().map(|split| split.rows.len()).collect::<Vec<_>>(), [16, 2, 2]);
    let all = plans[0].splits.iter().flat_map(|split| &split.rows);
    let row = all.clone().find(|row| row.image_id == "hash_7.png").unwrap();
    assert_eq!(row.data, RowData::Captions(vec!["Figure 7. A chest radiograph".into(), "As shown in 7.".into()]));
    // 5 are no radiology; of 19 with references, one is short and one the caption again.
    assert_eq!(plans[0].splits[0].dropped.len(), 5 + 19 * 2);
    let other = plan(SetName::Medicat, raw.path(), &PrepareOptions { seed: 1, ..options() }).unwrap();
    assert_ne!(images(&other[0], 2), images(&plans[0], 2));

    write(raw.path().join("release/some.jsonl"), format!("{lines}not json"));
    let error = plan(SetName::Medicat, raw.path(), &options()).unwrap_err().to_string();
    assert!(error.contains("some.jsonl, line 26: not a JSON record"), "{error}");
}

#[test]
fn references_join_roco_through_its_links() {
    let parent = tempfile::tempdir().unwrap();
    let raw = parent.path().join("roco");
    for split in ["train", "val", "test"] {
        let folder = raw.join(split).join("radiology");
        write(folder.join("captions.txt"), "ROCO_1\t One two three.\nROCO_1\tfour five six\nROCO_2\tseven eight nine");
        write(folder.join("images/ROCO_1.jpg"), png(1));
        write(folder.join("images/ROCO_2.jpg"), png(2));
    }
    write(raw.join("val/radiology/dlinks.txt"), "ROCO_1\twget -r ftp://host/PMC1.tar.gz\tPMC1_fig-g1.jpg\n");
    let references = parent.path().join("medicat/net/nfs2.corp/allennlp/sanjays/roco_files/roco_val_references.jsonl");
    write(
        references,
        "{\"roco_image_id\": \"PMC1_fig-g1\", \"s2orc_references\": [\"As  Figure 1 shows.\", \"too short\"]}\n",
    );
    let plans = plan(SetName::Roco, &raw, &options()).unwrap();
    let texts = |split: usize| plans[0].splits[split].rows[0].data.clone();
    let captions = |texts: &[&str]| RowData::Captions(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(texts(0), captions(&["One two three.", "four five six"]));
    assert_eq!(texts(1), captions(&["One two three.", "four five six", "As Figure 1 shows."]));
    let retrieval = plan(SetName::IrtrRoco, &raw, &options()).unwrap();
    assert_eq!(retrieval[0].splits[1].rows[0].data, captions(&["One two three.", "four five six"]));
    assert_eq!(retrieval[0].splits[1].file_name, "irtr_roco_val.arrow");
}

#[test]
fn medical_questions_have_both_namings_and_bars_in_answers() {
    let (distributed, renamed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for split in ["train", "val"] {
        for (number, category) in [("C1", "Modality"), ("C3", "Organ"), ("C2", "Plane")] {
            let line = format!("{category}{split}|what {category}?|an|swer\r\n");
            write(distributed.path().join(split).join(format!("{number}_{category}_{split}.txt")), &line);
            write(renamed.path().join(split).join("QA").join(format!("{category}.csv")), &line);
        }
    }
    let joint = "a|plane|which plane?|yes\nb|abnormality|what?|free text\nc|modality|which?|ct\nd|organ|which?|lung";
    write(distributed.path().join("test/VQAMed2019_Test_Questions_w_Ref_Answers.txt"), joint);
    for (category, line) in [("Modality", "c|which?|ct"), ("Organ", "d|which?|lung"), ("Plane", "a|which plane?|yes")] {
        write(renamed.path().join("test/QA").join(format!("{category}.csv")), line);
    }
    let both = [&distributed, &renamed].map(|raw| plan(SetName::VqaMed2019, raw.path(), &options()).unwrap().remove(0));
    let rows = |plan: &Plan| {
        plan.splits.iter().flat_map(|s| &s.rows).map(|r| (r.image_id.clone(), r.data.clone())).collect::<Vec<_>>()
    };
    assert_eq!(rows(&both[0]), rows(&both[1]));
    assert_eq!(images(&both[0], 2), ["c.jpg", "d.jpg", "a.jpg"]);
    let RowData::Questions { answer_types, question_ids, .. } = &both[0].splits[2].rows[2].data else { unreachable!() };
    assert_eq!((answer_types.as_slice(), question_ids.as_slice()), ([0].as_slice(), [8].as_slice()));
    assert_eq!(both[0].vocabulary.as_ref().unwrap().answers()[0], "an|swer");
}
