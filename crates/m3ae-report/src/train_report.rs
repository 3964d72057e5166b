//! The page of a training run, made from the run's folder.
//!
//! ```text
//! metrics.jsonl                one event a line: {"event": "start", …},
//!                              {"event": "train", "step", "epoch", "metrics": {…}, "learning_rate", "gradient_norm",
//!                              "samples_per_second", "seconds"},
//!                              {"event": "validation", "step", "metrics": {…}},
//!                              {"event": "test", "step", "metrics": {…}}
//! config.toml                  shown as it is
//! environment.json             {"git_commit": "…", …}: names and texts
//! reconstructions-<step>.png   pictures, the latest and some before
//! predictions-<step>.json      [{"text", "words": [{"position", "truth", "guesses": [["word", 0.7], …]}]}], the latest
//! ```
//! Only `metrics.jsonl` must be there. Metrics may have any names. Events of other kinds are passed over, and so is a
//! last line that is cut. Where a run went back to an earlier step, what it wrote later counts.

mod pictures;
mod predictions;
mod read;
mod sections;

use std::fs;
use std::path::Path;

use crate::error::ReportError;
use crate::page::Page;
use read::History;

/// The page's file in the run's folder.
pub const REPORT_FILE: &str = "report.html";

/// Makes the page of the run in `folder` and writes it there as `report.html`, whole or not at all. It costs
/// milliseconds, and may be made again after every validation. A file that is optional and damaged is named in the
/// page.
///
/// # Errors
/// `metrics.jsonl` cannot be read, or the page cannot be written.
pub fn train_report(folder: &Path) -> Result<(), ReportError> {
    train_page(folder)?.write(&folder.join(REPORT_FILE))
}

/// The page of the run in `folder`.
///
/// # Errors
/// `metrics.jsonl` cannot be read.
pub fn train_page(folder: &Path) -> Result<Page, ReportError> {
    let path = folder.join("metrics.jsonl");
    // Bytes, not text: a cut last line may end within a letter.
    let history = History::parse(&fs::read(&path).map_err(ReportError::io(&path))?);
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let mut page = Page::new(name);
    sections::summary(&mut page, &history);
    sections::metrics(&mut page, &history);
    sections::progress(&mut page, &history);
    pictures::add(&mut page, folder);
    predictions::add(&mut page, folder);
    sections::config(&mut page, folder);
    sections::environment(&mut page, folder);
    Ok(page)
}

/// Files of `folder` named `<prefix><step><suffix>`, in the order of steps. A folder that cannot be listed has none.
fn by_step(folder: &Path, prefix: &str, suffix: &str) -> Vec<(u64, std::path::PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(u64, std::path::PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let step = name.to_str()?.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    files.sort_unstable();
    files
}

#[cfg(test)]
mod tests;
