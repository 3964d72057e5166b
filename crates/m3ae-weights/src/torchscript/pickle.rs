//! The values that a TorchScript archive's `data.pkl` may hold, and the short list of names that it may mention.
//!
//! Values live in one arena and refer to each other by index, so a value that is used twice is never copied, cycles are
//! harmless, and nothing recurses.

use burn::tensor::{BoolStore, DType};
use thiserror::Error;

use crate::stored::elements;

/// What is wrong with a pickle.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum PickleError {
    #[error("the pickle ends too early")]
    Truncated,
    #[error("pickle opcode {0:#04x} has no place in a TorchScript archive")]
    Opcode(u8),
    #[error("the pickle names {module}.{name}, which is not a tensor or a TorchScript class: nothing is ever called")]
    Forbidden { module: String, name: String },
    #[error("malformed pickle: {0}")]
    Malformed(&'static str),
    #[error("a tensor view of shape {shape:?} does not fit storage {key} of {elements} elements")]
    OutOfStorage { shape: Vec<usize>, key: String, elements: usize },
    #[error("{0}")]
    Limit(&'static str),
}

pub(super) type Result<T> = std::result::Result<T, PickleError>;

/// A value's place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub(super) usize);

/// The names a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `torch._utils._rebuild_tensor_v2`
    Tensor,
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch.jit._pickle.build_*list` and `restore_type_tag`: give their first argument.
    First,
    /// `torch.FloatStorage` and its like.
    Storage(DType),
    /// A TorchScript class, `__torch__.…`: a plain record of attributes.
    Class,
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Result<Self> {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => Ok(Self::Tensor),
            ("collections", "OrderedDict") => Ok(Self::OrderedDict),
            (
                "torch.jit._pickle",
                "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist" | "restore_type_tag",
            ) => Ok(Self::First),
            ("torch", storage) if storage.ends_with("Storage") => storage_dtype(storage).map(Self::Storage),
            (module, _) if module == "__torch__" || module.starts_with("__torch__.") => Ok(Self::Class),
            _ => Err(PickleError::Forbidden { module: module.to_owned(), name: name.to_owned() }),
        }
    }
}

fn storage_dtype(name: &str) -> Result<DType> {
    Ok(match name {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool(BoolStore::Native),
        _ => return Err(PickleError::Forbidden { module: "torch".into(), name: name.into() }),
    })
}

/// A tensor as the pickle describes it: a strided view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View<'a> {
    /// The archive entry that holds the storage's bytes.
    pub key: &'a str,
    pub dtype: DType,
    /// Elements of the storage.
    pub storage: usize,
    /// First element of the view.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements.
    pub stride: Vec<usize>,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// None, a boolean, a number that is no index: nothing we use.
    Other,
    Int(i64),
    Text(&'a str),
    Global(Global),
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// An instance of a TorchScript class, and its attributes.
    Object(Option<Id>),
    Storage {
        key: &'a str,
        dtype: DType,
        elements: usize,
    },
    Tensor(Box<View<'a>>),
}

/// A finished pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub(super) values: Vec<Value<'a>>,
    /// The pickled object.
    pub root: Id,
}

impl<'a> Pickle<'a> {
    pub(crate) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0]
    }
}

impl View<'_> {
    /// One more than the last element of the storage that the view touches; `None` if that overflows.
    pub(crate) fn extent(&self) -> Option<usize> {
        if elements(&self.shape)? == 0 {
            return Some(self.offset);
        }
        self.shape
            .iter()
            .zip(&self.stride)
            .try_fold(self.offset.checked_add(1)?, |end, (&axis, &step)| end.checked_add((axis - 1).checked_mul(step)?))
    }
}
