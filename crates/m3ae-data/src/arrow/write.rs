//! Writing a prepared file: whole or not at all.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{Field, Schema};
use m3ae_files::{NewFile, hex};
use sha2::{Digest, Sha256};

use super::{
    ArrowError, Kind,
    columns::{Column, data_type},
};

/// A batch is written when its images take this much: memory stays bounded, whatever the data set's size.
const BATCH_BYTES: usize = 16 << 20;
/// … or when it has this many rows.
const BATCH_ROWS: usize = 4096;

/// A row to be written.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The image's name.
    pub image_id: String,
    /// What belongs to the image.
    pub data: RowData,
}

/// What belongs to an image.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub enum RowData {
    /// Captions.
    Captions(Vec<String>),
    /// Questions: lists of one length, as in [`QuestionsRow`](super::QuestionsRow).
    #[allow(missing_docs)]
    Questions {
        questions: Vec<String>,
        answers: Vec<Vec<String>>,
        answer_labels: Vec<Vec<i64>>,
        answer_scores: Vec<Vec<f64>>,
        question_ids: Vec<i64>,
        answer_types: Vec<i64>,
    },
    /// Captions and their classes in the order of `LABEL_COLUMNS`.
    #[allow(missing_docs)]
    Classes { captions: Vec<String>, labels: [Vec<i64>; 4] },
}

impl RowData {
    /// The kind of file that it belongs into.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Captions(_) => Kind::Captions,
            Self::Questions { .. } => Kind::Questions,
            Self::Classes { .. } => Kind::Classes,
        }
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows.
    pub rows: usize,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Writes rows, in order. The file appears with [`finish`](Self::finish), whole; dropped before that, an earlier file
/// of its name stays as it was.
pub struct ArrowWriter {
    path: PathBuf,
    kind: Kind,
    split: String,
    writer: FileWriter<Sha256Writer<NewFile>>,
    columns: Vec<Column>,
    pending_rows: usize,
    pending_bytes: usize,
    rows: usize,
}

impl ArrowWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(
        path: &Path,
        kind: Kind,
        split: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, ArrowError> {
        let file = NewFile::create(path).map_err(|error| failed(path, error))?;
        let columns: Vec<Column> = kind.columns().iter().map(|name| Column::new(name)).collect();
        let fields: Vec<Field> = kind.columns().iter().map(|name| Field::new(*name, data_type(name), true)).collect();
        let schema = Schema::new_with_metadata(
            fields,
            metadata.clone().into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        let writer = FileWriter::try_new(Sha256Writer::new(file), &schema).map_err(|error| failed(path, error))?;
        let (path, split) = (path.to_owned(), split.to_owned());
        Ok(Self { path, kind, split, writer, columns, pending_rows: 0, pending_bytes: 0, rows: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When writing fails, or the row is of another kind than the file.
    pub fn push(&mut self, row: &Row, image: &[u8]) -> Result<(), ArrowError> {
        if row.data.kind() != self.kind {
            let problem = format!("a row of {} in a file of {}", row.data.kind(), self.kind);
            return Err(failed(&self.path, problem));
        }
        for (column, builder) in self.kind.columns().iter().zip(&mut self.columns) {
            builder.push(column, row, &self.split, image);
        }
        self.pending_rows += 1;
        self.pending_bytes += image.len();
        if self.pending_bytes >= BATCH_BYTES || self.pending_rows >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ArrowError> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(self.writer.schema()), arrays);
        let batch = batch.map_err(|error| failed(&self.path, error))?;
        self.writer.write(&batch).map_err(|error| failed(&self.path, error))?;
        self.rows += self.pending_rows;
        (self.pending_rows, self.pending_bytes) = (0, 0);
        Ok(())
    }

    /// Writes what is pending and the footer, makes sure that all of it is on the disk, and gives the file its name.
    ///
    /// # Errors
    /// When any of that fails.
    pub fn finish(mut self) -> Result<WrittenFile, ArrowError> {
        if self.pending_rows > 0 {
            self.flush()?;
        }
        let Self { path, writer, rows, .. } = self;
        let hashing = writer.into_inner().map_err(|error| failed(&path, error))?;
        let (file, sha256) = hashing.finish();
        let bytes = file.commit().map_err(|error| failed(&path, error))?.bytes;
        Ok(WrittenFile { path, rows, bytes, sha256 })
    }
}

/// A file's SHA-256, in hexadecimal: what published data sets and the preparation's report name.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256(path: &Path) -> Result<String, ArrowError> {
    let read = || {
        let mut hashing = Sha256Writer::new(io::sink());
        io::copy(&mut File::open(path)?, &mut hashing)?;
        Ok(hashing.finish().1)
    };
    read().map_err(|source| ArrowError::Read { path: path.to_owned(), source })
}

fn failed(path: &Path, problem: impl std::fmt::Display) -> ArrowError {
    ArrowError::Write { path: path.to_owned(), problem: problem.to_string() }
}

/// Passes bytes on and hashes them on the way.
struct Sha256Writer<W> {
    writer: W,
    digest: Sha256,
}

impl<W: Write> Sha256Writer<W> {
    fn new(writer: W) -> Self {
        Self { writer, digest: Sha256::new() }
    }

    fn finish(self) -> (W, String) {
        (self.writer, hex(&self.digest.finalize()))
    }
}

impl<W: Write> Write for Sha256Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
