//! ROCO's layout: for pre-training, with the sentences that refer to a figure; for retrieval, with its captions only.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use m3ae_data::{
    CaptionSample, CaptionSet, SkipReason, Skipped,
    arrow::{Kind, RowData},
    collapse_whitespace,
};

use crate::roco::read_roco;
use crate::{
    Dropped, Plan, PlannedRow, PrepareError, PrepareOptions, SetName, SplitPlan,
    lines::{self, place},
    python_random::PythonRandom,
};

/// Fewer words say nothing about an image.
pub(crate) const MIN_WORDS: usize = 3;
/// Retrieval compares every image with every text: published numbers are for 2000 of each.
const RETRIEVAL_CAPTIONS: usize = 2000;
const SPLITS: [&str; 3] = ["train", "val", "test"];
/// Where MedICaT keeps its references to ROCO's figures, beside ROCO's own folder.
const REFERENCES: &str = "medicat/net/nfs2.corp/allennlp/sanjays/roco_files";

/// Reads ROCO, or another set in its layout.
pub(crate) fn roco(set: SetName, raw: &Path) -> Result<Plan, PrepareError> {
    let splits = SPLITS.map(|split| {
        // The synthetic set has questions too, and `file_name` is of those.
        let file_name = if set == SetName::Phantom { format!("{set}_{split}.arrow") } else { set.file_name(split) };
        let mut planned = rows(read_roco(raw, split)?, split, &file_name);
        add_references(raw, split, &mut planned)?;
        Ok::<_, PrepareError>(planned)
    });
    let splits = splits.into_iter().collect::<Result<_, _>>()?;
    Ok(Plan { set, vocabulary: None, label_names: Default::default(), splits })
}

/// Reads ROCO for retrieval: in the seed's order, and of validation and test the first 2000 captions.
pub(crate) fn retrieval(raw: &Path, options: &PrepareOptions) -> Result<Plan, PrepareError> {
    // One generator for all splits, as in the reference: its seed gives its captions.
    let mut random = PythonRandom::new(options.seed);
    let splits = SPLITS.map(|split| {
        let mut set = read_roco(raw, split)?;
        set.samples = shuffled(&mut set, &mut random);
        let rest = match split {
            "train" => Vec::new(),
            _ => set.samples.split_off(set.samples.len().min(RETRIEVAL_CAPTIONS)),
        };
        let mut planned = rows(set, split, &SetName::IrtrRoco.file_name(split));
        planned.dropped.extend(rest.into_iter().map(|sample| Dropped {
            place: sample.image.display().to_string(),
            reason: format!("past the first {RETRIEVAL_CAPTIONS} captions"),
            broken: false,
        }));
        Ok::<_, PrepareError>(planned)
    });
    let splits = splits.into_iter().collect::<Result<_, _>>()?;
    Ok(Plan { set: SetName::IrtrRoco, vocabulary: None, label_names: Default::default(), splits })
}

/// A set's samples, in the order that shuffling the file's lines gives: all of them, but for blank ones at the end.
fn shuffled(set: &mut CaptionSet, random: &mut PythonRandom) -> Vec<CaptionSample> {
    let skipped: HashMap<usize, &Skipped> = set.skipped.iter().filter_map(|s| Some((s.line?, s))).collect();
    let blank_at = |line: &usize| skipped.get(line).is_some_and(|skipped| is_blank(skipped));
    let count = set.lines_read - (1..=set.lines_read).rev().take_while(blank_at).count();
    let mut samples = std::mem::take(&mut set.samples).into_iter();
    // A line is a sample, or was skipped.
    let lines = (1..=count).map(|line| if skipped.contains_key(&line) { None } else { samples.next() });
    let mut lines: Vec<Option<CaptionSample>> = lines.collect();
    random.shuffle(&mut lines);
    lines.into_iter().flatten().collect()
}

/// A line with nothing in it.
fn is_blank(skipped: &Skipped) -> bool {
    skipped.key.is_empty() && skipped.reason == SkipReason::NoTab
}

