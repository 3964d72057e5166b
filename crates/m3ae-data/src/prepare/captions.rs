//! ROCO's layout: for pre-training, with the sentences that refer to a figure; for retrieval, with its captions only.

use super::{
    Dropped, Plan, PlannedRow, PrepareError, SetName, SplitPlan,
    lines::{self, place},
};
use crate::{
    SkipReason,
    arrow::{Kind, RowData},
    collapse_whitespace, read_roco,
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Fewer words say nothing about an image.
pub(super) const MIN_WORDS: usize = 3;
/// Retrieval compares every image with every text: published numbers are for 2000 of each.
const RETRIEVAL_IMAGES: usize = 2000;
/// Where MedICaT keeps its references to ROCO's figures, beside ROCO's own folder.
const REFERENCES: &str = "medicat/net/nfs2.corp/allennlp/sanjays/roco_files";

/// Reads ROCO, or another set in its layout.
pub(super) fn roco(set: SetName, raw: &Path) -> Result<Plan, PrepareError> {
    let splits = ["train", "val", "test"].map(|split| {
        let mut planned = captions(raw, split, &format!("{set}_{split}.arrow"))?;
        add_references(raw, split, &mut planned)?;
        Ok::<_, PrepareError>(planned)
    });
    let splits = splits.into_iter().collect::<Result<_, _>>()?;
    Ok(Plan { set, vocabulary: None, label_names: Default::default(), splits })
}

/// Reads ROCO for retrieval: of validation and test, the first 2000 images.
pub(super) fn retrieval(raw: &Path) -> Result<Plan, PrepareError> {
    let splits = ["train", "val", "test"].map(|split| {
        let mut planned = captions(raw, split, &format!("irtr_roco_{split}.arrow"))?;
        if split != "train" {
            let rest = planned.rows.split_off(planned.rows.len().min(RETRIEVAL_IMAGES));
            planned.dropped.extend(rest.into_iter().map(|row| Dropped {
                place: row.image.display().to_string(),
                reason: format!("past the first {RETRIEVAL_IMAGES} images"),
                broken: false,
            }));
        }
        Ok::<_, PrepareError>(planned)
    });
    let splits = splits.into_iter().collect::<Result<_, _>>()?;
    Ok(Plan { set: SetName::IrtrRoco, vocabulary: None, label_names: Default::default(), splits })
}

/// A split's images in the order of their first captions, each with all of them.
fn captions(raw: &Path, split: &str, file_name: &str) -> Result<SplitPlan, PrepareError> {
    let set = read_roco(raw, split)?;
    let mut rows: Vec<(PathBuf, String, Vec<String>)> = Vec::new();
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    for sample in set.samples {
        let place = *places.entry(sample.image.clone()).or_insert_with(|| {
            let name = sample.image.file_name().unwrap_or_default().to_string_lossy().into_owned();
            rows.push((sample.image, name, Vec::new()));
            rows.len() - 1
        });
        rows[place].2.push(sample.caption);
    }
    let is_rule = |reason: &SkipReason| matches!(reason, SkipReason::TooFewWords { .. } | SkipReason::Duplicate { .. });
    let duplicates = set.skipped.iter().filter(|s| matches!(s.reason, SkipReason::Duplicate { .. })).count();
    let dropped = set.skipped.iter().map(|skipped| Dropped {
        place: format!("{}, line {} ({})", skipped.file.display(), skipped.line.unwrap_or(0), skipped.key),
        reason: match &skipped.reason {
            SkipReason::TooFewWords { .. } => format!("fewer than {MIN_WORDS} words"),
            SkipReason::Duplicate { .. } => "the same caption of the same image again".to_owned(),
            SkipReason::MissingImage { .. } => "no such image".to_owned(),
            reason => reason.to_string(),
        },
        broken: !is_rule(&skipped.reason),
    });
    Ok(SplitPlan {
        file_name: file_name.to_owned(),
        split: split.to_owned(),
        kind: Kind::Captions,
        dropped: dropped.collect(),
        rows: rows
            .into_iter()
            .map(|(image, image_id, texts)| PlannedRow { image, image_id, data: RowData::Captions(texts) })
            .collect(),
        duplicates,
        unknown_answers: 0,
    })
}

/// Adds the sentences of the articles that refer to a figure, where both MedICaT's file of them and ROCO's `dlinks.txt`,
/// which says which figure is which image, are there.
fn add_references(raw: &Path, split: &str, planned: &mut SplitPlan) -> Result<(), PrepareError> {
    let links = raw.join(split).join("radiology/dlinks.txt");
    let references = raw.parent().unwrap_or(raw).join(REFERENCES).join(format!("roco_{split}_references.jsonl"));
    if !links.is_file() || !references.is_file() {
        return Ok(());
    }
    let links = figures(&lines::bytes(&links)?);
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let rows: HashMap<String, usize> = (0..).zip(&planned.rows).map(|(i, row)| (stem(&row.image_id), i)).collect();
    for (line, text) in lines::lines(&lines::bytes(&references)?) {
        let record = text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let key = record.as_ref().and_then(|record| {
            ["roco_image_id", "image_id", "image_name", "fig_uri"].iter().find_map(|key| record[*key].as_str())
        });
        let (Some(record), Some(key)) = (&record, key) else {
            let (place, reason) = (place(&references, "line", line), "no record with an image's name".to_owned());
            planned.dropped.push(Dropped { place, reason, broken: true });
            continue;
        };
        let key = stem(key);
        let row = links.get(&key).or(Some(&key)).and_then(|id| rows.get(id));
        let Some(RowData::Captions(texts)) = row.map(|&row| &mut planned.rows[row].data) else {
            let (place, reason) =
                (place(&references, "line", line), "references to an image that is not there".to_owned());
            planned.dropped.push(Dropped { place, reason, broken: false });
            continue;
        };
        for key in ["s2orc_references", "gorc_references", "references"] {
            for text in record[key].as_array().into_iter().flatten() {
                add_text(texts, text, &place(&references, "line", line), &mut planned.dropped, &mut planned.duplicates);
            }
        }
    }
    Ok(())
}

/// Which figure (`PMC…_name`) is which image, from lines of `ROCO id … PMC id_name.jpg`, separated by whitespace.
fn figures(bytes: &[u8]) -> HashMap<String, String> {
    let lines = lines::lines(bytes).filter_map(|(_, line)| line);
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (id, figure) = (words.next()?, words.next_back()?);
            let name = figure.rsplit('/').next()?;
            Some((name.split('.').next()?.to_owned(), id.to_owned()))
        })
        .collect()
}

/// Adds a text to an image's, or says why not.
pub(super) fn add_text(
    texts: &mut Vec<String>,
    text: &serde_json::Value,
    place: &str,
    dropped: &mut Vec<Dropped>,
    duplicates: &mut usize,
) {
    let mut drop = |reason: String, broken| dropped.push(Dropped { place: place.to_owned(), reason, broken });
    let Some(text) = text.as_str() else { return drop("a text that is none".to_owned(), true) };
    let text = collapse_whitespace(text);
    if text.split(' ').filter(|word| !word.is_empty()).count() < MIN_WORDS {
        drop(format!("fewer than {MIN_WORDS} words"), false);
    } else if texts.contains(&text) {
        *duplicates += 1;
        drop("the same text of the same image again".to_owned(), false);
    } else {
        texts.push(text);
    }
}
