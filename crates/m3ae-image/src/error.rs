//! Why an image cannot be used, and which transforms cannot be.

use std::io;

use crate::transform::Transform;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// Neither PNG nor JPEG.
    #[error("neither a PNG nor a JPEG image (judged by its content, not its name)")]
    Format,
    /// The file is longer than the decoded image may be.
    #[error("the file has more than {limit} bytes, the limit")]
    FileTooLarge {
        /// [`DecodeOptions::max_bytes`](crate::DecodeOptions::max_bytes).
        limit: u64,
    },
    /// The header promises more than the limits allow.
    #[error(
        "{width}×{height} pixels of {pixel_bytes} bytes, above the limit of {max_pixels} pixels or {max_bytes} bytes"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Decoded bytes per pixel.
        pixel_bytes: u8,
        /// [`DecodeOptions::max_pixels`](crate::DecodeOptions::max_pixels).
        max_pixels: u64,
        /// [`DecodeOptions::max_bytes`](crate::DecodeOptions::max_bytes).
        max_bytes: u64,
    },
    /// The file ends before the image does.
    #[error("the file is cut off: it ends before the image does")]
    Truncated,
    /// The content is damaged.
    #[error("the image is damaged: {0}")]
    Damaged(String),
}

/// An image transform that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// No image has such a side.
    #[error("side is {side} pixels: choose 1 to {largest}")]
    Side {
        /// What was asked for, in pixels.
        side: usize,
        /// The largest side.
        largest: usize,
    },
    /// There is no transform of this name.
    #[error("transform is {name:?}: choose one of {}", Transform::ALL.map(Transform::name).join(", "))]
    Name {
        /// What was asked for.
        name: String,
    },
}
