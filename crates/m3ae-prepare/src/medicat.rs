//! MedICaT: figures of articles, each with its caption and the sentences that refer to it.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use m3ae_data::arrow::{Kind, RowData};

use crate::{
    Dropped, Plan, PlannedRow, PrepareError, PrepareOptions, SetName, SplitPlan,
    captions::add_text,
    lines::{self, is_inside, place},
    python_random::PythonRandom,
};

/// The file of records, as released.
const RECORDS: &str = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl";
/// Images in validation, and as many in test: a tenth where there are fewer than ten times as many.
const HELD_OUT: usize = 1000;

/// Reads MedICaT: the radiology records, in the seed's order; the last are the test, those before them validation. With
/// the reference's seed, and its whole file, they are the reference's.
pub(crate) fn plan(raw: &Path, options: &PrepareOptions) -> Result<Plan, PrepareError> {
    let release = if raw.join("release").is_dir() { raw.join("release") } else { raw.to_owned() };
    let path = records_path(&release)?;
    let figures = release.join("figures");
    let (mut records, mut dropped, mut duplicates) = (Vec::new(), Vec::new(), 0);
    let mut seen = HashSet::new();
    for (line, text) in lines::lines(&lines::bytes(&path)?) {
        let place = place(&path, "line", line);
        let mut drop = |reason: String, broken| dropped.push(Dropped { place: place.clone(), reason, broken });
        let (record, image_id) = match radiology(text) {
            Ok(Some(radiology)) => radiology,
            Ok(None) => {
                drop("not radiology".to_owned(), false);
                continue;
            }
            Err(reason) => {
                drop(reason, true);
                continue;
            }
        };
        if !seen.insert(image_id.clone()) {
            drop("a figure that an earlier line has".to_owned(), true);
            continue;
        }
        let row = match texts(&record, &place, &mut dropped, &mut duplicates) {
            Ok(texts) if !texts.is_empty() => {
                Some(PlannedRow { image: figures.join(&image_id), image_id, data: RowData::Captions(texts) })
            }
            nothing => {
                let broken = nothing.is_err();
                let reason = nothing.err().unwrap_or_else(|| "no usable text".to_owned());
                dropped.push(Dropped { place, reason, broken });
                None
            }
        };
        // A record without texts has its place in the order all the same.
        records.push(row);
    }
    PythonRandom::new(options.seed).shuffle(&mut records);
    let held_out = HELD_OUT.min(records.len() / 10);
    let test = records.split_off(records.len() - held_out);
    let val = records.split_off(records.len() - held_out);
    let [train, val, test] = [records, val, test].map(|part| part.into_iter().flatten().collect::<Vec<_>>());
    // What was dropped belongs to no split; it is listed with the first.
    let splits = [("train", train, dropped, duplicates), ("val", val, vec![], 0), ("test", test, vec![], 0)];
    let splits = splits.into_iter().filter(|(split, rows, ..)| *split == "train" || !rows.is_empty());
    let splits = splits.map(|(split, rows, dropped, duplicates)| SplitPlan {
        file_name: SetName::Medicat.file_name(split),
        split: split.to_owned(),
        kind: Kind::Captions,
        rows,
        dropped,
        duplicates,
        unknown_answers: 0,
        question_types: Default::default(),
    });
    Ok(Plan { set: SetName::Medicat, vocabulary: None, label_names: Default::default(), splits: splits.collect() })
}

/// The released file, or the only one of its sort.
fn records_path(release: &Path) -> Result<PathBuf, PrepareError> {
    let path = release.join(RECORDS);
    if path.is_file() {
        return Ok(path);
    }
    let entries = fs::read_dir(release).map_err(PrepareError::read(release))?;
    let entries = entries.collect::<Result<Vec<_>, _>>().map_err(PrepareError::read(release))?;
    let mut others =
        entries.iter().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "jsonl"));
    match (others.next(), others.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(PrepareError::Missing { path, expected: "MedICaT's records, beside figures/".to_owned() }),
    }
}

/// A radiology record and its figure's file name; `None` for another record; else what is wrong with it.
fn radiology(text: Option<&str>) -> Result<Option<(serde_json::Value, String)>, String> {
    let text = text.ok_or("not UTF-8 text")?;
    let record: serde_json::Value = serde_json::from_str(text).map_err(|_| "not a JSON record")?;
    match record["radiology"].as_bool() {
        Some(true) => {}
        Some(false) => return Ok(None),
        None => return Err("no true or false under radiology".to_owned()),
    }
    let key = |key: &str| record[key].as_str().ok_or_else(|| format!("no text under {key}"));
    let image_id = format!("{}_{}", key("pdf_hash")?, key("fig_uri")?);
    match is_inside(&image_id) {
        true => Ok(Some((record, image_id))),
        false => Err("the figure is no file name".to_owned()),
    }
}

/// A record's caption and references.
fn texts(
    record: &serde_json::Value,
    place: &str,
    dropped: &mut Vec<Dropped>,
    duplicates: &mut usize,
) -> Result<Vec<String>, String> {
    let references = match &record["s2orc_references"] {
        serde_json::Value::Array(references) => references.as_slice(),
        serde_json::Value::Null => &[],
        _ => return Err("no list under s2orc_references".to_owned()),
    };
    let mut texts = Vec::new();
    let caption = std::iter::once(&record["s2_caption"]).filter(|caption| !caption.is_null());
    for text in caption.chain(references) {
        add_text(&mut texts, text, place, dropped, duplicates);
    }
    Ok(texts)
}