/// A split's images in the order of their first captions, each with all of them.
fn rows(set: CaptionSet, split: &str, file_name: &str) -> SplitPlan {
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
    let is_rule = |skipped: &Skipped| {
        is_blank(skipped) || matches!(skipped.reason, SkipReason::TooFewWords { .. } | SkipReason::Duplicate { .. })
    };
    let duplicates = set.skipped.iter().filter(|s| matches!(s.reason, SkipReason::Duplicate { .. })).count();
    let dropped = set.skipped.iter().map(|skipped| Dropped {
        place: format!("{}, line {} ({})", skipped.file.display(), skipped.line.unwrap_or(0), skipped.key),
        reason: match &skipped.reason {
            _ if is_blank(skipped) => "a blank line".to_owned(),
            SkipReason::TooFewWords { .. } => format!("fewer than {MIN_WORDS} words"),
            SkipReason::Duplicate { .. } => "the same caption of the same image again".to_owned(),
            SkipReason::MissingImage { .. } => "no such image".to_owned(),
            reason => reason.to_string(),
        },
        broken: !is_rule(skipped),
    });
    SplitPlan {
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
        question_types: Default::default(),
    }
}

/// Adds the sentences of the articles that refer to a figure, where both MedICaT's file of them and a file of ROCO's
/// that says which figure is which image are there: `dlinks.txt`, or else `licences.txt`.
fn add_references(raw: &Path, split: &str, planned: &mut SplitPlan) -> Result<(), PrepareError> {
    let folder = raw.join(split).join("radiology");
    let (links, licences) = (folder.join("dlinks.txt"), folder.join("licences.txt"));
    let references = raw.parent().unwrap_or(raw).join(REFERENCES).join(format!("roco_{split}_references.jsonl"));
    if !references.is_file() {
        return Ok(());
    }
    let links = match (links.is_file(), licences.is_file()) {
        (true, _) => figures(&lines::bytes(&links)?, linked),
        (_, true) => figures(&lines::bytes(&licences)?, licensed),
        _ => {
            let expected = format!("it or licences.txt, to find the images of {}", references.display());
            return Err(PrepareError::Missing { path: links, expected });
        }
    };
    let rows: HashMap<String, usize> = (0..).zip(&planned.rows).map(|(i, row)| (stem(&row.image_id), i)).collect();
    for (line, text) in lines::lines(&lines::bytes(&references)?) {
        let record = text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let place = place(&references, "line", line);
        let mut drop = |reason: &str, broken| {
            planned.dropped.push(Dropped { place: place.clone(), reason: reason.to_owned(), broken });
        };
        let Some((record, figure)) = record.as_ref().and_then(|r| Some((r, r["roco_image_id"].as_str()?))) else {
            drop("no record with text under roco_image_id", true);
            continue;
        };
        let row = links.get(&stem(figure)).and_then(|id| rows.get(id));
        let Some(RowData::Captions(texts)) = row.map(|&row| &mut planned.rows[row].data) else {
            drop("references to an image that is not there", false);
            continue;
        };
        match &record["gorc_references"] {
            serde_json::Value::Null => {}
            serde_json::Value::Array(references) => {
                for text in references {
                    add_text(texts, text, &place, &mut planned.dropped, &mut planned.duplicates);
                }
            }
            _ => drop("no list under gorc_references", true),
        }
    }
    Ok(())
}

/// A file's name without its ending.
fn stem(name: &str) -> String {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

/// Which figure, `<PMC id>_<file name>` without its ending, is which of ROCO's images.
fn figures(bytes: &[u8], parse: fn(&str) -> Option<(String, &str)>) -> HashMap<String, String> {
    let parsed = lines::lines(bytes).filter_map(|(_, line)| parse(line?));
    parsed.map(|(figure, id)| (stem(&figure), id.to_owned())).collect()
}

/// A line of `dlinks.txt`: `ROCO id<TAB>wget -r <address>/<PMC id>.tar.gz …<TAB>file name`.
fn linked(line: &str) -> Option<(String, &str)> {
    let (id, rest) = line.split_once('\t')?;
    let (command, name) = rest.rsplit_once('\t')?;
    let address = command.split(' ').nth(2)?;
    let article = address.rsplit('/').next()?.split('.').next()?;
    Some((format!("{article}_{}", name.trim()), id.trim()))
}

/// A line of `licences.txt`: `ROCO id,<PMC id>_<file name>,licence`.
fn licensed(line: &str) -> Option<(String, &str)> {
    let (id, rest) = line.split_once(',')?;
    let (figure, _licence) = rest.rsplit_once(',')?;
    Some((figure.trim().to_owned(), id.trim()))
}

/// Adds a text to an image's, or says why not.
pub(crate) fn add_text(
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
