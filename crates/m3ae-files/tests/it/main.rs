//! What the crate promises, seen from outside and from other processes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod files;
mod folders;
mod processes;

use std::fs;
use std::path::Path;

/// Everything in a folder, hidden files too, in the order of the names.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
