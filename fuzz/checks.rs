//! What must hold for any bytes: called by the fuzz targets, and by `m3ae-data`'s `tests/corpus.rs` for the corpus.

use m3ae_data::{ClipTransform, DecodeOptions, Transform, decode_bytes, parse_captions};
use m3ae_random::{Key, Stream};

/// Limits under which an input takes milliseconds.
const SMALL: DecodeOptions = DecodeOptions { max_pixels: 1 << 16, max_bytes: 1 << 20, apply_orientation: true };

/// Decoding gives an image within the limits, or an error with a message; every transform makes S×S of every image.
pub fn decode(bytes: &[u8]) {
    let image = match decode_bytes(bytes, &SMALL) {
        Ok(image) => image,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let pixels = image.width() * image.height();
    assert!(pixels > 0 && pixels as u64 <= SMALL.max_pixels);
    assert_eq!(image.bytes().len(), pixels * image.layout().channels());
    let clip = ClipTransform::new(8).unwrap();
    for transform in Transform::ALL {
        // The image's size keys the draws, so that different inputs meet different operations.
        let key = Key { seed: pixels as u64, epoch: 0, sample: "fuzz", stream: Stream::Augmentation };
        assert_eq!(transform.crop(&clip, &image, &mut key.generator()).bytes().len(), 3 * 8 * 8);
    }
}

/// Every line is accounted for, and what is usable is usable.
pub fn captions(bytes: &[u8]) {
    let lines = parse_captions(bytes);
    assert!(lines.len() <= bytes.len());
    for line in lines {
        match line {
            Ok(line) => {
                assert!(!line.id.is_empty() && !line.id.contains(['/', '\\', '\0', '\n']));
                assert_eq!(line.caption, m3ae_data::collapse_whitespace(&line.caption));
                assert!(line.caption.split(' ').count() >= 3);
            }
            Err(line) => assert!(line.key.chars().count() <= 60 && !line.reason.to_string().is_empty()),
        }
    }
}
