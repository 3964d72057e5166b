//! Questions and classes of prepared files, for fine-tuning and evaluation.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use m3ae_text::Vocabulary;

use crate::{
    CaptionSample, DataError,
    arrow::{ArrowError, ArrowFile, Kind, LABEL_COLUMNS},
    collapse_whitespace,
    source::row_path,
};

/// A question about an image, with its answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Image and question, for the loader. Ids begin with the file's name without its ending
    /// (`vqa_vqa_rad_test/synpic100.jpg#0`); an image that stands in several rows counts its questions on.
    pub sample: CaptionSample,
    /// The image's name.
    pub image_id: String,
    /// The question's id in the data set. Sets exist where it is not unique.
    pub question_id: i64,
    /// The right answers, in normal spelling.
    pub answers: Vec<String>,
    /// Class and worth (0 to 1) of each answer that is in the vocabulary: possibly none.
    pub targets: Vec<(usize, f32)>,
    /// Whether it is a closed question (yes or no, one of two); else an open one.
    pub closed: bool,
    /// What it is about, where the file says so; several types have commas between.
    pub question_type: Option<String>,
}

/// The questions of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionSet {
    /// The file.
    pub path: PathBuf,
    /// The questions, in the file's order.
    pub questions: Vec<Question>,
    /// The answers that are classes, where the file carries them.
    pub vocabulary: Option<Vocabulary>,
}

/// Reads the questions of a prepared file. Its images stay there.
///
/// # Errors
/// When the file cannot be read, is damaged, holds no questions, or has labels that its vocabulary has no answer for.
pub fn read_questions_arrow(path: &Path) -> Result<QuestionSet, DataError> {
    let file = open(path, Kind::Questions)?;
    let vocabulary = file.vocabulary()?;
    let classes = vocabulary.as_ref().map_or(usize::MAX, Vocabulary::len);
    let types = file.question_types()?;
    let mut ids = Ids::new(path);
    let mut questions = Vec::new();
    for number in 0..file.len() {
        let row = file.questions(number)?;
        let types = types.get(row.image_id).filter(|types| types.len() == row.questions.len());
        for (i, question) in row.questions.iter().enumerate() {
            let mut targets = Vec::with_capacity(row.answer_labels[i].len());
            for (&label, &score) in row.answer_labels[i].iter().zip(&row.answer_scores[i]) {
                let class = class(label, classes).ok_or_else(|| {
                    bad_label(path, number, "answer_labels", format!("{label} in question {i} has no answer"))
                })?;
                targets.push((class, score as f32));
            }
            questions.push(Question {
                // As it stands: published models were trained with the questions' stray spaces and tabs, which are
                // tokens.
                sample: ids.sample(row.image_id, number, (*question).to_owned()),
                image_id: row.image_id.to_owned(),
                question_id: row.question_ids[i],
                answers: row.answers[i].iter().map(|&answer| answer.to_owned()).collect(),
                targets,
                closed: row.answer_types[i] == 0,
                question_type: types.map(|types| types[i].clone()).filter(|of| !of.is_empty()),
            });
        }
    }
    Ok(QuestionSet { path: path.to_owned(), questions, vocabulary })
}

/// The vocabulary of sets that belong together: the one they carry, or, for the reference's own files, which carry
/// none, the one that their labels and answers tell.
///
/// # Errors
/// When two sets have different vocabularies, or a class has two answers or none.
pub fn shared_vocabulary(sets: &[&QuestionSet]) -> Result<Vocabulary, DataError> {
    let carried: Vec<&QuestionSet> = sets.iter().copied().filter(|set| set.vocabulary.is_some()).collect();
    if let Some(other) = carried.iter().find(|set| set.vocabulary != carried[0].vocabulary) {
        let (first, second) = (carried[0].path.display(), other.path.display());
        return Err(DataError::config(
            "vocabulary",
            format!("not one: {first} and {second} number their answers differently; prepare them together"),
        ));
    }
    if let Some(vocabulary) = carried.first().and_then(|set| set.vocabulary.clone()) {
        return Ok(vocabulary);
    }
    let mut answers: Vec<Option<&str>> = Vec::new();
    for set in sets {
        for question in &set.questions {
            // Only where every answer has a label is it plain which is which.
            if question.answers.len() != question.targets.len() {
                continue;
            }
            for (answer, &(class, _)) in question.answers.iter().zip(&question.targets) {
                answers.resize(answers.len().max(class + 1), None);
                match answers[class] {
                    Some(known) if known != answer => {
                        let path = set.path.display();
                        let problem = format!("not one: class {class} is both {known:?} and {answer:?} (in {path})");
                        return Err(DataError::config("vocabulary", problem));
                    }
                    _ => answers[class] = Some(answer),
                }
            }
        }
    }
    if let Some(class) = answers.iter().position(Option::is_none) {
        let problem = format!("incomplete: no question tells the answer of class {class}; give all splits' files");
        return Err(DataError::config("vocabulary", problem));
    }
    let vocabulary = Vocabulary::from_answers(answers.iter().flatten());
    if vocabulary.len() != answers.len() {
        let problem = "not one: two classes have the same answer in normal spelling; prepare the set anew";
        return Err(DataError::config("vocabulary", problem));
    }
    Ok(vocabulary)
}

