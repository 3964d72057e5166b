//! Where an image's bytes come from: a file of its own, or a row of a prepared file.
//!
//! A row is named as if it were a file below its Arrow file: `roco_train.arrow/12`. So a sample needs one path,
//! whatever it is of, and messages say where an image is.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use m3ae_image::{DecodeOptions, Image, ImageError, decode, decode_bytes};

use crate::arrow::ArrowFile;

/// Something that holds encoded images by number.
pub trait ImageBytes: Send + Sync {
    /// An image's bytes, as they lie in memory or in a mapped file.
    ///
    /// # Errors
    /// When there is no such image, or it cannot be reached.
    fn image_bytes(&self, number: usize) -> Result<&[u8], ImageError>;
}

impl ImageBytes for ArrowFile {
    fn image_bytes(&self, number: usize) -> Result<&[u8], ImageError> {
        let invalid = |error| ImageError::Read(io::Error::new(io::ErrorKind::InvalidData, error));
        self.image(number).map_err(invalid)
    }
}

/// The path of a row's image.
#[must_use]
pub fn row_path(arrow: &Path, row: usize) -> PathBuf {
    arrow.join(row.to_string())
}

/// The Arrow file and the row that a path names, where it names one.
fn parse_row(path: &Path) -> Option<(&Path, usize)> {
    let file = path.parent().filter(|file| file.extension() == Some(OsStr::new("arrow")))?;
    Some((file, path.file_name()?.to_str()?.parse().ok()?))
}

/// Images of files and of prepared files' rows. Each prepared file is opened when it is first asked for, and once.
#[derive(Default)]
pub struct ImageSources {
    files: Mutex<HashMap<PathBuf, Arc<dyn ImageBytes>>>,
}

impl ImageSources {
    /// Decodes the image of a file, or of a row as [`row_path`] names it.
    ///
    /// # Errors
    /// When it cannot be read, is no image, is damaged, or is beyond the limits.
    pub fn decode(&self, path: &Path, options: &DecodeOptions) -> Result<Image, ImageError> {
        match parse_row(path) {
            Some((file, row)) if file.is_file() => decode_bytes(self.file(file)?.image_bytes(row)?, options),
            _ => decode(path, options),
        }
    }

    fn file(&self, path: &Path) -> Result<Arc<dyn ImageBytes>, ImageError> {
        // Nothing panics while it holds the lock, and a map of open files would be sound even then.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(path) {
            return Ok(Arc::clone(file));
        }
        let file = ArrowFile::open(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let file: Arc<dyn ImageBytes> = Arc::new(file);
        files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}
