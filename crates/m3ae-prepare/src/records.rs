//! Questions as the three sets ship them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    Dropped, Language, PrepareError, SetName,
    lines::{self, is_inside, place},
};

/// A question about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub image: PathBuf,
    pub image_id: String,
    pub id: i64,
    pub question: String,
    pub answer: String,
    pub open: bool,
    /// Its type, or several with commas between; empty where the set does not say.
    pub about: String,
}

impl Question {
    /// Whether two records ask the same; what they say that it is about may differ.
    fn says_the_same(&self, other: &Self) -> bool {
        let said = |of: &Self| (of.image_id.clone(), of.id, of.question.clone(), of.answer.clone(), of.open);
        said(self) == said(other)
    }
}

/// The questions of a split's file or files, in order, and what could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    pub found: Vec<Question>,
    pub dropped: Vec<Dropped>,
}

/// Which files hold a set's split, where it is there.
pub(crate) fn json_path(set: SetName, raw: &Path, split: &str) -> PathBuf {
    raw.join(match (set, split) {
        (SetName::Slake, "val") => "validate.json".to_owned(),
        (SetName::Slake, split) => format!("{split}.json"),
        (_, split) => format!("{split}set.json"),
    })
}

/// VQA-RAD's or SLAKE's JSON: an array of records. Of SLAKE, those of one language.
///
/// A question's id must be its image's only one: a record that says the same again is left out, one that says otherwise
/// is broken. (The reference joins the two, to the last one's question with the first one's answer.)
pub(crate) fn json(set: SetName, raw: &Path, split: &str, language: Language) -> Result<Questions, PrepareError> {
    let path = json_path(set, raw, split);
    let bytes = lines::bytes(&path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| PrepareError::format(&path, format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let records: Vec<serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| PrepareError::format(&path, format!("not an array of records: {error}")))?;
    let (name_key, folder) = match set {
        SetName::Slake => ("img_name", raw.join("imgs")),
        _ => ("image_name", raw.join("images")),
    };
    let mut questions = Questions::default();
    let mut ids: HashMap<(String, i64), usize> = HashMap::new();
    for (number, record) in records.iter().enumerate() {
        let mut drop = |reason: String, broken| {
            questions.dropped.push(Dropped { place: place(&path, "record", number), reason, broken });
        };
        // Who keeps a set in VQA-RAD's layout may have left the language out.
        if set == SetName::Slake || !record["q_lang"].is_null() {
            match record["q_lang"].as_str() {
                Some(code) if language.keeps(code) => {}
                Some(code) => {
                    drop(format!("language {}", code.chars().take(8).collect::<String>()), false);
                    continue;
                }
                None => {
                    drop("no text under q_lang".to_owned(), true);
                    continue;
                }
            }
        }
        let question = match question(record, name_key, &folder) {
            Ok(question) => question,
            Err(reason) => {
                drop(reason, true);
                continue;
            }
        };
        let first = *ids.entry((question.image_id.clone(), question.id)).or_insert(questions.found.len());
        match questions.found.get(first) {
            None => questions.found.push(question),
            Some(first) if first.says_the_same(&question) => {
                drop("the same question with the same id again".to_owned(), false)
            }
            Some(_) => drop("an id that another question of the same image has".to_owned(), true),
        }
    }
    Ok(questions)
}

fn question(record: &serde_json::Value, name_key: &str, folder: &Path) -> Result<Question, String> {
    if !record.is_object() {
        return Err("not a record".to_owned());
    }
    let text = |key: &str| record[key].as_str().ok_or_else(|| format!("no text under {key}"));
    let name = text(name_key)?;
    if !is_inside(name) {
        return Err(format!("{name_key} is no file name"));
    }
    let answer = match &record["answer"] {
        serde_json::Value::String(text) => text.clone(),
        // Counts are written as numbers in VQA-RAD.
        serde_json::Value::Number(number) => number.to_string(),
        _ => return Err("no text or number under answer".to_owned()),
    };
    let open = match text("answer_type")?.trim().to_uppercase().as_str() {
        "CLOSED" => false,
        "OPEN" => true,
        _ => return Err("answer_type is neither OPEN nor CLOSED".to_owned()),
    };
    let id = record["qid"].as_i64().or_else(|| record["qid"].as_str()?.trim().parse().ok());
    let id = id.ok_or("no whole number under qid")?;
    let (image, image_id, question) = (folder.join(name), name.to_owned(), text("question")?.to_owned());
    Ok(Question { image, image_id, id, question, answer, open, about: about(record) })
}

/// What a record says that its question is about: VQA-RAD's `question_type`, SLAKE's `content_type`.
fn about(record: &serde_json::Value) -> String {
    let shouted = record["question_type"].as_str().map(str::to_uppercase);
    let text = shouted.or_else(|| Some(record["content_type"].as_str()?.to_owned())).unwrap_or_default();
    let mut types: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    // VQA-RAD has `PRES, POS` and `POS, PRES`.
    types.sort_unstable();
    types.join(",")
}

/// VQA-Med-2019's categories that are used: the fourth, abnormality, is free text.
const CATEGORIES: [(&str, &str); 3] = [("Modality", "C1"), ("Organ", "C3"), ("Plane", "C2")];

/// A split of VQA-Med-2019, in the reference's names or as distributed: lines of `image|question|answer`, by category;
/// the distributed test has one file with the category in the second field.
///
/// The set numbers no questions and does not tell open from closed: as in the reference, ids count from `first_id`, and
/// all are open.
pub(crate) fn medical(raw: &Path, split: &str, first_id: i64) -> Result<Questions, PrepareError> {
    let folder = raw.join(split);
    let pictures = ["images", "Train_images", "Val_images", "VQAMed2019_Test_Images"].map(|name| folder.join(name));
    let images = pictures.iter().find(|folder| folder.is_dir()).unwrap_or(&pictures[0]);
    let mut questions = Questions::default();
    let joint = folder.join("VQAMed2019_Test_Questions_w_Ref_Answers.txt");
    let mut next_id = first_id;
    for (category, number) in CATEGORIES {
        let candidates = [
            folder.join("QA").join(format!("{category}.csv")),
            folder.join(format!("{number}_{category}_{split}.txt")),
        ];
        let (path, fields) = match candidates.iter().find(|path| path.is_file()) {
            Some(path) => (path, 3),
            None if joint.is_file() => (&joint, 4),
            None => {
                let expected = format!("VQA-Med-2019's questions: that, or {}", candidates[1].display());
                return Err(PrepareError::Missing { path: candidates[0].clone(), expected });
            }
        };
        for (line, text) in lines::lines(&lines::bytes(path)?) {
            let mut drop = |reason: &str| {
                let place = place(path, "line", line);
                questions.dropped.push(Dropped { place, reason: reason.to_owned(), broken: true });
            };
            let Some(text) = text else {
                drop("not UTF-8 text");
                continue;
            };
            // An answer may have bars in it; names, categories and questions have none.
            let parts: Vec<&str> = text.splitn(fields, '|').collect();
            let (name, question, answer) = match parts.as_slice() {
                [name, question, answer] if fields == 3 => (*name, *question, *answer),
                [name, of, question, answer] if of.trim().eq_ignore_ascii_case(category) => (*name, *question, *answer),
                [_, _, _, _] => continue,
                _ => {
                    drop("not image|question|answer");
                    continue;
                }
            };
            let name = name.trim();
            if !is_inside(name) {
                drop("the image is no file name");
                continue;
            }
            let image_id = match name.to_ascii_lowercase().ends_with(".jpg") {
                true => name.to_owned(),
                false => format!("{name}.jpg"),
            };
            questions.found.push(Question {
                image: images.join(&image_id),
                image_id,
                id: next_id,
                question: question.to_owned(),
                answer: answer.to_owned(),
                open: true,
                about: category.to_lowercase(),
            });
            next_id += 1;
        }
    }
    Ok(questions)
}