/// An image and its caption, with a class in each of the four label columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifiedSample {
    /// Image and caption, for the loader.
    pub sample: CaptionSample,
    /// The image's name.
    pub image_id: String,
    /// A class per column of [`LABEL_COLUMNS`].
    pub labels: [usize; 4],
}

/// The classified captions of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifiedSet {
    /// The file.
    pub path: PathBuf,
    /// The samples, in the file's order.
    pub samples: Vec<ClassifiedSample>,
    /// The classes' names of each column of [`LABEL_COLUMNS`]; numbers where the file does not carry names.
    pub names: [Vec<String>; 4],
}

/// Reads a prepared file of classes (MELINDA).
///
/// # Errors
/// When the file cannot be read, is damaged, holds no classes, or has labels that have no name.
pub fn read_classes_arrow(path: &Path) -> Result<ClassifiedSet, DataError> {
    let file = open(path, Kind::Classes)?;
    let stored = file.label_names()?.unwrap_or_default();
    let mut names = LABEL_COLUMNS.map(|column| stored.get(column).cloned().unwrap_or_default());
    let known = names.each_ref().map(|names| if names.is_empty() { usize::MAX } else { names.len() });
    let mut ids = Ids::new(path);
    let mut samples = Vec::new();
    for number in 0..file.len() {
        let row = file.classes(number)?;
        for (i, caption) in row.captions.iter().enumerate() {
            let mut labels = [0; 4];
            for (column, name) in LABEL_COLUMNS.iter().enumerate() {
                let label = row.labels[column][i];
                labels[column] = class(label, known[column])
                    .ok_or_else(|| bad_label(path, number, name, format!("{label} in caption {i} has no name")))?;
                if known[column] == usize::MAX {
                    let next = names[column].len();
                    names[column].extend((next..=labels[column]).map(|class| class.to_string()));
                }
            }
            let sample = ids.sample(row.image_id, number, collapse_whitespace(caption));
            samples.push(ClassifiedSample { sample, image_id: row.image_id.to_owned(), labels });
        }
    }
    Ok(ClassifiedSet { path: path.to_owned(), samples, names })
}

fn open(path: &Path, kind: Kind) -> Result<ArrowFile, DataError> {
    let file = ArrowFile::open(path)?;
    match file.kind() {
        found if found == kind => Ok(file),
        found => Err(DataError::OtherKind { path: path.to_owned(), expected: kind, found }),
    }
}

/// A label as a class, if it is one. No published set has a million classes.
fn class(label: i64, classes: usize) -> Option<usize> {
    usize::try_from(label).ok().filter(|&class| class < classes.min(1 << 20))
}

fn bad_label(path: &Path, row: usize, column: &str, problem: String) -> DataError {
    ArrowError::Damaged { path: path.to_owned(), place: format!("row {row}, column {column}"), problem }.into()
}

/// Gives samples their ids.
struct Ids<'a> {
    path: &'a Path,
    name: String,
    counts: HashMap<String, usize>,
}

impl<'a> Ids<'a> {
    fn new(path: &'a Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { path, name, counts: HashMap::new() }
    }

