use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use arrow_array::{
    Int64Array, RecordBatch, StringArray,
    builder::{BinaryBuilder, LargeBinaryBuilder, LargeListBuilder, LargeStringBuilder, ListBuilder, StringBuilder},
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{Field, Schema};

use super::*;

fn questions(image: usize, count: usize) -> Row {
    let each = |text: &str| (0..count).map(|i| format!("{text} {image} {i}")).collect::<Vec<_>>();
    Row {
        image_id: format!("image-{image}.jpg"),
        data: RowData::Questions {
            questions: each("Is it?"),
            answers: each("yes").into_iter().map(|answer| vec![answer]).collect(),
            answer_labels: (0..count).map(|i| if i == 1 { vec![] } else { vec![i as i64] }).collect(),
            answer_scores: (0..count).map(|i| if i == 1 { vec![] } else { vec![0.5] }).collect(),
            question_ids: (0..count).map(|i| (image * 10 + i) as i64).collect(),
            answer_types: vec![1; count],
        },
    }
}

fn image(number: usize) -> Vec<u8> {
    vec![number as u8; 1000 * number]
}

/// Three rows of questions.
fn write(path: &Path) -> WrittenFile {
    let metadata = BTreeMap::from([(VOCABULARY_KEY.to_owned(), r#"["yes","no"]"#.to_owned())]);
    let mut writer = ArrowWriter::create(path, Kind::Questions, "train", &metadata).unwrap();
    for number in 0..3 {
        writer.push(&questions(number, 2 * number), &image(number)).unwrap();
    }
    writer.finish().unwrap()
}

/// Everything a file holds; the first error that reading it meets.
fn read_all(bytes: Vec<u8>) -> Result<usize, ArrowError> {
    let file = ArrowFile::from_bytes(Path::new("flipped.arrow"), bytes)?;
    file.vocabulary()?;
    file.label_names()?;
    // A damaged count of rows may be anything; rows of a questions file take bytes each, which bounds it.
    for row in 0..file.len() {
        match file.kind() {
            Kind::Captions => drop(file.captions(row)?),
            Kind::Questions => drop(file.questions(row)?),
            Kind::Classes => drop(file.classes(row)?),
        }
    }
    Ok(file.len())
}

#[test]
fn what_is_written_is_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vqa_a_train.arrow");
    let written = write(&path);
    let bytes = fs::read(&path).unwrap();
    assert_eq!((written.rows, written.bytes), (3, bytes.len() as u64));
    assert_eq!(written.sha256, m3ae_files::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes)));

    let file = ArrowFile::open(&path).unwrap();
    assert_eq!((file.kind(), file.len(), file.batches()), (Kind::Questions, 3, 1));
    assert_eq!(file.vocabulary().unwrap().unwrap().answers(), ["yes", "no"]);
    for number in [2, 0, 1] {
        let row = file.questions(number).unwrap();
        let RowData::Questions { questions, answers, answer_labels, answer_scores, question_ids, answer_types } =
            questions(number, 2 * number).data
        else {
            unreachable!()
        };
        assert_eq!(
            (row.questions, row.answers.concat()),
            (questions.iter().map(String::as_str).collect(), answers.iter().flatten().map(String::as_str).collect())
        );
        assert_eq!((row.answer_labels, row.answer_scores), (answer_labels, answer_scores));
        assert_eq!((row.question_ids, row.answer_types), (question_ids, answer_types));
        assert_eq!((row.image, row.image_id, row.split), (&*image(number), &*format!("image-{number}.jpg"), "train"));
    }
    assert!(matches!(file.questions(3), Err(ArrowError::NoRow { row: 3, rows: 3, .. })));
    assert!(matches!(file.captions(0), Err(ArrowError::Schema { column, .. }) if column == "caption"));
}

#[test]
fn images_are_slices_of_the_mapped_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    write(&path);
    let file = ArrowFile::open(&path).unwrap();
    // The same memory each time: nothing is copied.
    assert_eq!(file.image(2).unwrap().as_ptr(), file.questions(2).unwrap().image.as_ptr());
}

