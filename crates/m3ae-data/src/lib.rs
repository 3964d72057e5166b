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
//! - [`prepare`](mod@prepare) makes of each published set [Arrow files](arrow) that hold texts, labels and images; [`read_captions_arrow`], [`read_questions_arrow`] and
//!   [`read_classes_arrow`] read them, [`mix`] joins several sources, [`inspect`] shows what is in one.
//! - [`Loader`] makes batches with threads. A batch depends on seed, epoch and number only.
//! - [`phantom::ensure`] makes the synthetic data set that everything runs on where there is no other.
//!
//! Plain vectors come out: which tensor library reads them is not decided here.

pub mod arrow;
mod batch;
mod captions_arrow;
mod error;
mod image;
pub mod inspect;
mod jpeg;
mod labelled_arrow;
mod listing;
mod loader;
mod mixture;
pub mod phantom;
mod prefetch;
pub mod prepare;
mod resample;
mod roco;
mod sample;
mod source;
mod store;
mod transform;

pub use batch::{CaptionBatch, PaddedText, pad};
pub use captions_arrow::read_captions_arrow;
pub use error::DataError;
pub use image::{DecodeOptions, Image, ImageError, Layout, decode, decode_bytes};
pub use labelled_arrow::{
    ClassifiedSample, ClassifiedSet, Question, QuestionSet, read_classes_arrow, read_questions_arrow, shared_vocabulary,
};
pub use loader::{Loader, LoaderConfig, Shard};
pub use mixture::{MixtureSource, mix};
pub use roco::{CaptionLine, UnusableLine, collapse_whitespace, parse_captions, read_roco};
pub use sample::{CaptionSample, CaptionSet, SkipReason, Skipped};
pub use source::{ImageBytes, ImageSources, row_path};
pub use transform::{ClipTransform, Crop, MEAN, STD, Transform};
