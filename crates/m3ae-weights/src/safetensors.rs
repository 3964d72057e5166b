//! safetensors files: a bounded header, and tensors read at their offsets.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{BoolStore, DType};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::WeightsError;
use crate::stored::{Source, StoredTensor};

/// Longest header accepted. A thousand tensors take about 150 kB.
const MAX_HEADER: u64 = 16 << 20;

/// One tensor's range of the file.
struct Range {
    file: Arc<SharedFile>,
    start: u64,
    len: usize,
}

impl Source for Range {
    fn read(&self) -> io::Result<Vec<u8>> {
        // The length was checked against the file's at opening: this allocates no more than the file holds.
        let mut bytes = vec![0; self.len];
        self.file.read_at(&mut bytes, self.start)?;
        Ok(bytes)
    }

    fn read_chunks(&self, size: usize, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; size.min(self.len)];
        for start in (0..self.len).step_by(size) {
            let piece = &mut buffer[..size.min(self.len - start)];
            self.file.read_at(piece, self.start + start as u64)?;
            sink(piece);
        }
        Ok(())
    }
}

/// A file that several threads read.
struct SharedFile(#[cfg(unix)] File, #[cfg(not(unix))] std::sync::Mutex<File>);

impl SharedFile {
    #[cfg(unix)]
    fn new(file: File) -> Self {
        Self(file)
    }

    #[cfg(not(unix))]
    fn new(file: File) -> Self {
        Self(file.into())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

/// What a safetensors file's header says.
pub(crate) struct Opened {
    pub tensors: BTreeMap<String, StoredTensor>,
    pub metadata: HashMap<String, String>,
}

/// A safetensors file starts with a header length and a JSON object.
pub(crate) fn starts_like(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{') && !start.starts_with(b"PK\x03\x04")
}

/// Reads the header, and checks it against the file's length.
pub(crate) fn open(path: &Path) -> Result<Opened, WeightsError> {
    let failed = |problem: String| WeightsError::format(path, problem);
    let mut file = File::open(path).map_err(WeightsError::io(path))?;
    let file_len = file.metadata().map_err(WeightsError::io(path))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(WeightsError::io(path))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(failed(format!("its header claims {length} bytes; at most {MAX_HEADER} are accepted")));
    }
    let data_start = 8 + length;
    if data_start > file_len {
        return Err(failed(format!("its header claims {length} bytes and the file has {file_len}")));
    }
    let mut header = Vec::new();
    (&mut file).take(length).read_to_end(&mut header).map_err(WeightsError::io(path))?;
    // Checks that offsets are contiguous and fit types and shapes.
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| failed(format!("damaged safetensors header: {error}")))?;
    let (data_len, found) = (header.data_len() as u64, file_len - data_start);
    if data_len != found {
        return Err(failed(format!("the header announces {data_len} bytes of tensors and {found} are there")));
    }
    let file = Arc::new(SharedFile::new(file));
    let mut tensors = BTreeMap::new();
    for (name, info) in header.tensors() {
        let Some(dtype) = dtype(info.dtype) else {
            let problem = format!("type {:?} is not supported", info.dtype);
            return Err(WeightsError::Tensor { path: path.to_owned(), name, problem });
        };
        let (start, end) = info.data_offsets;
        let range = Range { file: file.clone(), start: data_start + start as u64, len: end - start };
        tensors.insert(name, StoredTensor::new(dtype, info.shape.clone(), Arc::new(range)));
    }
    Ok(Opened { tensors, metadata: header.metadata().clone().unwrap_or_default() })
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}
