//! Reconstructions over time.

use std::fs;
use std::path::{Path, PathBuf};

use super::by_step;
use crate::format::format_number;
use crate::page::{GalleryItem, Page, Png};

/// Most pictures in the page.
const MAX_PICTURES: usize = 6;
/// Larger files are not put into the page, in bytes.
const MAX_BYTES: u64 = 8 << 20;

pub(super) fn add(page: &mut Page, folder: &Path) {
    let files = by_step(folder, "reconstructions-", ".png");
    let items: Vec<GalleryItem> = spread_over(&files).into_iter().map(|(step, path)| item(*step, path)).collect();
    if !items.is_empty() {
        page.section("Reconstructions")
            .text("Of each image: the original, what the model saw, and what it made of it. Removed patches are grey in the second.")
            .broad_gallery(&items);
    }
}

/// The first, the last, and some between at about equal distances.
fn spread_over(files: &[(u64, PathBuf)]) -> Vec<&(u64, PathBuf)> {
    let count = files.len().min(MAX_PICTURES);
    (0..count).filter_map(|i| files.get(i * (files.len() - 1) / (count - 1).max(1))).collect()
}

fn item(step: u64, path: &Path) -> GalleryItem {
    let title = format!("after step {}", format_number(step as f64));
    let read = || -> Result<Png, String> {
        let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if bytes > MAX_BYTES {
            return Err(format!("{bytes} bytes are more than the page takes, {MAX_BYTES}"));
        }
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        Png::new(bytes, format!("reconstructions {title}")).map_err(|error| error.to_string())
    };
    match read() {
        Ok(picture) => GalleryItem { pictures: vec![picture], lines: vec![title.into()] },
        Err(problem) => GalleryItem { lines: vec![format!("{title}: {problem}").into()], ..GalleryItem::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_among_at_most_six() {
        for count in 0..40 {
            let files: Vec<(u64, PathBuf)> = (0..count).map(|step| (step, PathBuf::new())).collect();
            let steps: Vec<u64> = spread_over(&files).into_iter().map(|file| file.0).collect();
            assert_eq!(steps.len() as u64, count.min(6));
            assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
            if count > 0 {
                assert_eq!((steps[0], steps[steps.len() - 1]), (0, if count == 1 { 0 } else { count - 1 }));
            }
        }
    }
}
