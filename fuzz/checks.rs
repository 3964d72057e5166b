//! What must hold for any bytes: called by the fuzz targets, and by `m3ae-prepare`'s `tests/it/corpus.rs` for the
//! corpus.

use std::path::Path;

use m3ae_data::arrow::{ArrowFile, Kind};
use m3ae_image::{ClipTransform, DecodeOptions, Transform, decode_bytes};
use m3ae_prepare::parse_captions;
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

/// An Arrow file is refused, or each of its rows is read or refused, and what was read lies within the file.
pub fn arrow(bytes: &[u8]) {
    // The file is copied: what it says of itself must not change that.
    let file = match ArrowFile::from_bytes(Path::new("fuzz.arrow"), bytes.to_vec()) {
        Ok(file) => file,
        Err(error) => return assert!(error.to_string().starts_with("fuzz.arrow")),
    };
    assert_eq!(file.bytes(), bytes.len());
    assert!(file.schema().count() >= file.kind().columns().len());
    let _ = (file.vocabulary(), file.label_names());
    // Rows of empty columns may be without number: those beyond tell nothing new.
    for row in (0..file.len().min(300)).chain([file.len(), usize::MAX]) {
        let inside = |result: Result<&[u8], _>| result.map(|image| assert!(image.len() <= bytes.len()));
        let read = match file.kind() {
            Kind::Captions => file.captions(row).map(|row| row.image),
            Kind::Questions => file.questions(row).map(|row| {
                assert_eq!(row.questions.len(), row.answer_types.len());
                row.image
            }),
            Kind::Classes => file.classes(row).map(|row| {
                assert!(row.labels.iter().all(|labels| labels.len() == row.captions.len()));
                row.image
            }),
        };
        assert!(row < file.len() || read.is_err());
        match inside(read) {
            Ok(()) => assert!(file.image(row).is_ok() && file.image_id(row).is_ok()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
