//! Columns being built: the reference's types, and what a row puts into each.

use std::sync::Arc;

use arrow_array::{
    ArrayRef,
    builder::{
        ArrayBuilder, BinaryBuilder, Float64Builder, Int64Builder, LargeStringBuilder, ListBuilder, StringBuilder,
    },
};
use arrow_schema::{DataType, Field};

use super::{LABEL_COLUMNS, Row, RowData};

/// A column's type: what pandas makes of the reference's rows.
pub(super) fn data_type(column: &str) -> DataType {
    let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
    match column {
        "image" => DataType::Binary,
        "image_id" | "split" => DataType::LargeUtf8,
        "questions" | "caption" => list(DataType::Utf8),
        "answers" => list(list(DataType::Utf8)),
        "answer_labels" => list(list(DataType::Int64)),
        "answer_scores" => list(list(DataType::Float64)),
        _ => list(DataType::Int64),
    }
}

/// A column being built.
pub(super) enum Column {
    Image(BinaryBuilder),
    Text(LargeStringBuilder),
    Texts(ListBuilder<StringBuilder>),
    TextLists(ListBuilder<ListBuilder<StringBuilder>>),
    Integers(ListBuilder<Int64Builder>),
    IntegerLists(ListBuilder<ListBuilder<Int64Builder>>),
    FloatLists(ListBuilder<ListBuilder<Float64Builder>>),
}

impl Column {
    pub fn new(column: &str) -> Self {
        match column {
            "image" => Self::Image(BinaryBuilder::new()),
            "image_id" | "split" => Self::Text(LargeStringBuilder::new()),
            "questions" | "caption" => Self::Texts(ListBuilder::new(StringBuilder::new())),
            "answers" => Self::TextLists(ListBuilder::new(ListBuilder::new(StringBuilder::new()))),
            "answer_labels" => Self::IntegerLists(ListBuilder::new(ListBuilder::new(Int64Builder::new()))),
            "answer_scores" => Self::FloatLists(ListBuilder::new(ListBuilder::new(Float64Builder::new()))),
            _ => Self::Integers(ListBuilder::new(Int64Builder::new())),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Image(builder) => ArrayBuilder::finish(builder),
            Self::Text(builder) => ArrayBuilder::finish(builder),
            Self::Texts(builder) => ArrayBuilder::finish(builder),
            Self::TextLists(builder) => ArrayBuilder::finish(builder),
            Self::Integers(builder) => ArrayBuilder::finish(builder),
            Self::IntegerLists(builder) => ArrayBuilder::finish(builder),
            Self::FloatLists(builder) => ArrayBuilder::finish(builder),
        }
    }

    /// Adds a row's value. Of a row of the file's kind, every column has one.
    pub fn push(&mut self, column: &str, row: &Row, split: &str, image: &[u8]) {
        match self {
            Self::Image(builder) => builder.append_value(image),
            Self::Text(builder) => builder.append_value(if column == "split" { split } else { &row.image_id }),
            Self::Texts(builder) => {
                let (RowData::Captions(texts)
                | RowData::Classes { captions: texts, .. }
                | RowData::Questions { questions: texts, .. }) = &row.data;
                texts.iter().for_each(|text| builder.values().append_value(text));
                builder.append(true);
            }
            Self::TextLists(builder) => {
                if let RowData::Questions { answers, .. } = &row.data {
                    for answers in answers {
                        answers.iter().for_each(|answer| builder.values().values().append_value(answer));
                        builder.values().append(true);
                    }
                }
                builder.append(true);
            }
            Self::Integers(builder) => {
                let values = match &row.data {
                    RowData::Questions { question_ids, .. } if column == "question_id" => question_ids,
                    RowData::Questions { answer_types, .. } => answer_types,
                    RowData::Classes { labels, .. } => {
                        &labels[LABEL_COLUMNS.iter().position(|name| *name == column).unwrap_or_default()]
                    }
                    RowData::Captions(_) => &Vec::new(),
                };
                builder.values().append_slice(values);
                builder.append(true);
            }
            Self::IntegerLists(builder) => {
                if let RowData::Questions { answer_labels, .. } = &row.data {
                    for labels in answer_labels {
                        builder.values().values().append_slice(labels);
                        builder.values().append(true);
                    }
                }
                builder.append(true);
            }
            Self::FloatLists(builder) => {
                if let RowData::Questions { answer_scores, .. } = &row.data {
                    for scores in answer_scores {
                        builder.values().values().append_slice(scores);
                        builder.values().append(true);
                    }
                }
                builder.append(true);
            }
        }
    }
}
