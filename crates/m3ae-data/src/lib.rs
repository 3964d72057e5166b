//! From the data sets' folders to images, token ids and batches.
//!
//! ```text
//! captions.txt, images/ ──read_roco──▶ CaptionSet ──Loader──▶ CaptionBatch { images [B,3,S,S], text_ids, … }
//!                                          │                      ▲
//! image file ──decode──▶ Image ──ClipTransform──▶ [3,S,S] ────────┘
//! ```
//!
//! - [`read_roco`] reads a data set's layout. What it cannot use it lists, with file, line and reason.
//! - [`decode`] reads PNG and JPEG files of any kind, within limits; [`ClipTransform`] makes of them what the vision encoder sees,
//!   bit for bit as Pillow and torchvision do.
//! - [`Loader`] makes batches with threads. A batch depends on seed, epoch and number only.
//! - [`phantom::ensure`] makes the synthetic data set that everything runs on where there is no other.
//!
//! Plain vectors come out: which tensor library reads them is not decided here.

mod batch;
mod error;
mod image;
mod jpeg;
mod loader;
pub mod phantom;
mod prefetch;
mod resample;
mod roco;
mod sample;
mod store;
mod transform;

pub use batch::{CaptionBatch, PaddedText, pad};
pub use error::DataError;
pub use image::{DecodeOptions, Image, ImageError, Layout, decode, decode_bytes};
pub use loader::{Loader, LoaderConfig};
pub use roco::{collapse_whitespace, read_roco};
pub use sample::{CaptionSample, CaptionSet, SkipReason, Skipped};
pub use transform::{ClipTransform, Crop, MEAN, STD};
