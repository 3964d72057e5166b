//! The report in words.

use std::fmt::{Display, Formatter, Result};

use crate::PrepareReport;

impl Display for PrepareReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "{:32} {:>7} {:>7} {:>6} {:>17} {:>9}  sha256",
            "file", "images", "texts", "labels", "words min/med/max", "MB"
        )?;
        // A set's splits in the order in which they are used.
        let place = |split: &str| ["train", "val", "test"].iter().position(|known| *known == split);
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(name, file)| {
            (&file.set, name.trim_end_matches(&format!("{}.arrow", file.split)), place(&file.split))
        });
        for (name, file) in &files {
            let lengths = format!("{}/{}/{}", file.lengths.min, file.lengths.median, file.lengths.max);
            let megabytes = file.bytes as f64 / 1e6;
            let hash: String = file.sha256.chars().take(12).collect();
            writeln!(
                f,
                "{name:32} {:>7} {:>7} {:>6} {lengths:>17} {megabytes:>9.1}  {hash}",
                file.images, file.texts, file.labels
            )?;
        }
        for (name, file) in files {
            for (reason, count) in &file.dropped {
                writeln!(f, "{name}: {count} left out: {reason}")?;
            }
            for (count, what) in [
                (file.duplicate_texts, "texts repeat one of the same image"),
                (file.duplicate_images, "images have the bytes of an earlier one"),
                (file.unknown_answers, "answers are outside the vocabulary"),
            ] {
                if count > 0 {
                    writeln!(f, "{name}: {count} {what}")?;
                }
            }
        }
        for shared in &self.shared_images {
            writeln!(
                f,
                "{} and {} share {} images: what is learned of them in one is known in the other",
                shared.files[0], shared.files[1], shared.images
            )?;
        }
        Ok(())
    }
}
