//! MELINDA: figures of methods papers, their captions, and four labels each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

use m3ae_data::arrow::{Kind, LABEL_COLUMNS, RowData};

use crate::{
    Dropped, Plan, PlannedRow, PrepareError, PrepareOptions, SetName, SplitPlan, VocabularyScope,
    lines::{self, is_inside, place},
};

/// A line of the CSV.
struct Record {
    image_id: String,
    caption: String,
    labels: [String; 4],
}

/// Reads MELINDA: one row per image, with its captions and their labels as they stand in the file. A label's number is
/// its place among the sorted names.
pub(crate) fn plan(raw: &Path, options: &PrepareOptions) -> Result<Plan, PrepareError> {
    let mut read = Vec::new();
    for (split, file) in [("train", "train.csv"), ("val", "dev.csv"), ("test", "test.csv")] {
        let (records, dropped) = records(&raw.join(file))?;
        read.push((split, records, dropped));
    }
    let scope = match options.vocabulary {
        VocabularyScope::Train => &read[..1],
        VocabularyScope::All => &read[..],
    };
    let names: [Vec<String>; 4] = std::array::from_fn(|column| {
        let records = scope.iter().flat_map(|(_, records, _)| records);
        records.map(|record| record.labels[column].clone()).collect::<BTreeSet<_>>().into_iter().collect()
    });
    let images = raw.join("melinda_images");
    let splits = read.into_iter().map(|(split, records, dropped)| {
        let (mut seen, mut duplicates, mut unknown_answers) = (HashSet::new(), 0, 0);
        let mut rows: Vec<(String, Vec<String>, [Vec<i64>; 4])> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for record in records {
            duplicates += usize::from(!seen.insert((record.image_id.clone(), record.caption.clone())));
            let place = *places.entry(record.image_id.clone()).or_insert_with(|| {
                rows.push((record.image_id, Vec::new(), Default::default()));
                rows.len() - 1
            });
            let (_, captions, labels) = &mut rows[place];
            captions.push(record.caption);
            for ((names, label), labels) in names.iter().zip(&record.labels).zip(labels) {
                let found = names.binary_search(label).map_or(-1, |label| label as i64);
                unknown_answers += usize::from(found < 0);
                labels.push(found);
            }
        }
        let rows = rows.into_iter().map(|(image_id, captions, labels)| {
            let data = RowData::Classes { captions, labels };
            PlannedRow { image: images.join(&image_id), image_id, data }
        });
        SplitPlan {
            file_name: SetName::Melinda.file_name(split),
            split: split.to_owned(),
            kind: Kind::Classes,
            rows: rows.collect(),
            dropped,
            duplicates,
            unknown_answers,
            question_types: BTreeMap::new(),
        }
    });
    let splits = splits.collect();
    let label_names: BTreeMap<_, _> = LABEL_COLUMNS.into_iter().map(str::to_owned).zip(names).collect();
    Ok(Plan { set: SetName::Melinda, vocabulary: None, label_names, splits })
}

/// A file's records. Captions are quoted and may have line breaks in them.
fn records(path: &Path) -> Result<(Vec<Record>, Vec<Dropped>), PrepareError> {
    let bytes = lines::bytes(path)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|error| PrepareError::format(path, error.to_string()))?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header.trim() == name).ok_or_else(|| {
            let present = headers.iter().collect::<Vec<_>>().join(", ");
            PrepareError::format(path, format!("no column {name}; it has {present}"))
        })
    };
    let (image, caption) = (column("figure_file")?, column("caption")?);
    let mut labels = [0; 4];
    for (label, name) in labels.iter_mut().zip(LABEL_COLUMNS) {
        *label = column(name)?;
    }
    let (mut found, mut dropped) = (Vec::new(), Vec::new());
    for (number, record) in (1..).zip(reader.byte_records()) {
        let record = record.map_err(|error| PrepareError::format(path, error.to_string()))?;
        let text = |column: usize| {
            let field = record.get(column).ok_or("too few columns")?;
            std::str::from_utf8(field).map_err(|_| "not UTF-8 text")
        };
        let parse = || -> Result<Record, &'static str> {
            let mut values: [String; 4] = Default::default();
            for (value, &column) in values.iter_mut().zip(&labels) {
                *value = text(column)?.to_owned();
            }
            let image_id = text(image)?.trim().to_owned();
            match (is_inside(&image_id), values.iter().any(|value| value.trim().is_empty())) {
                (false, _) => Err("the image is no file name"),
                (_, true) => Err("a label is empty"),
                _ => Ok(Record { image_id, caption: text(caption)?.to_owned(), labels: values }),
            }
        };
        match parse() {
            Ok(record) => found.push(record),
            Err(reason) => {
                dropped.push(Dropped { place: place(path, "record", number), reason: reason.to_owned(), broken: true });
            }
        }
    }
    Ok((found, dropped))
}
