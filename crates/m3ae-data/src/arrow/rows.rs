//! Rows of the three kinds of files.

use std::{collections::BTreeMap, path::Path};

use m3ae_text::Vocabulary;

use super::{ArrowError, ArrowFile, LABEL_COLUMNS, LABELS_KEY, QUESTION_TYPES_KEY, VOCABULARY_KEY, layout::Type};

/// What a file's rows are, told by its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Images with captions.
    Captions,
    /// Images with questions and answers.
    Questions,
    /// Images with captions and four labels (MELINDA).
    Classes,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Captions => "captions",
            Self::Questions => "questions",
            Self::Classes => "classes",
        })
    }
}

impl Kind {
    /// The columns, in the reference's order.
    #[must_use]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Captions => &["image", "caption", "image_id", "split"],
            Self::Questions => &[
                "image",
                "questions",
                "answers",
                "answer_labels",
                "answer_scores",
                "image_id",
                "question_id",
                "answer_type",
                "split",
            ],
            Self::Classes => {
                &["image", "caption", "image_id", "i_meth", "p_meth", "i_meth_label", "p_meth_label", "split"]
            }
        }
    }
}

/// An image and its captions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionsRow<'a> {
    /// The encoded image.
    pub image: &'a [u8],
    /// All its captions.
    pub captions: Vec<&'a str>,
    /// The image's name.
    pub image_id: &'a str,
    /// The split.
    pub split: &'a str,
}

/// An image and what is asked about it: six lists, an entry per question.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionsRow<'a> {
    /// The encoded image.
    pub image: &'a [u8],
    /// The questions.
    pub questions: Vec<&'a str>,
    /// Each one's right answers.
    pub answers: Vec<Vec<&'a str>>,
    /// The answers' labels; none for an answer outside the vocabulary.
    pub answer_labels: Vec<Vec<i64>>,
    /// What each label is worth, 0 to 1.
    pub answer_scores: Vec<Vec<f64>>,
    /// The image's name.
    pub image_id: &'a str,
    /// The questions' ids.
    pub question_ids: Vec<i64>,
    /// 0 closed, 1 open.
    pub answer_types: Vec<i64>,
    /// The split.
    pub split: &'a str,
}

/// An image, its captions and its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassesRow<'a> {
    /// The encoded image.
    pub image: &'a [u8],
    /// Its captions.
    pub captions: Vec<&'a str>,
    /// The image's name.
    pub image_id: &'a str,
    /// A list per column of [`LABEL_COLUMNS`], an entry per caption.
    pub labels: [Vec<i64>; 4],
    /// The split.
    pub split: &'a str,
}

/// Which kind of file has these columns: the first whose text and label columns are all there. More columns do no harm.
pub(super) fn kind_of(path: &Path, columns: &[(String, Type)]) -> Result<Kind, ArrowError> {
    let of = |name: &str| columns.iter().find(|(column, _)| column == name).map(|(_, of)| of);
    let kind = match (of("questions").is_some(), of("p_meth_label").is_some()) {
        (true, _) => Kind::Questions,
        (_, true) => Kind::Classes,
        _ => Kind::Captions,
    };
    for &column in kind.columns() {
        let is_right = of(column).is_some_and(|of| is_expected(column, of));
        if !is_right {
            let present = match of(column) {
                None => "missing".to_owned(),
                Some(of) => format!("a {of}"),
            };
            let problem = format!("{present}, but a file of {kind} needs {}", expected(column));
            return Err(ArrowError::Schema { path: path.to_owned(), column: column.to_owned(), problem });
        }
    }
    Ok(kind)
}

fn expected(column: &str) -> &'static str {
    match column {
        "image" => "binary (the encoded image)",
        "image_id" | "split" => "text",
        "questions" | "caption" => "a list of texts",
        "answers" => "a list of lists of texts",
        "answer_labels" => "a list of lists of whole numbers",
        "answer_scores" => "a list of lists of numbers",
        _ => "a list of whole numbers",
    }
}

fn is_expected(column: &str, of: &Type) -> bool {
    let is_text = |of: &Type| matches!(of, Type::Bytes { text: true, .. } | Type::Null);
    let is_integer = |of: &Type| matches!(of, Type::Integer { .. } | Type::Null);
    let list = |of: &Type, is_item: &dyn Fn(&Type) -> bool| match of {
        Type::List { item, .. } => is_item(item),
        _ => false,
    };
    match column {
        "image" => matches!(of, Type::Bytes { text: false, .. }),
        "image_id" | "split" => matches!(of, Type::Bytes { text: true, .. }),
        "questions" | "caption" => list(of, &is_text),
        "answers" => list(of, &|of| list(of, &is_text)),
        "answer_labels" => list(of, &|of| list(of, &is_integer)),
        "answer_scores" => list(of, &|of| list(of, &|of| matches!(of, Type::Float { .. } | Type::Null))),
        _ => list(of, &|of| is_integer(of) || is_text(of)),
    }
}

