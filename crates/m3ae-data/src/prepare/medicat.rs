//! MedICaT: figures of articles, each with its caption and the sentences that refer to it.

use super::{
    Dropped, Plan, PlannedRow, PrepareError, PrepareOptions, SetName, SplitPlan,
    captions::add_text,
    lines::{self, is_inside, place},
    split,
};
use crate::arrow::{Kind, RowData};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// The file of records, as released.
const RECORDS: &str = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl";
/// Images in validation, and as many in test: a tenth where there are fewer than ten times as many.
const HELD_OUT: usize = 1000;

/// Reads MedICaT: the radiology records, in the seed's order; the last are the test, those before them validation.
pub(super) fn plan(raw: &Path, options: &PrepareOptions) -> Result<Plan, PrepareError> {
    let release = if raw.join("release").is_dir() { raw.join("release") } else { raw.to_owned() };
    let path = records_path(&release)?;
    let figures = release.join("figures");
    let (mut rows, mut dropped, mut duplicates) = (Vec::new(), Vec::new(), 0);
    let mut seen = HashSet::new();
    for (line, text) in lines::lines(&lines::bytes(&path)?) {
        let place = place(&path, "line", line);
        let row = row(text, &place, &figures, &mut dropped, &mut duplicates);
        match row {
            Ok(row) if seen.insert(row.image_id.clone()) => rows.push(row),
            Ok(row) => dropped.push(Dropped { place, reason: format!("figure {} again", row.image_id), broken: true }),
            Err((reason, broken)) => dropped.push(Dropped { place, reason, broken }),
        }
    }
    split::shuffle(options.seed, "medicat", &mut rows);
    let held_out = HELD_OUT.min(rows.len() / 10);
    let test = rows.split_off(rows.len() - held_out);
    let val = rows.split_off(rows.len() - held_out);
    // What was dropped belongs to no split; it is listed with the first.
    let splits = [("train", rows, dropped, duplicates), ("val", val, vec![], 0), ("test", test, vec![], 0)];
    let splits = splits.into_iter().filter(|(split, rows, ..)| *split == "train" || !rows.is_empty());
    let splits = splits.map(|(split, rows, dropped, duplicates)| SplitPlan {
        file_name: format!("medicat_{split}.arrow"),
        split: split.to_owned(),
        kind: Kind::Captions,
        rows,
        dropped,
        duplicates,
        unknown_answers: 0,
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

fn row(
    text: Option<&str>,
    place: &str,
    figures: &Path,
    dropped: &mut Vec<Dropped>,
    duplicates: &mut usize,
) -> Result<PlannedRow, (String, bool)> {
    let broken = |reason: &str| (reason.to_owned(), true);
    let text = text.ok_or_else(|| broken("not UTF-8 text"))?;
    let record: serde_json::Value = serde_json::from_str(text).map_err(|_| broken("not a JSON record"))?;
    match record["radiology"].as_bool() {
        Some(true) => {}
        Some(false) => return Err(("not radiology".to_owned(), false)),
        None => return Err(broken("no true or false under radiology")),
    }
    let key = |key: &str| record[key].as_str().ok_or_else(|| broken(&format!("no text under {key}")));
    let image_id = format!("{}_{}", key("pdf_hash")?, key("fig_uri")?);
    if !is_inside(&image_id) {
        return Err(broken("the figure is no file name"));
    }
    let references = match &record["s2orc_references"] {
        serde_json::Value::Array(references) => references.as_slice(),
        serde_json::Value::Null => &[],
        _ => return Err(broken("no list under s2orc_references")),
    };
    let mut texts = Vec::new();
    let caption = std::iter::once(&record["s2_caption"]).filter(|caption| !caption.is_null());
    for text in caption.chain(references) {
        add_text(&mut texts, text, place, dropped, duplicates);
    }
    match texts.is_empty() {
        true => Err(("no usable text".to_owned(), false)),
        false => Ok(PlannedRow { image: figures.join(&image_id), image_id, data: RowData::Captions(texts) }),
    }
}
