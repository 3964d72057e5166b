//! A crate's README comes from the documentation of its root: written by `cargo xtask tidy --fix`, checked by `tidy`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The READMEs of the workspace's crates that are not what they should be: the file, and its text.
pub fn outdated(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let crates = root.join("crates");
    let list = || -> io::Result<Vec<PathBuf>> { crates.read_dir()?.map(|entry| Ok(entry?.path())).collect() };
    let mut folders = list().with_context(|| format!("cannot list {}", crates.display()))?;
    folders.sort();
    let mut outdated = Vec::new();
    for folder in folders.iter().filter(|folder| folder.join("Cargo.toml").is_file()) {
        let source = [folder.join("src/lib.rs"), folder.join("src/main.rs")].into_iter().find(|path| path.is_file());
        let source = source.with_context(|| format!("{} has no src/lib.rs and no src/main.rs", folder.display()))?;
        let source = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let (text, path) = (readme(&name, &source), folder.join("README.md"));
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            outdated.push((path.strip_prefix(root).unwrap_or(&path).to_path_buf(), text));
        }
    }
    Ok(outdated)
}

/// The README of crate `name` from its root's source.
fn readme(name: &str, source: &str) -> String {
    let mut text = format!("# {name}\n\n");
    let mut code = None;
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        match (line.strip_prefix("```"), code) {
            (Some(_), Some(_)) => {
                code = None;
                text += "```";
            }
            (Some(language), None) => {
                // rustdoc reads a block without a language, or with a test's attribute, as Rust.
                let rust = matches!(language, "" | "no_run" | "should_panic" | "rust" | "rust,no_run");
                code = Some(rust);
                text += if rust { "```rust" } else { line };
            }
            // rustdoc hides these lines.
            (None, Some(true)) if line == "#" || line.starts_with("# ") => continue,
            (None, Some(_)) => text += line,
            (None, None) if line.starts_with('#') => text += &format!("#{line}"),
            (None, None) => text += &without_item_links(line),
        }
        text += "\n";
    }
    text + "\n`cargo doc --no-deps --open` has the API. `cargo xtask tidy --fix` makes this page from the source.\n"
}

/// Links to items (`` [`Page`] ``, `` [text](Page::html) ``) only rustdoc resolves: the text alone stays.
fn without_item_links(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('[') {
        let Some(length) = rest[start..].find(']') else { break };
        let (label, after) = (&rest[start + 1..start + length], &rest[start + length + 1..]);
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        text += &rest[..start];
        match target {
            // A page or a file.
            Some((target, after)) if target.contains("//") || target.contains('.') => {
                text += &format!("[{label}]({target})");
                rest = after;
            }
            Some((_, after)) => {
                text += label;
                rest = after;
            }
            None if label.starts_with('`') => {
                text += label;
                rest = after;
            }
            None => {
                text += &format!("[{label}]");
                rest = after;
            }
        }
    }
    text + rest
}

/// Whether the documentation of a library's root has an example that the tests compile.
pub fn has_example(source: &str) -> bool {
    let blocks =
        source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).filter(|line| line.starts_with("```"));
    blocks
        .step_by(2)
        .any(|fence| matches!(fence, "```" | "```no_run" | "```rust" | "```rust,no_run" | "```should_panic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_has_the_roots_documentation_with_code_as_rust() {
        let source = "//! What it is for: [`Page`], [a page](Page::new), [Burn](https://burn.dev), [B, L].\n//!\n//! ```no_run\n\
                      //! # fn main() {\n//! let x = [1];\n//! # }\n//! ```\n//! # Limits\n//! ```text\n\
                      //! # drawn\n//! ```\n\nmod a;\n//! not this\n";
        let text = readme("x", source);
        let expected = "# x\n\nWhat it is for: `Page`, a page, [Burn](https://burn.dev), [B, L].\n\n```rust\nlet x = [1];\n```\n\
                        ## Limits\n```text\n# drawn\n```\n\n`cargo doc";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn examples_that_are_not_compiled_do_not_count() {
        assert!(has_example("//! A.\n//! ```\n//! f();\n//! ```\n"));
        assert!(has_example("//! ```text\n//! a\n//! ```\n//! ```no_run\n//! f();\n//! ```\n"));
        for fence in ["text", "ignore", "toml"] {
            assert!(!has_example(&format!("//! ```{fence}\n//! f();\n//! ```\n")), "{fence}");
        }
        assert!(!has_example("//! A.\n"));
    }
}
