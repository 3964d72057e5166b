//! What preparation promises whatever the set.

use std::fs;

use m3ae_data::arrow::{ArrowFile, RowData};
use m3ae_prepare::{
    PrepareError, PrepareOptions, PrepareReport, SetName, ValChoice, VocabularyScope, plan, prepare, survey,
};

use crate::{images, options, png, run, vqa_rad, write};

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
    // Classes of all splits have the reference's numbers, whatever is cut.
    let cuts: Vec<_> = (0..20).map(|seed| by(None, seed).unwrap()).collect();
    assert!(cuts.iter().all(|cut| cut.vocabulary == copied.vocabulary));
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
fn no_image_at_all_is_said_before_anything_is_written_and_can_be_counted() {
    let (raw, out) = (vqa_rad(), tempfile::tempdir().unwrap());
    fs::remove_dir_all(raw.path().join("images")).unwrap();
    let out = out.path().join("arrows");
    let error = run(SetName::VqaRad, raw.path(), &out, &options()).unwrap_err();
    assert!(matches!(&error, PrepareError::NoImages { images: 11, .. }), "{error}");
    assert!(error.to_string().contains("--dry-run") && !out.exists(), "{error}");
    let report = survey(SetName::VqaRad, raw.path(), &options()).unwrap();
    let test = &report.files["vqa_vqa_rad_test.arrow"];
    assert_eq!((test.texts, test.labels, test.dropped["no such image"]), (2, 6, 2));
    // Some of them: how many, and not just the first.
    let raw = vqa_rad();
    for image in [3, 5, 7] {
        fs::remove_file(raw.path().join(format!("images/{image}.jpg"))).unwrap();
    }
    let options = PrepareOptions { val: Some(ValChoice::CopyTest), ..options() };
    let error = run(SetName::VqaRad, raw.path(), &out, &options).unwrap_err().to_string();
    assert!(error.contains("3 of 12 records") && error.contains("3.jpg: no such image") && !out.exists(), "{error}");
}

#[test]
fn image_names_of_any_case_are_found() {
    let (raw, out) = (vqa_rad(), tempfile::tempdir().unwrap());
    for (from, to) in [("7.jpg", "7.JPG"), ("20.jpg", "20.Jpg")] {
        fs::rename(raw.path().join("images").join(from), raw.path().join("images").join(to)).unwrap();
    }
    run(SetName::VqaRad, raw.path(), out.path(), &options()).unwrap();
    // Rows keep the name that the annotations have.
    let file = ArrowFile::open(&out.path().join("vqa_vqa_rad_test.arrow")).unwrap();
    assert_eq!((file.image_id(1).unwrap(), file.image(1).unwrap()), ("20.jpg", png(20).as_slice()));
}

#[test]
fn an_id_is_one_question_of_its_image() {
    let raw = tempfile::tempdir().unwrap();
    let record = |id: i64, image: &str, question: &str| serde_json::json!({"qid": id, "image_name": image, "question": question, "answer": "yes", "answer_type": "OPEN"});
    let test = serde_json::json!([record(1, "a.jpg", "Is it?")]);
    write(raw.path().join("testset.json"), test.to_string());
    let with = |more: &[serde_json::Value]| {
        let mut records = vec![record(1, "a.jpg", "Is it?"), record(1, "b.jpg", "Is it not?")];
        records.extend_from_slice(more);
        write(raw.path().join("trainset.json"), serde_json::Value::Array(records).to_string());
        let options = PrepareOptions { val: Some(ValChoice::CopyTest), ..options() };
        plan(SetName::VqaRad, raw.path(), &options).map(|mut plans| plans.remove(0).splits.remove(0))
    };
    let ids = |split: &m3ae_prepare::SplitPlan| {
        let ids = split.rows.iter().map(|row| match &row.data {
            RowData::Questions { question_ids, .. } => question_ids.clone(),
            _ => unreachable!(),
        });
        ids.collect::<Vec<_>>()
    };
    // Other images may have the same id; the whole record again is one; another question of the same image is refused.
    assert_eq!(ids(&with(&[]).unwrap()), [[1], [1]]);
    let repeated = with(&[record(1, "a.jpg", "Is it?")]).unwrap();
    assert_eq!((ids(&repeated), repeated.dropped.len()), (vec![vec![1], vec![1]], 1));
    assert!(!repeated.dropped[0].broken && repeated.dropped[0].place.ends_with("trainset.json, record 2"));
    let error = with(&[record(1, "a.jpg", "Or is it?")]).unwrap_err().to_string();
    assert!(error.contains("trainset.json, record 2: an id that another question"), "{error}");
    // The same question under another id counts: VQA-RAD has 465 such.
    let twice = with(&[record(2, "a.jpg", "Is it?")]).unwrap();
    assert_eq!((ids(&twice), twice.duplicates), (vec![vec![1, 2], vec![1]], 1));
}
