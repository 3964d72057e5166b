//! Image files to 8-bit pixels.
//!
//! Any file is hostile until decoded: its size, its pixels and its decoded bytes are limited before memory is spent,
//! the format is read from its content and not its name, and a file that ends too early is refused.

use std::{
    fs,
    io::{self, Cursor, Read},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, metadata::Orientation};

use crate::{ImageError, jpeg};

/// How image files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Images with more pixels are refused. Default: 64 Mi (8192×8192).
    pub max_pixels: u64,
    /// Files, and decoded images, with more bytes are refused. Default: 512 MiB. While an image is decoded, up to about
    /// twice as much may be in use.
    pub max_bytes: u64,
    /// Turn the image as its EXIF tag says. Default: false, as the reference does.
    pub apply_orientation: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_pixels: 64 << 20, max_bytes: 512 << 20, apply_orientation: false }
    }
}

/// What a pixel's bytes are; colours are not multiplied by alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Grey.
    Grey,
    /// Grey, alpha.
    GreyAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

impl Layout {
    /// Bytes per pixel.
    #[must_use]
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// A decoded image: 8 bits per channel, rows from the top, at least one pixel. It keeps the fewest channels that hold
/// its file's content; [`to_rgba`](Image::to_rgba) gives all four.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Image {
    /// An image of given pixels; `None` where it has no pixel, or another number of bytes than the sizes say.
    #[must_use]
    pub fn new(width: usize, height: usize, layout: Layout, bytes: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(layout.channels())?;
        (expected > 0 && bytes.len() == expected).then_some(Self { width, height, layout, bytes })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// What each pixel's bytes are.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The pixels, `[height, width, channels]`.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pixels in these columns and rows, which must be inside of the image.
    pub(crate) fn part(&self, columns: Range<usize>, rows: Range<usize>) -> Self {
        let channels = self.layout.channels();
        let inside = columns.start * channels..columns.end * channels;
        let lines = self.bytes.chunks_exact(self.width * channels).skip(rows.start).take(rows.len());
        let bytes = lines.flat_map(|line| &line[inside.clone()]).copied().collect();
        Self { width: columns.len(), height: rows.len(), layout: self.layout, bytes }
    }

    /// The pixels as red, green, blue, without their alpha: `[height, width, 3]`.
    pub(crate) fn to_rgb(&self) -> Vec<u8> {
        let pixels = self.bytes.chunks_exact(self.layout.channels());
        match self.layout {
            Layout::Grey | Layout::GreyAlpha => pixels.flat_map(|p| [p[0]; 3]).collect(),
            Layout::Rgb => self.bytes.clone(),
            Layout::Rgba => pixels.flat_map(|p| [p[0], p[1], p[2]]).collect(),
        }
    }

    /// The pixels as red, green, blue, alpha: `[height, width, 4]`.
    #[must_use]
    pub fn to_rgba(&self) -> Vec<u8> {
        let pixels = self.bytes.chunks_exact(self.layout.channels());
        match self.layout {
            Layout::Grey => pixels.flat_map(|p| [p[0], p[0], p[0], 255]).collect(),
            Layout::GreyAlpha => pixels.flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
            Layout::Rgb => pixels.flat_map(|p| [p[0], p[1], p[2], 255]).collect(),
            Layout::Rgba => self.bytes.clone(),
        }
    }
}

/// Reads an image file: PNG or JPEG of any kind. Palettes, 1-bit and CMYK images become grey or colour, and 16-bit
/// channels are scaled to 8 bits with rounding (`v / 257`).
///
/// # Errors
/// When the file cannot be read, is neither format, is cut off or damaged, or is beyond the limits.
pub fn decode(path: &Path, options: &DecodeOptions) -> Result<Image, ImageError> {
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file").into());
    }
    let mut bytes = Vec::new();
    file.take(options.max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    decode_bytes(&bytes, options)
}

/// Decodes an image file's content; see [`decode`].
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(bytes: &[u8], options: &DecodeOptions) -> Result<Image, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if bytes.len() as u64 > options.max_bytes {
        return Err(ImageError::FileTooLarge { limit: options.max_bytes });
    }
    // The decoders promise not to panic, but a file is no reason to trust them with a training run.
    catch_unwind(AssertUnwindSafe(|| decode_trusting(bytes, options)))
        .unwrap_or_else(|_| Err(ImageError::Damaged("the decoder gave up on it".to_owned())))
}

fn decode_trusting(bytes: &[u8], options: &DecodeOptions) -> Result<Image, ImageError> {
    let format = ::image::guess_format(bytes).map_err(|_| ImageError::Format)?;
    match format {
        ImageFormat::Jpeg if !jpeg::is_whole(bytes) => return Err(ImageError::Truncated),
        ImageFormat::Jpeg | ImageFormat::Png => {}
        _ => return Err(ImageError::Format),
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(options.max_bytes);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(classify)?;

    let (width, height) = decoder.dimensions();
    let pixel_bytes = decoder.color_type().bytes_per_pixel();
    let DecodeOptions { max_pixels, max_bytes, apply_orientation } = *options;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > max_pixels || pixels.saturating_mul(pixel_bytes.into()) > max_bytes {
        return Err(ImageError::TooLarge { width, height, pixel_bytes, max_pixels, max_bytes });
    }
    let orientation = match apply_orientation {
        true => decoder.orientation().map_err(classify)?,
        false => Orientation::NoTransforms,
    };
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(classify)?;
    decoded.apply_orientation(orientation);
    from_dynamic(decoded).ok_or_else(|| ImageError::Damaged("it has no pixels".to_owned()))
}

/// To 8 bits, with the channels it has.
fn from_dynamic(image: DynamicImage) -> Option<Image> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (layout, bytes) = match image {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_) => (Layout::Grey, image.into_luma8().into_raw()),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => {
            (Layout::GreyAlpha, image.into_luma_alpha8().into_raw())
        }
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgb16(_) => (Layout::Rgb, image.into_rgb8().into_raw()),
        _ => (Layout::Rgba, image.into_rgba8().into_raw()),
    };
    Image::new(width, height, layout, bytes)
}

/// The decoder's error as ours.
fn classify(error: ::image::ImageError) -> ImageError {
    match error {
        ::image::ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => ImageError::Truncated,
        error => ImageError::Damaged(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