    fn sample(&mut self, image_id: &str, row: usize, caption: String) -> CaptionSample {
        let count = self.counts.entry(image_id.to_owned()).or_default();
        let id = format!("{}/{image_id}#{count}", self.name);
        *count += 1;
        CaptionSample { id, image: row_path(self.path, row), caption }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::arrow::{ArrowWriter, LABELS_KEY, QUESTION_TYPES_KEY, Row, RowData, VOCABULARY_KEY};

    fn write(path: &Path, kind: Kind, metadata: &[(&str, &str)], rows: Vec<RowData>) {
        let metadata: BTreeMap<String, String> =
            metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut writer = ArrowWriter::create(path, kind, "train", &metadata).unwrap();
        for data in rows {
            writer.push(&Row { image_id: "x.png".into(), data }, b"not read here").unwrap();
        }
        writer.finish().unwrap();
    }

    fn question(answers: &[&str], labels: &[i64]) -> RowData {
        RowData::Questions {
            questions: vec![" what  is it".into()],
            answers: vec![answers.iter().map(|&answer| answer.into()).collect()],
            answer_labels: vec![labels.to_vec()],
            answer_scores: vec![vec![1.0; labels.len()]],
            question_ids: vec![7],
            answer_types: vec![1],
        }
    }

    #[test]
    fn questions_keep_their_answers_and_get_ids_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vqa_toy_train.arrow");
        let rows = vec![question(&["yes"], &[0]), question(&["never seen"], &[])];
        write(&path, Kind::Questions, &[(VOCABULARY_KEY, r#"["yes"]"#)], rows);
        let set = read_questions_arrow(&path).unwrap();
        let ids: Vec<&str> = set.questions.iter().map(|question| question.sample.id.as_str()).collect();
        assert_eq!(ids, ["vqa_toy_train/x.png#0", "vqa_toy_train/x.png#1"]);
        assert_eq!(set.questions[0].sample.caption, " what  is it");
        assert_eq!((&set.questions[0].targets[..], set.questions[0].closed), (&[(0, 1.0)][..], false));
        assert!(set.questions[1].targets.is_empty());
        assert_eq!(shared_vocabulary(&[&set]).unwrap().answers(), ["yes"]);
        let error = read_classes_arrow(&path).unwrap_err().to_string();
        assert!(error.contains("holds questions, not classes"), "{error}");
    }

    #[test]
    fn question_types_are_those_of_the_image_and_nothing_where_they_are_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let types = |name: &str, metadata: &[(&str, &str)]| {
            let path = folder.path().join(name);
            write(&path, Kind::Questions, metadata, vec![question(&["yes"], &[0])]);
            read_questions_arrow(&path).map(|mut set| set.questions.remove(0).question_type)
        };
        let told = types("told.arrow", &[(QUESTION_TYPES_KEY, r#"{"x.png": ["ORGAN,PLANE"]}"#)]);
        assert_eq!(told.unwrap().as_deref(), Some("ORGAN,PLANE"));
        assert_eq!(types("empty.arrow", &[(QUESTION_TYPES_KEY, r#"{"x.png": [""]}"#)]).unwrap(), None);
        // Of another number of questions: it would be a guess which is which.
        assert_eq!(types("other.arrow", &[(QUESTION_TYPES_KEY, r#"{"x.png": ["A", "B"]}"#)]).unwrap(), None);
        assert_eq!(types("none.arrow", &[]).unwrap(), None);
        let error = types("bad.arrow", &[(QUESTION_TYPES_KEY, "[]")]).unwrap_err().to_string();
        assert!(error.contains("bad.arrow") && error.contains(QUESTION_TYPES_KEY), "{error}");
    }

    #[test]
    fn a_label_without_an_answer_is_refused_with_its_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.arrow");
        let rows = vec![question(&["yes"], &[0]), question(&["no"], &[1])];
        write(&path, Kind::Questions, &[(VOCABULARY_KEY, r#"["yes"]"#)], rows);
        let error = read_questions_arrow(&path).unwrap_err().to_string();
        assert!(error.contains("bad.arrow") && error.contains("row 1") && error.contains("answer_labels"), "{error}");
    }

    #[test]
    fn files_without_a_vocabulary_tell_it_by_their_labels() {
        let folder = tempfile::tempdir().unwrap();
        let set = |name: &str, rows| {
            let path = folder.path().join(name);
            write(&path, Kind::Questions, &[], rows);
            read_questions_arrow(&path).unwrap()
        };
        let train = set("train.arrow", vec![question(&["b"], &[1])]);
        let test = set("test.arrow", vec![question(&["axial"], &[0])]);
        assert_eq!(shared_vocabulary(&[&train, &test]).unwrap().answers(), ["axial", "b"]);
        let error = shared_vocabulary(&[&train]).unwrap_err().to_string();
        assert!(error.contains("class 0"), "{error}");
        let other = set("other.arrow", vec![question(&["c"], &[1])]);
        let error = shared_vocabulary(&[&train, &other]).unwrap_err().to_string();
        assert!(error.contains(r#"class 1 is both "b" and "c""#), "{error}");
    }

    #[test]
    fn classes_have_names_or_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let row = || RowData::Classes { captions: vec!["c".into()], labels: [vec![0], vec![2], vec![1], vec![0]] };
        let path = folder.path().join("plain.arrow");
        write(&path, Kind::Classes, &[], vec![row()]);
        let set = read_classes_arrow(&path).unwrap();
        assert_eq!(set.samples[0].labels, [0, 2, 1, 0]);
        assert_eq!(set.names[1], ["0", "1", "2"]);
        let path = folder.path().join("named.arrow");
        let names = format!(r#"{{"{}": ["only"]}}"#, LABEL_COLUMNS[1]);
        write(&path, Kind::Classes, &[(LABELS_KEY, &names)], vec![row()]);
        let error = read_classes_arrow(&path).unwrap_err().to_string();
        assert!(error.contains(LABEL_COLUMNS[1]) && error.contains("2 in caption 0 has no name"), "{error}");
    }
}
