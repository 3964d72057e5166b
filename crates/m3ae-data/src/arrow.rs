//! Prepared data sets: Arrow IPC files in the reference's own schema.
//!
//! ```text
//! captions    roco_train.arrow, medicat_val.arrow, irtr_roco_test.arrow     one row per image
//!   image: binary   caption: list<string>   image_id, split: large_string
//! questions   vqa_vqa_rad_test.arrow                                        one row per image
//!   image   questions: list<string>   answers: list<list<string>>   answer_labels: list<list<int64>>
//!   answer_scores: list<list<double>>   image_id   question_id, answer_type: list<int64>   split
//! classes     cls_melinda_test.arrow                                        one row per image
//!   image   caption: list<string>   image_id   i_meth, p_meth, i_meth_label, p_meth_label: list<int64>   split
//!
//! "ARROW1\0\0" ┃ schema ┃ batch ┃ batch ┃ … ┃ footer: schema, place of each batch ┃ length ┃ "ARROW1"
//! ```
//!
//! [`ArrowFile`] maps a file into memory and reads any row without reading the others: what it hands out are slices of
//! the file. Files that pandas and pyarrow wrote are read as well as ours: either width of strings, binaries and lists.
//! Nothing in a file is trusted: every offset is checked before it is followed, and what does not hold is an
//! [`ArrowError`] that names file, row and column.
//!
//! The reader is ours because `arrow_ipc`'s `FileDecoder` (60.1) trusts the offsets in a file: with every byte of
//! the first and last 4 KiB of a prepared file set to 0, 127, 128 and 255 in turn, and the place of each batch
//! checked beforehand, it panicked on 1 874 of 29 936 damaged files, most often in `Buffer::slice_with_length`. It
//! also decodes a whole batch for one row. Writing goes through `arrow_ipc`.
//!
//! In the schema's metadata, `m3ae.vocabulary` holds the answers of a question-answering set (an answer's place is its
//! label), `m3ae.labels` the names of each label column's classes, and `m3ae.question_types` what each question is
//! about, where the data set says so (image name → a text per question).

mod columns;
mod error;
mod layout;
mod map;
mod metadata;
mod read;
mod rows;
mod write;

pub use error::ArrowError;
pub use read::ArrowFile;
pub use rows::{CaptionsRow, ClassesRow, Kind, QuestionsRow};
pub use write::{ArrowWriter, Row, RowData, WrittenFile, sha256};

/// The metadata key of a vocabulary: a JSON array of answers.
pub const VOCABULARY_KEY: &str = "m3ae.vocabulary";
/// The metadata key of class names: a JSON object, column → array of names.
pub const LABELS_KEY: &str = "m3ae.labels";
/// The metadata key of question types: a JSON object, image name → a text per question, empty where there is none.
/// Several types of one question are separated by commas.
pub const QUESTION_TYPES_KEY: &str = "m3ae.question_types";
/// MELINDA's label columns, in the reference's order.
pub const LABEL_COLUMNS: [&str; 4] = ["i_meth", "p_meth", "i_meth_label", "p_meth_label"];

#[cfg(test)]
mod tests;
