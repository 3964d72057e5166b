//! The Hugging Face hub's Parquet files. `data/*.parquet` were written by pyarrow, as the hub's are: struct of image
//! bytes and path, question and answer; Snappy; train in two row groups, of three rows on two images.

use std::{fs, path::Path};

use m3ae_prepare::{PrepareOptions, SetName, ValChoice};

use crate::{options, run, write};

fn hub() -> tempfile::TempDir {
    let raw = tempfile::tempdir().unwrap();
    for (split, bytes) in [
        ("train", include_bytes!("../data/train.parquet").as_slice()),
        ("test", include_bytes!("../data/test.parquet").as_slice()),
    ] {
        write(raw.path().join(format!("data/{split}-00000-of-00001-0a1b.parquet")), bytes);
    }
    raw
}

fn copied() -> PrepareOptions {
    PrepareOptions { val: Some(ValChoice::CopyTest), decode_images: true, ..options() }
}

#[cfg(feature = "parquet")]
#[test]
fn a_set_of_the_hub_is_prepared_each_image_once() {
    let (raw, out) = (hub(), tempfile::tempdir().unwrap());
    for (set, name) in [(SetName::VqaRad, "vqa_rad"), (SetName::Slake, "slack"), (SetName::VqaMed2019, "medvqa_2019")] {
        run(set, raw.path(), out.path(), &copied()).unwrap();
        let file = m3ae_data::arrow::ArrowFile::open(&out.path().join(format!("vqa_{name}_train.arrow"))).unwrap();
        assert_eq!((file.len(), file.vocabulary().unwrap().unwrap().answers().len()), (2, 4));
        let row = file.questions(0).unwrap();
        assert_eq!((row.questions, row.answers.concat()), (vec!["Is it?", "Where is it?"], vec!["yes", "left"]));
        assert_eq!((row.answer_types, row.question_ids), (vec![0, 1], vec![0, 2]));
        assert!(row.image_id.ends_with(".png"), "{}", row.image_id);
        // Again: known by the files' times, though the images were unpacked anew.
        assert_eq!(run(set, raw.path(), out.path(), &copied()).unwrap(), [true; 3]);
    }
    let left = fs::read_dir(out.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(left, 0);
}

#[cfg(feature = "parquet")]
#[test]
fn damaged_files_are_refused_with_their_name() {
    let good = include_bytes!("../data/train.parquet");
    let out = tempfile::tempdir().unwrap();
    let raw = hub();
    let path = raw.path().join("data/train-00000-of-00001-0a1b.parquet");
    let refusal = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        run(SetName::VqaRad, raw.path(), out.path(), &copied()).map_err(|error| error.to_string())
    };
    for length in (0..good.len()).step_by(37) {
        let error = refusal(&good[..length]).unwrap_err();
        assert!(error.contains("train-00000-of-00001-0a1b.parquet: "), "{length}: {error}");
    }
    // Any byte changed: other values or an error, never a panic or an abort.
    let mut refused = 0;
    for place in (0..good.len()).step_by(7) {
        let mut bad = good.to_vec();
        bad[place] ^= 0x55;
        refused += usize::from(refusal(&bad).is_err());
    }
    assert!(refused > 50, "{refused}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_so() {
    let (raw, out) = (hub(), tempfile::tempdir().unwrap());
    let error = run(SetName::VqaRad, raw.path(), out.path(), &copied()).unwrap_err().to_string();
    assert!(error.contains("--features parquet"), "{error}");
}

#[test]
fn splits_are_told_by_names_and_must_be_there() {
    let (raw, out) = (hub(), tempfile::tempdir().unwrap());
    let refusal = |raw: &Path| run(SetName::VqaRad, raw, out.path(), &copied()).unwrap_err().to_string();
    write(raw.path().join("data/other.parquet"), b"");
    assert!(refusal(raw.path()).contains("other.parquet: neither its name nor its folder's"));
    fs::remove_file(raw.path().join("data/other.parquet")).unwrap();
    fs::remove_file(raw.path().join("data/test-00000-of-00001-0a1b.parquet")).unwrap();
    assert!(refusal(raw.path()).contains("test-*.parquet is missing"));
    // The published layout comes first where both are there.
    write(raw.path().join("trainset.json"), b"");
    assert!(refusal(raw.path()).contains("trainset.json: not an array of records"));
}
