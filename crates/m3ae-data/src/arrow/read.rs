//! A mapped file, and single values in it.

use std::{
    collections::BTreeMap,
    ops::{Deref, Range},
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use super::{
    ArrowError,
    layout::{Array, Type},
    metadata::{self, Batch},
};

/// A file's bytes.
enum Content {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// An Arrow IPC file of a data set, mapped into memory. Opening reads the footer and the batches' heads; reading a row
/// touches that row only. May be shared among threads.
pub struct ArrowFile {
    path: PathBuf,
    map: Content,
    columns: Vec<(String, Type)>,
    metadata: BTreeMap<String, String>,
    batches: Vec<Batch>,
    /// Each batch's first row, and behind the last the number of rows.
    first_rows: Vec<usize>,
    pub(super) kind: super::Kind,
}

impl std::fmt::Debug for ArrowFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArrowFile")
            .field("path", &self.path)
            .field("kind", &self.kind)
            .field("rows", &self.len())
            .finish_non_exhaustive()
    }
}

impl ArrowFile {
    /// Maps a file.
    ///
    /// # Errors
    /// When it cannot be read, is no Arrow IPC file, was cut off, contradicts itself, or has not the columns of a data
    /// set.
    pub fn open(path: &Path) -> Result<Self, ArrowError> {
        let map = super::map::map(path).map_err(|source| ArrowError::Read { path: path.to_owned(), source })?;
        Self::read(path, Content::Mapped(map))
    }

    /// Reads a file's content from memory; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, ArrowError> {
        Self::read(path, Content::Owned(bytes))
    }

    fn read(path: &Path, map: Content) -> Result<Self, ArrowError> {
        let contents = metadata::read(path, &map)?;
        let kind = super::rows::kind_of(path, &contents.columns)?;
        let mut first_rows = vec![0_usize];
        for batch in &contents.batches {
            let before = first_rows.last().copied().unwrap_or_default();
            first_rows.push(before.checked_add(batch.rows).ok_or_else(|| ArrowError::Damaged {
                path: path.to_owned(),
                place: "its batches".to_owned(),
                problem: "more rows than can be counted".to_owned(),
            })?);
        }
        let metadata::Contents { columns, metadata, batches } = contents;
        Ok(Self { path: path.to_owned(), map, columns, metadata, batches, first_rows, kind })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first_rows.last().copied().unwrap_or_default()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.map.len()
    }

    /// How many batches the rows are stored in.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The columns' names and types, in order.
    pub fn schema(&self) -> impl Iterator<Item = (&str, String)> {
        self.columns.iter().map(|(name, of)| (name.as_str(), of.to_string()))
    }

    /// The schema's metadata.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// A column's value in a row.
    pub(super) fn cell(&self, row: usize, column: &'static str) -> Result<Cell<'_>, ArrowError> {
        if row >= self.len() {
            return Err(ArrowError::NoRow { path: self.path.clone(), row, rows: self.len() });
        }
        let batch = self.first_rows.partition_point(|&first| first <= row) - 1;
        let found = self.columns.iter().position(|(name, _)| name == column);
        let place = found.and_then(|i| Some((self.batches.get(batch)?.columns.get(i)?, &self.columns.get(i)?.1)));
        let Some((array, of)) = place else {
            let problem = "there is no such column".to_owned();
            return Err(ArrowError::Schema { path: self.path.clone(), column: column.to_owned(), problem });
        };
        Ok(Cell { file: self, row, column, array, of, index: row - self.first_rows[batch] })
    }

    /// That a row does not hold together.
    pub(super) fn bad_row(&self, row: usize, column: &str, problem: impl Into<String>) -> ArrowError {
        ArrowError::Value { path: self.path.clone(), row, column: column.to_owned(), problem: problem.into() }
    }
}

/// One value, or a list of them, not yet looked at.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    file: &'a ArrowFile,
    row: usize,
    column: &'static str,
    array: &'a Array,
    of: &'a Type,
    index: usize,
}

