//! Captions of prepared files, for the loader.

use std::{collections::HashMap, path::Path};

use crate::{
    CaptionSample, CaptionSet, DataError, SkipReason, Skipped, arrow::ArrowFile, collapse_whitespace, source::row_path,
};

/// Reads the captions of a prepared file: one sample per caption, as of ROCO's layout. Its images stay in the file, and
/// are found there through the samples' paths.
///
/// Sample ids begin with the file's name without its ending (`roco_train/ROCO_00001.jpg#0`), so that several files can
/// be joined. An image that stands in two rows counts its captions on.
///
/// # Errors
/// When the file cannot be read, is damaged, or holds no captions. Captions that are empty are in
/// [`CaptionSet::skipped`].
pub fn read_captions_arrow(path: &Path) -> Result<CaptionSet, DataError> {
    let file = ArrowFile::open(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut set = CaptionSet {
        name: name.rsplit_once('_').map_or(&*name, |(set, _)| set).to_owned(),
        split: String::new(),
        samples: Vec::with_capacity(file.len()),
        skipped: Vec::new(),
        lines_read: 0,
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for number in 0..file.len() {
        let row = file.captions(number)?;
        if number == 0 {
            set.split = row.split.to_owned();
        }
        for caption in row.captions {
            set.lines_read += 1;
            let caption = collapse_whitespace(caption);
            if caption.is_empty() {
                let reason = SkipReason::TooFewWords { words: 0, minimum: 1 };
                let key = row.image_id.to_owned();
                set.skipped.push(Skipped { file: path.to_owned(), line: Some(number + 1), key, reason });
                continue;
            }
            let count = counts.entry(row.image_id).or_default();
            let id = format!("{name}/{}#{count}", row.image_id);
            *count += 1;
            set.samples.push(CaptionSample { id, image: row_path(path, number), caption });
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use image::GrayImage;
    use m3ae_text::Tokenizer;

    use super::*;
    use crate::{
        Loader, LoaderConfig,
        arrow::{ArrowWriter, Kind, Row, RowData},
    };

    #[test]
    fn a_prepared_file_gives_the_batches_of_its_images() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("toy_train.arrow");
        let mut writer = ArrowWriter::create(&path, Kind::Captions, "train", &BTreeMap::new()).unwrap();
        let mut loose = Vec::new();
        for i in 0..3_u8 {
            let file = folder.path().join(format!("{i}.png"));
            GrayImage::from_fn(9, 7, |x, y| [(x * 20 + y * 3) as u8 + 9 * i].into()).save(&file).unwrap();
            let captions: Vec<String> = (0..2).map(|n| format!("caption {n} of {i}")).collect();
            loose.extend(captions.iter().enumerate().map(|(n, caption)| CaptionSample {
                id: format!("{i}#{n}"),
                image: file.clone(),
                caption: caption.clone(),
            }));
            let row = Row { image_id: format!("{i}.png"), data: RowData::Captions(captions) };
            writer.push(&row, &fs::read(&file).unwrap()).unwrap();
        }
        writer.finish().unwrap();

        let of_file = read_captions_arrow(&path).unwrap();
        assert_eq!((of_file.name.as_str(), of_file.split.as_str(), of_file.lines_read), ("toy", "train", 6));
        assert_eq!(of_file.samples[3].id, "toy_train/1.png#1");
        let tokenizer = Tokenizer::train(of_file.samples.iter().map(|s| s.caption.as_str()), 300).unwrap();
        let config = LoaderConfig {
            side: 4,
            batch_size: 6,
            shuffle: false,
            false_images: false,
            workers: 0,
            ..LoaderConfig::default()
        };
        let batch = |samples: &[CaptionSample]| {
            Loader::new(samples, &tokenizer, &config).unwrap().epoch(0, 0).next().unwrap().unwrap()
        };
        let (a, b) = (batch(&of_file.samples), batch(&loose));
        assert!(a.skipped.is_empty() && a.images.len() == 6 * 3 * 16);
        assert_eq!((a.images, a.text_ids), (b.images, b.text_ids));
    }
}