impl ArrowFile {
    /// What its rows are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A row's encoded image, as it lies in the file.
    ///
    /// # Errors
    /// When there is no such row, or its image reaches outside the file.
    pub fn image(&self, row: usize) -> Result<&[u8], ArrowError> {
        self.cell(row, "image")?.bytes()
    }

    /// A row's image name.
    ///
    /// # Errors
    /// When there is no such row, or the name is damaged.
    pub fn image_id(&self, row: usize) -> Result<&str, ArrowError> {
        self.cell(row, "image_id")?.text()
    }

    /// A row of captions (also of a file of classes).
    ///
    /// # Errors
    /// When there is no such row or column, or a value is damaged.
    pub fn captions(&self, row: usize) -> Result<CaptionsRow<'_>, ArrowError> {
        Ok(CaptionsRow {
            image: self.image(row)?,
            captions: self.cell(row, "caption")?.list(|caption| caption.text())?,
            image_id: self.image_id(row)?,
            split: self.cell(row, "split")?.text()?,
        })
    }

    /// A row of questions.
    ///
    /// # Errors
    /// When there is no such row or column, a value is damaged, or the lists are not of one length.
    pub fn questions(&self, row: usize) -> Result<QuestionsRow<'_>, ArrowError> {
        let found = QuestionsRow {
            image: self.image(row)?,
            questions: self.cell(row, "questions")?.list(|question| question.text())?,
            answers: self.cell(row, "answers")?.list(|answers| answers.list(|answer| answer.text()))?,
            answer_labels: self.cell(row, "answer_labels")?.list(|labels| labels.list(|label| label.integer()))?,
            answer_scores: self.cell(row, "answer_scores")?.list(|scores| scores.list(|score| score.float()))?,
            image_id: self.image_id(row)?,
            question_ids: self.cell(row, "question_id")?.list(|id| id.integer())?,
            answer_types: self.cell(row, "answer_type")?.list(|of| of.integer())?,
            split: self.cell(row, "split")?.text()?,
        };
        let count = found.questions.len();
        for (column, length) in [
            ("answers", found.answers.len()),
            ("answer_labels", found.answer_labels.len()),
            ("answer_scores", found.answer_scores.len()),
            ("question_id", found.question_ids.len()),
            ("answer_type", found.answer_types.len()),
        ] {
            if length != count {
                return Err(self.bad_row(row, column, format!("{length} entries for {count} questions")));
            }
        }
        if let Some(i) = (0..count).find(|&i| found.answer_labels[i].len() != found.answer_scores[i].len()) {
            return Err(self.bad_row(row, "answer_scores", format!("not one score per label in question {i}")));
        }
        Ok(found)
    }

    /// A row of classes.
    ///
    /// # Errors
    /// When there is no such row or column, a value is damaged, or the lists are not of one length.
    pub fn classes(&self, row: usize) -> Result<ClassesRow<'_>, ArrowError> {
        let CaptionsRow { image, captions, image_id, split } = self.captions(row)?;
        let mut labels: [Vec<i64>; 4] = Default::default();
        for (column, labels) in LABEL_COLUMNS.into_iter().zip(&mut labels) {
            *labels = self.cell(row, column)?.list(|label| label.integer())?;
            if labels.len() != captions.len() {
                let problem = format!("{} entries for {} captions", labels.len(), captions.len());
                return Err(self.bad_row(row, column, problem));
            }
        }
        Ok(ClassesRow { image, captions, image_id, labels, split })
    }

    /// The answers' vocabulary, where the file carries one: the reference's own files do not.
    ///
    /// # Errors
    /// When the metadata holds something else.
    pub fn vocabulary(&self) -> Result<Option<Vocabulary>, ArrowError> {
        let stored = self.metadata().get(VOCABULARY_KEY);
        stored
            .map(|json| Vocabulary::from_json(json))
            .transpose()
            .map_err(|error| self.bad_metadata(VOCABULARY_KEY, error))
    }

    /// The names of each label column's classes, where the file carries them.
    ///
    /// # Errors
    /// When the metadata holds something else.
    pub fn label_names(&self) -> Result<Option<BTreeMap<String, Vec<String>>>, ArrowError> {
        let stored = self.metadata().get(LABELS_KEY);
        stored.map(|json| serde_json::from_str(json)).transpose().map_err(|error| self.bad_metadata(LABELS_KEY, error))
    }

    /// What each question of an image is about, by the image's name, where the file carries it.
    ///
    /// # Errors
    /// When the metadata holds something else.
    pub fn question_types(&self) -> Result<BTreeMap<String, Vec<String>>, ArrowError> {
        match self.metadata().get(QUESTION_TYPES_KEY) {
            None => Ok(BTreeMap::new()),
            Some(json) => serde_json::from_str(json).map_err(|error| self.bad_metadata(QUESTION_TYPES_KEY, error)),
        }
    }

    fn bad_metadata(&self, key: &str, error: impl std::fmt::Display) -> ArrowError {
        let place = format!("its metadata {key}");
        ArrowError::Damaged { path: self.path().to_owned(), place, problem: error.to_string() }
    }
}