impl<'a> Cell<'a> {
    fn error(&self, problem: impl Into<String>) -> ArrowError {
        self.file.bad_row(self.row, self.column, problem)
    }

    fn mismatch(&self, expected: &str) -> ArrowError {
        self.error(format!("a {} where {expected} is expected", self.of))
    }

    /// Bytes of the file at `start`, which the layout has made sure of; checked all the same.
    fn fixed<const N: usize>(&self, start: usize) -> Result<[u8; N], ArrowError> {
        let bytes = self.file.map.get(start..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or_else(|| self.error("outside the file"))
    }

    fn check_present(&self) -> Result<(), ArrowError> {
        if let Some(validity) = &self.array.validity {
            let [byte] = self.fixed(validity.start + self.index / 8)?;
            if byte >> (self.index % 8) & 1 == 0 {
                return Err(self.error("no value (null)"));
            }
        }
        Ok(())
    }

    /// From where to where the value reaches, of `limit` bytes or items.
    fn span(&self, width: usize, limit: usize) -> Result<Range<usize>, ArrowError> {
        self.check_present()?;
        let offset = |index: usize| {
            let at = self.array.values.start + index * width;
            let value = match width {
                4 => i64::from(i32::from_le_bytes(self.fixed(at)?)),
                _ => i64::from_le_bytes(self.fixed(at)?),
            };
            usize::try_from(value).map_err(|_| self.error(format!("offset {value} is negative")))
        };
        let (start, end) = (offset(self.index)?, offset(self.index + 1)?);
        match start <= end && end <= limit {
            true => Ok(start..end),
            false => Err(self.error(format!("offsets {start} to {end} are not within 0 to {limit}"))),
        }
    }

    /// Binary or text, as it lies in the file.
    pub fn bytes(&self) -> Result<&'a [u8], ArrowError> {
        let Type::Bytes { width, .. } = self.of else { return Err(self.mismatch("binary or text")) };
        let span = self.span(*width, self.array.bytes.len())?;
        let start = self.array.bytes.start;
        let bytes = self.file.map.get(start + span.start..start + span.end);
        bytes.ok_or_else(|| self.error("outside the file"))
    }

    pub fn text(&self) -> Result<&'a str, ArrowError> {
        let Type::Bytes { text: true, .. } = self.of else { return Err(self.mismatch("text")) };
        std::str::from_utf8(self.bytes()?).map_err(|error| self.error(format!("not UTF-8: {error}")))
    }

    /// A whole number; pandas writes some as text.
    pub fn integer(&self) -> Result<i64, ArrowError> {
        match self.of {
            Type::Integer { width } => {
                self.check_present()?;
                let at = self.array.values.start + self.index * width;
                Ok(match width {
                    4 => i32::from_le_bytes(self.fixed(at)?).into(),
                    _ => i64::from_le_bytes(self.fixed(at)?),
                })
            }
            Type::Bytes { text: true, .. } => {
                let text = self.text()?;
                text.parse().map_err(|_| self.error(format!("{text:?} is no whole number")))
            }
            _ => Err(self.mismatch("a whole number")),
        }
    }

    pub fn float(&self) -> Result<f64, ArrowError> {
        let Type::Float { width } = self.of else { return Err(self.mismatch("a number")) };
        self.check_present()?;
        let at = self.array.values.start + self.index * width;
        Ok(match width {
            4 => f32::from_le_bytes(self.fixed(at)?).into(),
            _ => f64::from_le_bytes(self.fixed(at)?),
        })
    }

    /// A list, each item read by `each`.
    pub fn list<T>(&self, each: impl Fn(Cell<'a>) -> Result<T, ArrowError>) -> Result<Vec<T>, ArrowError> {
        let (Type::List { item, width }, Some(items)) = (self.of, &self.array.items) else {
            return Err(self.mismatch("a list"));
        };
        let span = self.span(*width, items.length)?;
        // Items of no type take no bytes: nothing bounds their number.
        if **item == Type::Null && !span.is_empty() {
            return Err(self.error("a list of nulls"));
        }
        span.map(|index| each(Cell { array: items, of: item, index, ..*self })).collect()
    }
}
