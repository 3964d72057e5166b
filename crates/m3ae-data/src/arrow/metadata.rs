//! The footer: columns, metadata, and where each batch lies.

use std::{collections::BTreeMap, path::Path};

use super::{
    ArrowError,
    layout::{Array, Type, Walk},
};

const MAGIC: &[u8] = b"ARROW1";
/// Before a message's length, since format version 5.
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// What a footer says.
pub(super) struct Contents {
    pub columns: Vec<(String, Type)>,
    pub metadata: BTreeMap<String, String>,
    pub batches: Vec<Batch>,
}

/// A batch's rows, and each column's place.
pub(super) struct Batch {
    pub rows: usize,
    pub columns: Vec<Array>,
}

/// Reads the footer of a whole file, and the head of each batch.
pub(super) fn read(path: &Path, file: &[u8]) -> Result<Contents, ArrowError> {
    let not_arrow = |problem: String| ArrowError::NotArrow { path: path.to_owned(), problem };
    let damaged = |place: String| move |problem: String| ArrowError::Damaged { path: path.to_owned(), place, problem };

    let footer = footer(file).map_err(not_arrow)?;
    let in_footer = || damaged("its footer".to_owned());
    let footer = arrow_ipc::root_as_footer(footer).map_err(|error| in_footer()(error.to_string()))?;
    let schema = footer.schema().ok_or_else(|| in_footer()("no schema".to_owned()))?;
    if schema.endianness() != arrow_ipc::Endianness::Little {
        return Err(in_footer()("big-endian numbers are not supported".to_owned()));
    }
    if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
        return Err(in_footer()("dictionary-encoded columns are not supported".to_owned()));
    }
    let mut columns = Vec::new();
    for field in schema.fields().iter().flatten() {
        let column = field.name().unwrap_or_default().to_owned();
        match Type::of(field, 1) {
            Ok(of) => columns.push((column, of)),
            Err(problem) => return Err(ArrowError::Schema { path: path.to_owned(), column, problem }),
        }
    }
    let entries = schema.custom_metadata();
    let entries = entries.iter().flatten();
    let metadata = entries.filter_map(|entry| Some((entry.key()?.to_owned(), entry.value()?.to_owned()))).collect();
    let mut batches = Vec::new();
    for (number, block) in footer.recordBatches().iter().flatten().enumerate() {
        batches.push(batch(file, block, &columns).map_err(damaged(format!("batch {number}")))?);
    }
    Ok(Contents { columns, metadata, batches })
}

/// The footer's bytes.
fn footer(file: &[u8]) -> Result<&[u8], String> {
    if !file.starts_with(MAGIC) {
        return Err("it does not begin with ARROW1".to_owned());
    }
    let rest =
        file.strip_suffix(MAGIC).ok_or("it does not end with ARROW1: it was cut off while it was written or copied")?;
    let (rest, length) = rest.split_last_chunk().ok_or("it has no footer")?;
    let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| "its footer's length is negative")?;
    let start = rest
        .len()
        .checked_sub(length)
        .ok_or_else(|| format!("its footer of {length} bytes is longer than the file"))?;
    Ok(&rest[start..])
}

fn batch(file: &[u8], block: &arrow_ipc::Block, columns: &[(String, Type)]) -> Result<Batch, String> {
    let place = |value: i64| usize::try_from(value).map_err(|_| format!("a place of {value}"));
    let (offset, head, body) =
        (place(block.offset())?, place(block.metaDataLength().into())?, place(block.bodyLength())?);
    let outside = || format!("{head} and {body} bytes at {offset} are outside the file");
    let start = offset.checked_add(head).ok_or_else(outside)?;
    let end = start.checked_add(body).filter(|&end| end <= file.len()).ok_or_else(outside)?;

    let message = &file[offset..start];
    let message = message.strip_prefix(&CONTINUATION).unwrap_or(message);
    let (_, message) = message.split_first_chunk::<4>().ok_or("no message")?;
    let message = arrow_ipc::root_as_message(message).map_err(|error| error.to_string())?;
    let batch = message.header_as_record_batch().ok_or("not a record batch")?;
    if batch.compression().is_some() {
        return Err("compressed, which is not supported: write it without compression".to_owned());
    }
    let rows = place(batch.length())?;
    let mut walk = Walk::new(batch, start..end)?;
    let mut arrays = Vec::with_capacity(columns.len());
    for (column, of) in columns {
        let array = walk.array(of).map_err(|problem| format!("column {column}: {problem}"))?;
        if array.length != rows {
            return Err(format!("column {column} has {} values in {rows} rows", array.length));
        }
        arrays.push(array);
    }
    if !walk.is_done() {
        return Err("more arrays than the schema has columns".to_owned());
    }
    Ok(Batch { rows, columns: arrays })
}