#[test]
fn large_sets_are_written_in_batches_and_read_across_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    let mut writer = ArrowWriter::create(&path, Kind::Captions, "val", &BTreeMap::new()).unwrap();
    for number in 0..10_000_usize {
        let data = RowData::Captions(vec![format!("caption of {number}")]);
        writer.push(&Row { image_id: number.to_string(), data }, &number.to_le_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let file = ArrowFile::open(&path).unwrap();
    assert_eq!((file.len(), file.batches()), (10_000, 3));
    for number in [0, 4095, 4096, 8191, 8192, 9999_usize] {
        let row = file.captions(number).unwrap();
        assert_eq!((row.image, row.image_id), (&number.to_le_bytes()[..], number.to_string().as_str()));
        assert_eq!(row.captions, [format!("caption of {number}")]);
    }
}

#[test]
fn an_unfinished_file_leaves_nothing_and_an_earlier_one_intact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    write(&path);
    let before = fs::read(&path).unwrap();
    let mut writer = ArrowWriter::create(&path, Kind::Questions, "train", &BTreeMap::new()).unwrap();
    writer.push(&questions(1, 1), b"image").unwrap();
    assert!(writer.push(&Row { image_id: String::new(), data: RowData::Captions(vec![]) }, b"").is_err());
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A captions file with a column of each width, in two batches, written with the options.
fn write_wide(path: &Path, large: bool, options: IpcWriteOptions) -> Result<(), arrow_schema::ArrowError> {
    let mut batches = Vec::new();
    for number in 0..2_i64 {
        let caption = format!("caption {number}");
        let (image, captions, id): (arrow_array::ArrayRef, arrow_array::ArrayRef, arrow_array::ArrayRef) = if large {
            let (mut image, mut id) = (LargeBinaryBuilder::new(), LargeStringBuilder::new());
            let mut captions = LargeListBuilder::new(LargeStringBuilder::new());
            image.append_value(number.to_le_bytes());
            captions.append_value([Some(caption)]);
            id.append_value("id");
            (Arc::new(image.finish()), Arc::new(captions.finish()), Arc::new(id.finish()))
        } else {
            let (mut image, mut captions) = (BinaryBuilder::new(), ListBuilder::new(StringBuilder::new()));
            image.append_value(number.to_le_bytes());
            captions.append_value([Some(caption)]);
            (Arc::new(image.finish()), Arc::new(captions.finish()), Arc::new(StringArray::from(vec!["id"])))
        };
        let split = Arc::new(StringArray::from(vec![(number == 0).then_some("val")]));
        let extra = Arc::new(Int64Array::from(vec![number]));
        batches.push(RecordBatch::try_from_iter([
            ("extra", extra as arrow_array::ArrayRef),
            ("image", image),
            ("caption", captions),
            ("image_id", id),
            ("split", split),
        ])?);
    }
    // Of the two batches, only the second has a null; the schema must allow it in both.
    let fields = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect::<Vec<Field>>();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = FileWriter::try_new_with_options(fs::File::create(path)?, &schema, options)?;
    for batch in batches {
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())?)?;
    }
    writer.finish()
}

#[test]
fn both_widths_and_foreign_columns_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    for large in [false, true] {
        write_wide(&path, large, IpcWriteOptions::default()).unwrap();
        let file = ArrowFile::open(&path).unwrap();
        assert_eq!((file.len(), file.batches()), (2, 2));
        let row = file.captions(0).unwrap();
        assert_eq!((row.image, row.captions, row.split), (&0_i64.to_le_bytes()[..], vec!["caption 0"], "val"));
        assert_eq!(file.image(1).unwrap(), 1_i64.to_le_bytes());
        // A null is an error with its place, not an empty text.
        let error = file.captions(1).unwrap_err();
        assert!(matches!(&error, ArrowError::Value { row: 1, column, .. } if column == "split"), "{error}");
    }
}

#[test]
fn a_file_of_another_schema_is_refused_with_the_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    let refusal = |columns: Vec<(&str, arrow_array::ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = FileWriter::try_new(fs::File::create(&path).unwrap(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        match ArrowFile::open(&path).unwrap_err() {
            ArrowError::Schema { column, problem, .. } => (column, problem),
            other => panic!("{other}"),
        }
    };
    let (column, problem) = refusal(vec![("question", Arc::new(StringArray::from(vec!["?"])))]);
    assert!(column == "image" && problem.starts_with("missing"), "{problem}");
    let (column, problem) = refusal(vec![("image", Arc::new(StringArray::from(vec!["?"])))]);
    assert!(column == "image" && problem.starts_with("a string"), "{problem}");
    let (column, problem) = refusal(vec![("when", Arc::new(arrow_array::Date32Array::from(vec![1])))]);
    assert!(column == "when" && problem.contains("Date"), "{problem}");
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.arrow");
    write(&whole);
    let bytes = fs::read(&whole).unwrap();
    for length in 0..bytes.len() {
        let error = ArrowFile::from_bytes(Path::new("cut.arrow"), bytes[..length].to_vec()).unwrap_err();
        assert!(matches!(error, ArrowError::NotArrow { .. }), "{length}: {error}");
        assert!(error.to_string().contains("cut.arrow"), "{error}");
    }
}

#[test]
fn flipped_bytes_are_errors_or_other_values_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.arrow");
    write(&whole);
    let bytes = fs::read(&whole).unwrap();
    let (mut errors, mut tries) = (0, 0);
    for place in 0..bytes.len() {
        // The images' bytes are nobody's concern here.
        if bytes[place.saturating_sub(8)..(place + 8).min(bytes.len())].iter().all(|byte| [1, 2].contains(byte)) {
            continue;
        }
        for mask in [0x01, 0x80, 0xFF] {
            let mut bad = bytes.clone();
            bad[place] ^= mask;
            tries += 1;
            errors += usize::from(read_all(bad).is_err());
        }
    }
    assert!(errors > 1000 && errors < tries, "{errors} of {tries}");
}
