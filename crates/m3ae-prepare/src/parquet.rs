//! Parquet files' rows, to VQA-RAD's layout.

use std::{
    collections::HashSet,
    fs::{self, File},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::SystemTime,
};

use ::parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row, reader::RowIter},
};
use m3ae_files::hex;

use crate::{
    PrepareError, SetName,
    hub::{Files, Unpacked},
    images::{MAX_BYTES, content_hash},
};

/// Rows that are decoded at once: each has an image.
const BATCH: usize = 8;

/// Unpacks a set's files into a folder of `out`.
pub(crate) fn unpack(set: SetName, files: &Files, out: &Path) -> Result<Unpacked, PrepareError> {
    let unpacked = Unpacked(out.join(format!(".{set}.parquet.partial")));
    let images = unpacked.0.join("images");
    fs::create_dir_all(&images).map_err(PrepareError::write(&images))?;
    let (mut seen, mut next_id) = (HashSet::new(), 0);
    for (split, paths) in &files.splits {
        if paths.is_empty() {
            continue;
        }
        let mut records = Vec::new();
        for path in paths {
            let file = File::open(path).map_err(PrepareError::read(path))?;
            let modified =
                file.metadata().and_then(|metadata| metadata.modified()).map_err(PrepareError::read(path))?;
            let mut each = |row: &Row| {
                next_id += 1;
                let (record, image) = record(row, next_id - 1)?;
                let name = format!("{}.{}", hex(&content_hash(image)), ending(image));
                if seen.insert(name.clone()) {
                    write(&images.join(&name), image, modified).map_err(|error| format!("its image: {error}"))?;
                }
                let mut record = record;
                record["image_name"] = name.into();
                records.push(record);
                Ok(())
            };
            // The reader promises errors, but a file is no reason to trust it.
            let read = catch_unwind(AssertUnwindSafe(|| rows(file, &mut each)));
            read.unwrap_or_else(|_| Err("damaged: the reader gave up on it".to_owned()))
                .map_err(|problem| PrepareError::format(path, problem))?;
        }
        let path = unpacked.0.join(format!("{split}set.json"));
        let json = serde_json::to_vec(&records).map_err(|error| PrepareError::format(&path, error.to_string()))?;
        fs::write(&path, json).map_err(PrepareError::write(&path))?;
    }
    Ok(unpacked)
}

/// Writes an image with the time of the file that it is from, so that the same input is known again.
fn write(path: &Path, image: &[u8], modified: SystemTime) -> std::io::Result<()> {
    fs::write(path, image)?;
    File::options().write(true).open(path)?.set_modified(modified)
}

/// Each row of a file; else what is wrong, with the row from 0.
fn rows(file: File, each: &mut dyn FnMut(&Row) -> Result<(), String>) -> Result<(), String> {
    let not_parquet = |error| format!("not a whole Parquet file: {error}");
    let reader = SerializedFileReader::new(file).map_err(not_parquet)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let present: Vec<&str> = schema.root_schema().get_fields().iter().map(|field| field.name()).collect();
    for column in ["image", "question", "answer"] {
        if !present.contains(&column) {
            return Err(format!("no column {column}; it has {}", present.join(", ")));
        }
    }
    let rows = RowIter::from_file(None, &reader).map_err(not_parquet)?.with_batch_size(BATCH);
    for (number, row) in rows.enumerate() {
        let row = row.map_err(|error| format!("row {number}: {error}"))?;
        each(&row).map_err(|problem| format!("row {number}: {problem}"))?;
    }
    Ok(())
}

/// A row as a record of VQA-RAD without its image's name, and its image.
fn record(row: &Row, id: i64) -> Result<(serde_json::Value, &[u8]), String> {
    let field = |name: &str| row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field);
    let text = |name: &str| match field(name) {
        Some(Field::Str(text)) => Ok(text.as_str()),
        _ => Err(format!("no text under {name}")),
    };
    let integer = |name: &str| match field(name)? {
        Field::Long(value) => Some(*value),
        Field::Int(value) => Some((*value).into()),
        _ => None,
    };
    let question = text("question")?;
    let answer = match integer("answer") {
        Some(number) => number.to_string(),
        None => text("answer")?.to_owned(),
    };
    // Where the hub's copy leaves the type out, it shows in the answer.
    let closed = ["yes", "no"].contains(&answer.trim().to_lowercase().as_str());
    let answer_type = text("answer_type").unwrap_or(if closed { "CLOSED" } else { "OPEN" });
    let mut record = serde_json::json!({
        "qid": integer("qid").unwrap_or(id), "question": question, "answer": answer, "answer_type": answer_type,
    });
    for optional in ["q_lang", "question_type", "content_type"] {
        if let Ok(value) = text(optional) {
            record[optional] = value.into();
        }
    }
    Ok((record, image(field("image"))?))
}

/// An image's encoded bytes.
fn image(field: Option<&Field>) -> Result<&[u8], String> {
    let bytes = match field {
        Some(Field::Bytes(bytes)) => bytes.data(),
        Some(Field::Group(image)) => match image.get_column_iter().find(|(name, _)| *name == "bytes") {
            Some((_, Field::Bytes(bytes))) => bytes.data(),
            _ => {
                return Err("no bytes under image (it may refer to a file elsewhere, which is not followed)".to_owned());
            }
        },
        _ => return Err("no bytes or struct of bytes under image".to_owned()),
    };
    match bytes.len() as u64 {
        0 => Err("an image of 0 bytes".to_owned()),
        length if length > MAX_BYTES => Err(format!("an image of more than {} MiB", MAX_BYTES >> 20)),
        _ => Ok(bytes),
    }
}

/// What an image's file is called at the end.
fn ending(image: &[u8]) -> &'static str {
    match ::image::guess_format(image) {
        Ok(format) => format.extensions_str().first().copied().unwrap_or("img"),
        Err(_) => "img",
    }
}
