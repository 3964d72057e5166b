//! Checkpoint files made by hand: safetensors, pickles in a zip archive or in the legacy stream, TorchScript archives.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::f16;
use m3ae_weights::to_reference;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Shape and values of named tensors.
pub type State = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A module's parameters under the reference's names, in PyTorch's layout.
pub fn state<M: Module>(module: &M) -> State {
    let tensors = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    let entry = |tensor: burn::store::burn_pack::Tensor| {
        let (name, _, shape, _, bytes) = tensor.into_parts().unwrap();
        let values = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        (to_reference(&name), (shape.to_vec(), values))
    };
    tensors.into_iter().map(entry).collect()
}

/// A tensor on its way into a pickle.
#[derive(Clone)]
pub struct Piece {
    pub name: String,
    /// `FloatStorage` and the like.
    pub storage: &'static str,
    /// Elements that the pickle declares.
    pub declared: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
    pub offset: usize,
    pub bytes: Vec<u8>,
}

pub fn contiguous(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

impl Piece {
    pub fn f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (stride, declared) = (contiguous(shape), values.len());
        Self { name: name.into(), storage: "FloatStorage", declared, shape: shape.into(), stride, offset: 0, bytes }
    }

    pub fn half(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        Self { storage: "HalfStorage", bytes, ..Self::f32(name, shape, values) }
    }
}

pub fn pieces(state: &State) -> Vec<Piece> {
    state.iter().map(|(name, (shape, values))| Piece::f32(name, shape, values)).collect()
}

pub fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

pub fn int(value: usize) -> Vec<u8> {
    [b"J".as_slice(), &(value as i32).to_le_bytes()].concat()
}

fn tuple(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    [b"(".to_vec(), items.into_iter().collect::<Vec<_>>().concat(), b"t".to_vec()].concat()
}

/// The opcodes that rebuild a tensor from storage `key`. Legacy files add an empty view to the storage's id.
fn rebuild(piece: &Piece, key: usize, legacy: bool) -> Vec<u8> {
    let class = format!("ctorch\n{}\n", piece.storage).into_bytes();
    let mut id = vec![text("storage"), class, text(&key.to_string()), text("cpu"), int(piece.declared)];
    if legacy {
        id.push(b"N".to_vec());
    }
    let storage = [tuple(id), b"Q".to_vec()].concat();
    let sizes = |sizes: &[usize]| tuple(sizes.iter().map(|&size| int(size)));
    let hooks = b"\x89ccollections\nOrderedDict\n)R".to_vec();
    let arguments = tuple([storage, int(piece.offset), sizes(&piece.shape), sizes(&piece.stride), hooks]);
    [b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(), arguments, b"R".to_vec()].concat()
}

/// The opcodes of a dictionary.
pub fn dict(entries: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let entries = entries.into_iter().flat_map(|(key, value)| [text(&key), value]);
    [b"}(".to_vec(), entries.collect::<Vec<_>>().concat(), b"u".to_vec()].concat()
}

pub fn tensors(pieces: &[Piece], legacy: bool) -> Vec<u8> {
    dict(pieces.iter().enumerate().map(|(key, piece)| (piece.name.clone(), rebuild(piece, key, legacy))))
}

/// A whole pickle around one value's opcodes.
pub fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02".as_slice(), value, b"."].concat()
}

/// A zip archive with these entries under `archive/`.
pub fn write_zip(path: &Path, entries: &[(String, Vec<u8>)], method: CompressionMethod) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in entries {
        zip.start_file(format!("archive/{name}"), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn archive(path: &Path, pickle: Vec<u8>, pieces: &[Piece], more: &[&str]) {
    let mut entries = vec![("data.pkl".to_owned(), pickle)];
    entries.extend(pieces.iter().enumerate().map(|(key, piece)| (format!("data/{key}"), piece.bytes.clone())));
    entries.extend(more.iter().map(|name| ((*name).to_owned(), b"\x80\x02).".to_vec())));
    write_zip(path, &entries, CompressionMethod::Stored);
}

/// `torch.save(state_dict)`.
pub fn write_torch(path: &Path, pieces: &[Piece]) {
    archive(path, pickle(&tensors(pieces, false)), pieces, &[]);
}

/// A zip with this pickle.
pub fn write_pickle(path: &Path, value: &[u8], pieces: &[Piece]) {
    archive(path, pickle(value), pieces, &[]);
}

/// A PyTorch-Lightning checkpoint with these hyper-parameters.
pub fn write_lightning(path: &Path, pieces: &[Piece], hyper_parameters: Vec<(String, Vec<u8>)>) {
    let hyper_parameters = dict([("config".to_owned(), dict(hyper_parameters))]);
    let root = dict([
        ("state_dict".to_owned(), tensors(pieces, false)),
        ("epoch".to_owned(), int(3)),
        ("hyper_parameters".to_owned(), hyper_parameters),
    ]);
    archive(path, pickle(&root), pieces, &[]);
}

/// A TorchScript archive whose one object has these attributes (opcodes of a dictionary).
pub fn write_torchscript_of(path: &Path, attributes: &[u8], pieces: &[Piece]) {
    let object = [b"c__torch__\nNode\n)\x81".as_slice(), attributes, b"b"].concat();
    archive(path, pickle(&object), pieces, &["constants.pkl", "code/__torch__.py"]);
}

/// A TorchScript archive of these tensors.
pub fn write_torchscript(path: &Path, pieces: &[Piece]) {
    write_torchscript_of(path, &tensors(pieces, false), pieces);
}

/// The stream that PyTorch wrote before 1.6.
pub fn write_legacy(path: &Path, pieces: &[Piece]) {
    let magic = pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    let system = dict([("protocol_version".to_owned(), int(1001)), ("little_endian".to_owned(), b"\x88".to_vec())]);
    let keys = [b"](".to_vec(), (0..pieces.len()).flat_map(|key| text(&key.to_string())).collect(), b"e".to_vec()];
    let mut bytes =
        [magic, pickle(&int(1001)), pickle(&system), pickle(&tensors(pieces, true)), pickle(&keys.concat())].concat();
    for piece in pieces {
        bytes.extend((piece.declared as u64).to_le_bytes());
        bytes.extend(&piece.bytes);
    }
    fs::write(path, bytes).unwrap();
}

/// safetensors of any type.
pub fn write_safetensors(path: &Path, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// safetensors of float32.
pub fn write_state(path: &Path, state: &State) {
    let tensors: Vec<_> = state
        .iter()
        .map(|(name, (shape, values))| {
            (name.as_str(), Dtype::F32, shape.clone(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    write_safetensors(path, &tensors);
}
