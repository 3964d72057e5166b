//! Hostile and strange image files.

use ::image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, codecs::jpeg::JpegEncoder};

use super::*;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn colours() -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8 * 6, y as u8 * 8, 90]))
}

fn try_decode(bytes: &[u8]) -> Result<Image, ImageError> {
    decode_bytes(bytes, &DecodeOptions::default())
}

#[test]
fn the_content_decides_and_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really_a_png.jpg");
    fs::write(&path, encode(&colours().into(), ImageFormat::Png)).unwrap();
    let image = decode(&path, &DecodeOptions::default()).unwrap();
    assert_eq!((image.width(), image.height(), image.layout()), (40, 30, Layout::Rgb));
    assert_eq!(image.bytes(), colours().as_raw().as_slice());
    assert_eq!(image.to_rgba()[40 * 4..40 * 4 + 4], [0, 8, 90, 255]);
}

#[test]
fn sixteen_bit_grey_keeps_its_value() {
    let grey16 = ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(256, 4, |x, y| {
        Luma([x as u16 * 257 + [0, 128, 129, 0][y as usize] * u16::from(x < 255)])
    });
    let image = try_decode(&encode(&grey16.into(), ImageFormat::Png)).unwrap();
    assert_eq!(image.layout(), Layout::Grey);
    for (row, offset) in image.bytes().chunks(256).zip([0, 0, 1, 0]) {
        let expected: Vec<u8> = (0..=255_u8).map(|v| v.saturating_add(offset)).collect();
        assert_eq!(row, expected);
    }
}

#[test]
fn cut_off_files_are_refused_wherever_they_are_cut() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encode(&colours().into(), format);
        assert!(try_decode(&whole).is_ok());
        // Two bytes hold no format yet. A PNG's last chunk says nothing but "end": the image is whole without it.
        let image_end = if format == ImageFormat::Png { whole.len() - 12 - 8 } else { whole.len() - 1 };
        for length in (12..image_end).step_by(7).chain([image_end]) {
            let error = try_decode(&whole[..length]).unwrap_err();
            assert!(matches!(error, ImageError::Truncated | ImageError::Damaged(_)), "{format:?} {length}: {error}");
        }
    }
}

#[test]
fn damaged_files_are_refused_or_decoded_and_never_panic() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encode(&colours().into(), format);
        for position in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x55;
            if let Ok(image) = try_decode(&bytes) {
                assert_eq!(image.bytes().len(), image.width() * image.height() * image.layout().channels());
            }
        }
    }
}

#[test]
fn bombs_are_refused_by_their_header() {
    // A PNG's header at its usual place, with a checksum that fits.
    let mut png = encode(&GrayImage::new(1, 1).into(), ImageFormat::Png);
    png[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert!(matches!(try_decode(&png), Err(ImageError::TooLarge { width: 60_000, height: 60_000, .. })));

    let mut jpeg = encode(&GrayImage::new(8, 8).into(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    assert!(matches!(try_decode(&jpeg), Err(ImageError::TooLarge { width: 60_000, height: 60_000, .. })));
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))))
}

#[test]
fn limits_are_the_callers() {
    let bytes = encode(&colours().into(), ImageFormat::Png);
    let options = DecodeOptions { max_pixels: 40 * 30, max_bytes: 40 * 30 * 3, ..DecodeOptions::default() };
    assert!(decode_bytes(&bytes, &options).is_ok());
    for options in
        [DecodeOptions { max_pixels: 40 * 30 - 1, ..options }, DecodeOptions { max_bytes: 40 * 30 * 3 - 1, ..options }]
    {
        assert!(matches!(decode_bytes(&bytes, &options), Err(ImageError::TooLarge { .. })));
    }
    let options = DecodeOptions { max_bytes: 10, ..options };
    assert!(matches!(decode_bytes(&bytes, &options), Err(ImageError::FileTooLarge { limit: 10 })));
}

#[test]
fn what_is_no_image_is_refused_with_its_reason() {
    assert!(matches!(try_decode(b""), Err(ImageError::Empty)));
    assert!(matches!(try_decode(b"<!DOCTYPE html>"), Err(ImageError::Format)));
    assert!(matches!(try_decode(b"GIF89a\x01\0\x01\0\0\0\0"), Err(ImageError::Format)));
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("absent.png")] {
        assert!(matches!(decode(&path, &DecodeOptions::default()), Err(ImageError::Read(_))));
    }
}

#[test]
fn orientation_is_applied_only_when_asked_for() {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    // A TIFF block with one entry: orientation (0x112), a short (3), once, value 6: turn a quarter clockwise.
    let exif = *b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    ::image::ImageEncoder::set_exif_metadata(&mut encoder, exif.to_vec()).unwrap();
    encoder.encode_image(&colours()).unwrap();
    let size = |apply_orientation| {
        let options = DecodeOptions { apply_orientation, ..DecodeOptions::default() };
        let image = decode_bytes(&jpeg, &options).unwrap();
        (image.width(), image.height())
    };
    assert_eq!((size(false), size(true)), ((40, 30), (30, 40)));
}
