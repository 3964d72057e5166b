//! `prepare` and `data inspect`, from raw files to a sheet of pictures.

use std::fs;
use std::path::Path;

use crate::{fails, m3ae, succeeds};

/// VQA-RAD's layout in its default folder: two images, one of them in test too.
fn vqa_rad(root: &Path) {
    let raw = root.join("data/finetune_data/vqa_rad");
    fs::create_dir_all(raw.join("images")).unwrap();
    let record = |id: i32, image: &str| {
        serde_json::json!({
            "qid": id, "image_name": image, "question": "Is it a lung?", "answer": "Yes", "answer_type": "CLOSED ",
        })
    };
    fs::write(raw.join("trainset.json"), serde_json::json!([record(1, "a.jpg"), record(2, "b.jpg")]).to_string())
        .unwrap();
    fs::write(raw.join("testset.json"), serde_json::json!([record(3, "a.jpg")]).to_string()).unwrap();
    image::GrayImage::from_pixel(20, 10, [90].into()).save(raw.join("images/a.jpg")).unwrap();
    image::GrayImage::from_pixel(10, 20, [200].into()).save(raw.join("images/b.jpg")).unwrap();
    fs::rename(raw.join("images/b.jpg"), raw.join("images/b.JPG")).unwrap();
}

#[test]
fn a_set_is_prepared_kept_and_looked_at() {
    let root = tempfile::tempdir().unwrap();
    vqa_rad(root.path());
    let prepare = ["prepare", "all", "vqa-rad", "--val", "copy-test", "--decode", "--out", "arrows"];
    let first = succeeds(root.path(), &prepare);
    assert!(first.contains("vqa_vqa_rad_train.arrow written") && first.contains("share 1 images"), "{first}");
    let again = succeeds(root.path(), &prepare);
    assert!(again.contains("vqa_vqa_rad_train.arrow kept") && !again.contains("written"), "{again}");
    assert!(root.path().join("arrows/prepare-report.json").is_file());

    let seen = succeeds(root.path(), &["data", "inspect", "arrows/vqa_vqa_rad_train.arrow"]);
    assert!(seen.contains("2 closed questions, 0 open ones") && seen.contains("yes"), "{seen}");
    assert!(image::open(root.path().join("arrows/vqa_vqa_rad_train.png")).unwrap().width() > 500);
    fs::write(root.path().join("cut.arrow"), b"ARROW1\0\0").unwrap();
    assert!(fails(root.path(), &["data", "inspect", "cut.arrow"]).contains("cut.arrow is not a whole Arrow IPC file"));
}

#[test]
fn what_is_missing_is_said_and_can_be_counted_without_images() {
    let root = tempfile::tempdir().unwrap();
    assert!(
        fails(root.path(), &["prepare", "all"]).contains("no data set is in its default folder (data/pretrain_data")
    );
    assert!(fails(root.path(), &["prepare", "vqa"]).contains("no data set \"vqa\": choose one of roco"));
    vqa_rad(root.path());
    // The set that is there is prepared, whatever becomes of the others.
    let output = m3ae(root.path(), &["prepare", "slake", "vqa-rad", "melinda"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("vqa_vqa_rad_test.arrow written"), "{out}");
    assert!(err.contains("slack/train.json is missing") && err.contains("melinda/train.csv is missing"), "{err}");

    fs::remove_dir_all(root.path().join("data/finetune_data/vqa_rad/images")).unwrap();
    let err = fails(root.path(), &["prepare", "vqa-rad", "--out", "other"]);
    assert!(err.contains("none of its 1 images is there") && err.contains("--dry-run"), "{err}");
    let counted = succeeds(root.path(), &["prepare", "vqa-rad", "--out", "other", "--dry-run"]);
    assert!(counted.contains("1 left out: no such image") && counted.contains("nothing was written"), "{counted}");
    assert!(!root.path().join("other").exists());
}
