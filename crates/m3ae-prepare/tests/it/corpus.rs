//! The fuzz targets' corpus, replayed: what was once found stays found, without the nightly compiler.

use std::{fs, path::Path};

#[path = "../../../../fuzz/checks.rs"]
mod checks;

/// The repository's corpora, small enough to be kept in it.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
const MAX_BYTES: usize = 200_000;

fn replay(target: &str, check: fn(&[u8])) {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(CORPUS).join(target)).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        let bytes = fs::read(path).unwrap();
        check(&bytes);
        // Cut and flipped, a corpus becomes a larger one.
        for cut in [0, 1, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            check(&bytes[..cut.min(bytes.len())]);
        }
        for at in (0..bytes.len()).step_by(bytes.len() / 16 + 1) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            check(&flipped);
        }
        seen += 1;
    }
    assert!(seen >= 8, "the corpus of {target} has only {seen} files");
}

#[test]
fn images_of_the_corpus_are_decoded_or_refused() {
    replay("decode", checks::decode);
}

#[test]
fn lines_of_the_corpus_are_accounted_for() {
    replay("captions", checks::captions);
}

#[test]
fn arrow_files_of_the_corpus_are_read_or_refused() {
    replay("arrow", checks::arrow);
}

#[test]
fn the_corpora_stay_small() {
    let folders = fs::read_dir(CORPUS).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().metadata().unwrap());
    let bytes: u64 = files.map(|file| file.len()).sum();
    assert!(bytes < MAX_BYTES as u64, "{bytes} bytes: minimise with cargo fuzz cmin");
}
