//! Where each column of each batch lies in the file: checked once when it is opened, so that only the values themselves
//! remain to be checked.

use std::ops::Range;

use arrow_ipc::{FieldNode, RecordBatch, Type as IpcType};

/// Deeper nesting than any data set's.
const MAX_DEPTH: usize = 4;

/// A column's type: those that data sets use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Nothing but nulls, as pandas writes columns without a value.
    Null,
    /// Bytes, or UTF-8 where `text`; offsets of 4 or 8 bytes.
    Bytes { text: bool, width: usize },
    /// A list; offsets of 4 or 8 bytes.
    List { item: Box<Type>, width: usize },
    /// A signed integer of 4 or 8 bytes.
    Integer { width: usize },
    /// A floating-point number of 4 or 8 bytes.
    Float { width: usize },
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let large = |width: &usize| if *width == 8 { "large_" } else { "" };
        match self {
            Self::Null => write!(f, "null"),
            Self::Bytes { text: true, width } => write!(f, "{}string", large(width)),
            Self::Bytes { text: false, width } => write!(f, "{}binary", large(width)),
            Self::List { item, width } => write!(f, "{}list<{item}>", large(width)),
            Self::Integer { width } => write!(f, "int{}", width * 8),
            Self::Float { width } => write!(f, "float{}", width * 8),
        }
    }
}

impl Type {
    /// The type of a field in a file's footer; else what is wrong with it.
    pub fn of(field: arrow_ipc::Field<'_>, depth: usize) -> Result<Self, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        if field.dictionary().is_some() {
            return Err("dictionary-encoded, which is not supported: write it plainly".to_owned());
        }
        let item = || {
            let children = field.children().filter(|children| children.len() == 1);
            let child = children.ok_or("a list needs one item type")?;
            Self::of(child.get(0), depth + 1).map(Box::new)
        };
        Ok(match field.type_type() {
            IpcType::Null => Self::Null,
            IpcType::Utf8 => Self::Bytes { text: true, width: 4 },
            IpcType::LargeUtf8 => Self::Bytes { text: true, width: 8 },
            IpcType::Binary => Self::Bytes { text: false, width: 4 },
            IpcType::LargeBinary => Self::Bytes { text: false, width: 8 },
            IpcType::List => Self::List { item: item()?, width: 4 },
            IpcType::LargeList => Self::List { item: item()?, width: 8 },
            IpcType::Int => match field.type_as_int().map(|int| (int.is_signed(), int.bitWidth())) {
                Some((true, 32)) => Self::Integer { width: 4 },
                Some((true, 64)) => Self::Integer { width: 8 },
                other => return Err(format!("an integer type that no data set uses: {other:?}")),
            },
            IpcType::FloatingPoint => match field.type_as_floating_point().map(|float| float.precision()) {
                Some(arrow_ipc::Precision::SINGLE) => Self::Float { width: 4 },
                Some(arrow_ipc::Precision::DOUBLE) => Self::Float { width: 8 },
                other => return Err(format!("a floating-point type that no data set uses: {other:?}")),
            },
            other => return Err(format!("type {other:?}, which no data set uses")),
        })
    }
}

/// An array's place in the file: as many values as its type says, in ranges of the file's bytes that are inside it.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub length: usize,
    /// One bit per value, where there are nulls.
    pub validity: Option<Range<usize>>,
    /// Offsets of texts and lists (length + 1 of them, or none where the length is 0), or the numbers.
    pub values: Range<usize>,
    /// The texts' bytes.
    pub bytes: Range<usize>,
    /// The list's items.
    pub items: Option<Box<Array>>,
}

/// Takes a batch's nodes and buffers in the schema's order.
pub(super) struct Walk {
    nodes: std::vec::IntoIter<FieldNode>,
    buffers: std::vec::IntoIter<arrow_ipc::Buffer>,
    /// The batch's body within the file.
    body: Range<usize>,
}

impl Walk {
    pub fn new(batch: RecordBatch<'_>, body: Range<usize>) -> Result<Self, String> {
        let nodes: Vec<FieldNode> = batch.nodes().ok_or("no field nodes")?.iter().copied().collect();
        let buffers: Vec<arrow_ipc::Buffer> = batch.buffers().ok_or("no buffers")?.iter().copied().collect();
        Ok(Self { nodes: nodes.into_iter(), buffers: buffers.into_iter(), body })
    }

    /// Whether all has been taken.
    pub fn is_done(&self) -> bool {
        self.nodes.len() == 0 && self.buffers.len() == 0
    }

    /// The next column's array.
    pub fn array(&mut self, of: &Type) -> Result<Array, String> {
        let node = self.nodes.next().ok_or("a field node is missing")?;
        let length = usize::try_from(node.length()).map_err(|_| format!("{} values", node.length()))?;
        let mut array = Array { length, validity: None, values: 0..0, bytes: 0..0, items: None };
        if *of == Type::Null {
            return Ok(array);
        }
        let validity = self.buffer()?;
        if node.null_count() != 0 {
            require(&validity, length.div_ceil(8), "validity")?;
            array.validity = Some(validity);
        }
        array.values = self.buffer()?;
        match of {
            Type::Null => {}
            Type::Integer { width } | Type::Float { width } => {
                require(&array.values, size(length, *width)?, "values")?;
            }
            Type::Bytes { width, .. } => {
                offsets(&array, *width)?;
                array.bytes = self.buffer()?;
            }
            Type::List { item, width } => {
                offsets(&array, *width)?;
                array.items = Some(Box::new(self.array(item)?));
            }
        }
        Ok(array)
    }

    /// The next buffer's place in the file.
    fn buffer(&mut self) -> Result<Range<usize>, String> {
        let buffer = self.buffers.next().ok_or("a buffer is missing")?;
        let outside = || format!("a buffer of {} bytes at {} is outside the batch", buffer.length(), buffer.offset());
        let offset = usize::try_from(buffer.offset()).map_err(|_| outside())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
        let end = offset.checked_add(length).filter(|&end| end <= self.body.len()).ok_or_else(outside)?;
        Ok(self.body.start + offset..self.body.start + end)
    }
}

/// Offsets may be left out where there is no value.
fn offsets(array: &Array, width: usize) -> Result<(), String> {
    match array.length {
        0 => Ok(()),
        length => require(&array.values, size(length.checked_add(1).ok_or("too many values")?, width)?, "offsets"),
    }
}

fn size(count: usize, width: usize) -> Result<usize, String> {
    count.checked_mul(width).ok_or_else(|| format!("{count} values cannot be"))
}

fn require(range: &Range<usize>, bytes: usize, what: &str) -> Result<(), String> {
    match range.len() {
        length if length < bytes => Err(format!("{what} take {bytes} bytes, but the buffer has {length}")),
        _ => Ok(()),
    }
}
