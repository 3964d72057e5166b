//! Images of any file to what a vision encoder sees: decoding within limits, CLIP's transform, augmentation.
//!
//! ```text
//! PNG or JPEG ──decode──▶ Image, 8 bits ──Transform──▶ Crop, [3, S, S] bytes ──normalise──▶ [3, S, S] f32
//! ```
//!
//! - [`decode`] reads PNG and JPEG files of any kind. Their size is limited before memory is spent on them.
//! - [`ClipTransform`] gives what Pillow and torchvision give, bit for bit.
//! - [`side_by_side`] draws normalised values as pictures again.
//! - [`Transform`] adds the random transforms of training. Equal generators give equal crops.
//!
//! # Example
//! ```
//! use m3ae_image::{ClipTransform, Image, Layout};
//!
//! // 4×2 grey pixels; `decode` reads them from a file.
//! let image = Image::new(4, 2, Layout::Grey, vec![0, 0, 255, 255, 0, 0, 255, 255]).ok_or("no pixels")?;
//! let values = ClipTransform::new(2)?.apply(&image);
//! assert_eq!(values.len(), 3 * 2 * 2); // [3, S, S]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod image;
mod jpeg;
mod resample;
mod sheet;
mod transform;

pub use error::{ImageError, TransformError};
pub use image::{DecodeOptions, Image, Layout, decode, decode_bytes};
pub use sheet::side_by_side;
pub use transform::{ClipTransform, Crop, MEAN, STD, Transform};
