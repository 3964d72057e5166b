//! The documentation's links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// Pages that people read, from the workspace's root.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let golden = fs::read_dir(root.join("tests/golden")).unwrap().map(|entry| entry.unwrap().path().join("README.md"));
    let own = ["README.md", "datasets/README.md", "tests/golden/README.md"].map(|page| root.join(page));
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    own.into_iter().chain(docs).chain(golden.filter(|path| path.is_file())).collect()
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut links = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(page.parent().unwrap().join(target).exists(), "{} links to {target}", page.display());
            links += 1;
        }
    }
    assert!(links > 30, "{links}");
}

#[test]
fn every_page_is_in_the_index() {
    let index = fs::read_to_string(pages()[0].parent().unwrap().join("docs/README.md")).unwrap();
    for page in pages().into_iter().filter(|page| page.parent().unwrap().ends_with("docs")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(name), "docs/README.md does not list {name}");
    }
}

#[test]
fn recipes_that_pages_name_are_there() {
    let root = pages()[0].parent().unwrap().to_owned();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for word in text.split(|c: char| c.is_whitespace() || "`()[]".contains(c)) {
            if word.starts_with("configs/") && word.ends_with(".toml") && !word.contains('<') {
                assert!(root.join(word).is_file(), "{} names {word}", page.display());
            }
        }
    }
}
