//! Files and folders that appear whole or not at all, locks between processes, and hashes made while writing.
//!
//! - [`write()`] and [`write_file`] replace a file. [`write_folder`] makes a new folder, [`replace_folder`] replaces
//!   one, and [`remove_folder`] removes one.
//! - Each file is hashed while it is written ([`FileHash`]); [`hash_file`] hashes a file that is there already.
//! - A [`Lock`] is held by one process at a time. The system releases it when the process ends, however it ends.
//! - [`clear_leftovers`] removes the temporary files and folders that killed processes left behind.
//!
//! Everything is written under a temporary name in the same folder, synced, and then renamed:
//!
//! ```text
//! .report.html.a1B2c3.part        a file that is being written, locked by its process
//! .step-000400.d4E5f6.part/       a folder that is being filled
//! .step-000400.d4E5f6.part.lock   locked by the process that fills it
//! .step-000400.g7H8i9.old/        a folder that is being removed
//! ```
//!
//! # Example
//! ```
//! use m3ae_files::{FilesError, hash_file, write, write_folder};
//!
//! # let place = tempfile::tempdir()?;
//! # let place = place.path();
//! // A reader sees the former file or the new one, never half of it.
//! let hash = write(&place.join("notes.txt"), b"three words here")?;
//! assert_eq!(hash, hash_file(&place.join("notes.txt"))?);
//! assert_eq!(hash.bytes, 16);
//!
//! // A folder: nothing is at `model` until everything is in it and on disk.
//! write_folder(&place.join("model"), |folder| {
//!     folder.write("weights.bin", &[1, 2, 3])?;
//!     folder.write("config.json", b"{}")?;
//!     assert_eq!(folder.hashes().len(), 2);
//!     Ok::<_, FilesError>(())
//! })?;
//! assert!(place.join("model/weights.bin").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod file;
mod folder;
mod hash;
mod leftovers;
mod lock;

pub use error::FilesError;
pub use file::{NewFile, write, write_file};
pub use folder::{NewFolder, remove_folder, replace_folder, write_folder};
pub use hash::{FileHash, HashingWriter, hash_file, hex};
pub use leftovers::clear_leftovers;
pub use lock::Lock;
