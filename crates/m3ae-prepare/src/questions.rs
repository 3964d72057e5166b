//! Questions, by image, with their labels.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use m3ae_data::arrow::{Kind, RowData};
use m3ae_text::{Vocabulary, normalize_answer};

use crate::{
    Plan, PlannedRow, PrepareError, PrepareOptions, SetName, SplitPlan, ValChoice, VocabularyScope,
    records::{self, Question, Questions},
    split,
};

/// Reads a question-answering set. Each may come in VQA-RAD's layout too.
pub(crate) fn plan(set: SetName, raw: &Path, options: &PrepareOptions) -> Result<Plan, PrepareError> {
    let layout = if records::json_path(SetName::VqaRad, raw, "train").is_file() { SetName::VqaRad } else { set };
    let mut first_id = 0;
    let mut read = |split: &str| {
        let questions = match layout {
            SetName::VqaMed2019 => records::medical(raw, split, first_id),
            _ => records::json(layout, raw, split, options.language),
        }?;
        first_id += questions.found.len() as i64;
        Ok::<_, PrepareError>(questions)
    };
    let mut train = read("train")?;
    let answers_of = |questions: &Questions| questions.found.iter().map(|q| q.answer.clone()).collect::<Vec<String>>();
    // Before validation is cut out of it: classes of all splits are numbered as the reference numbers them, whatever
    // validation is made of, because published checkpoints name none.
    let of_file = answers_of(&train);
    let has_val = match layout {
        SetName::VqaMed2019 => raw.join("val").is_dir(),
        _ => records::json_path(layout, raw, "val").is_file(),
    };
    let choice = options.val.unwrap_or(if has_val { ValChoice::Given } else { ValChoice::Split });
    let (val, test) = match choice {
        ValChoice::Given if !has_val => {
            let problem =
                "it has no validation split: choose --val split (or copy-test, as published numbers were made)";
            return Err(PrepareError::Option { set, problem: problem.to_owned() });
        }
        ValChoice::Given => (read("val")?, read("test")?),
        ValChoice::CopyTest => {
            let test = read("test")?;
            (test.clone(), test)
        }
        ValChoice::Split => (cut(&mut train, options.seed), read("test")?),
    };
    let answers = match options.vocabulary {
        VocabularyScope::Train => answers_of(&train),
        VocabularyScope::All => [of_file, answers_of(&val), answers_of(&test)].concat(),
    };
    let vocabulary = Vocabulary::from_answers(answers);
    let splits = [("train", train), ("val", val), ("test", test)];
    let splits = splits.into_iter().map(|(split, questions)| group(set, split, questions, &vocabulary)).collect();
    Ok(Plan { set, vocabulary: Some(vocabulary), label_names: Default::default(), splits })
}

/// Takes a validation split out of train.
fn cut(train: &mut Questions, seed: u64) -> Questions {
    let chosen = split::validation(seed, train.found.iter().map(|question| question.image_id.as_str()));
    let (found, rest) = std::mem::take(&mut train.found).into_iter().partition(|q| chosen.contains(&q.image_id));
    train.found = rest;
    Questions { found, dropped: Vec::new() }
}

/// One row per image, in the order of first appearance; an image's questions in the order of the file. Nothing is
/// dropped: VQA-RAD asks some questions twice, and published numbers count them twice.
fn group(set: SetName, split: &str, questions: Questions, vocabulary: &Vocabulary) -> SplitPlan {
    let mut rows: Vec<(PlannedRow, Vec<Question>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let (mut duplicates, mut unknown_answers) = (0, 0);
    for question in questions.found {
        let answer = normalize_answer(&question.answer);
        unknown_answers += usize::from(vocabulary.label(&question.answer).is_none());
        duplicates += usize::from(!seen.insert((question.image_id.clone(), question.question.clone(), answer)));
        let place = *places.entry(question.image_id.clone()).or_insert_with(|| {
            let (image, image_id) = (question.image.clone(), question.image_id.clone());
            rows.push((PlannedRow { image, image_id, data: RowData::Captions(Vec::new()) }, Vec::new()));
            rows.len() - 1
        });
        rows[place].1.push(question);
    }
    let question_types = question_types(&rows);
    let rows = rows.into_iter().map(|(row, asked)| PlannedRow { data: data(asked, vocabulary), ..row }).collect();
    SplitPlan {
        file_name: set.file_name(split),
        split: split.to_owned(),
        kind: Kind::Questions,
        rows,
        dropped: questions.dropped,
        duplicates,
        unknown_answers,
        question_types,
    }
}

/// What each image's questions are about; nothing where no record says.
fn question_types(rows: &[(PlannedRow, Vec<Question>)]) -> BTreeMap<String, Vec<String>> {
    if rows.iter().flat_map(|(_, asked)| asked).all(|question| question.about.is_empty()) {
        return BTreeMap::new();
    }
    let of = |asked: &[Question]| asked.iter().map(|question| question.about.clone()).collect();
    rows.iter().map(|(row, asked)| (row.image_id.clone(), of(asked))).collect()
}

fn data(asked: Vec<Question>, vocabulary: &Vocabulary) -> RowData {
    let labels: Vec<Vec<i64>> =
        asked.iter().map(|q| vocabulary.label(&q.answer).map(|label| label as i64).into_iter().collect()).collect();
    RowData::Questions {
        answers: asked.iter().map(|question| vec![normalize_answer(&question.answer)]).collect(),
        answer_scores: labels.iter().map(|labels| vec![1.0; labels.len()]).collect(),
        answer_labels: labels,
        question_ids: asked.iter().map(|question| question.id).collect(),
        answer_types: asked.iter().map(|question| question.open.into()).collect(),
        questions: asked.into_iter().map(|question| question.question).collect(),
    }
}
