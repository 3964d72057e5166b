//! The form of the sources: what neither the compiler nor clippy looks at.

mod imports;
mod readme;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The most lines a source file may have: what a reader can hold in mind.
const MAX_LINES: usize = 450;

/// The most columns of a comment, and of a page's prose.
const MAX_COLUMNS: usize = 120;

/// Ways to say "not written yet". Put together here, so that this file does not break its own rule.
const STUBS: [&str; 2] = [concat!("to", "do!"), concat!("un", "implemented!")];

/// Where machines keep what belongs to one person; put together for the same reason.
const PRIVATE_FOLDERS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers\\"),
];

/// A folder beside the repository, which a clone does not have; put together for the same reason.
const OUTSIDE: &str = concat!("../", "shared");

/// Folders at the top that hold no sources.
const NOT_SOURCES: [&str; 4] = [".git", "target", "runs", "datasets"];

/// Where the outputs of the reference implementation are: not our texts.
const GOLDEN: &str = "tests/golden";

/// Writes what can be written: the crates' READMEs.
pub fn fix(root: &Path) -> Result<()> {
    for (path, text) in readme::outdated(root)? {
        fs::write(root.join(&path), text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Checks every source of the workspace, prints each breach of a rule, and fails where there is one.
pub fn run(root: &Path) -> Result<()> {
    let mut problems = Vec::new();
    for (path, _) in readme::outdated(root)? {
        problems.push(format!("{}: not what the crate's documentation says: cargo xtask tidy --fix", path.display()));
    }
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    for file in &files {
        let bytes = fs::read(root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        // What is not text (images, weights) has no form to check.
        if let Ok(text) = String::from_utf8(bytes) {
            problems.extend(check(file, &text));
        }
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => println!("tidy: {} files, nothing to report", files.len()),
        count => bail!("tidy found {count} problems"),
    }
    Ok(())
}

/// The files under `folder`, as paths from `root`, in the order of their names.
fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = || -> io::Result<Vec<_>> { folder.read_dir()?.collect() };
    let mut entries = entries().with_context(|| format!("cannot list {}", folder.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // In a linked work tree, .git is a file.
        if folder == root && NOT_SOURCES.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &entry.path(), files)?;
        } else if kind.is_file() {
            let path = entry.path();
            files.push(path.strip_prefix(root).unwrap_or(&path).to_path_buf());
        }
    }
    Ok(())
}

/// The breaches of the rules in one file, each a line `path:line: what`.
fn check(path: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let ends = |end: &str| path.extension().is_some_and(|extension| extension == end);
    let (rust, page) = (ends("rs"), ends("md"));
    if path.starts_with(GOLDEN) && !(rust || page) {
        return problems;
    }
    let lines = text.lines().count();
    if rust && lines > MAX_LINES {
        problems.push(format!("{}: {lines} lines, more than {MAX_LINES}: split it", path.display()));
    }
    if rust && path.file_name().is_some_and(|name| name == "mod.rs") {
        problems.push(format!("{}: name it after its folder, beside it: foo.rs and foo/", path.display()));
    }
    if path.ends_with("src/lib.rs") && path.starts_with("crates") && !readme::has_example(text) {
        problems.push(format!("{}: no example that compiles in the crate's documentation", path.display()));
    }
    if rust {
        let found = imports::check(text).into_iter();
        problems.extend(found.map(|(line, what)| format!("{}:{line}: {what}", path.display())));
    }
    let mut code_block = false;
    for (number, line) in text.lines().enumerate() {
        let mut report = |what: String| problems.push(format!("{}:{}: {what}", path.display(), number + 1));
        if let Some(stub) = STUBS.iter().find(|stub| rust && line.contains(*stub)) {
            report(format!("a stub, {stub}: write it or leave it out"));
        }
        code_block ^= page && line.trim_start().starts_with("```");
        if (rust && is_long_comment(line)) || (page && !code_block && is_long_prose(line)) {
            report(format!("more than {MAX_COLUMNS} columns"));
        }
        if line.contains(OUTSIDE) {
            report(format!("names {OUTSIDE}, which a clone does not have"));
        }
        if rust && cites_nothing(line) {
            report("cites a text by a number alone: name the page, docs/spec.md, section N".to_owned());
        }
        if let Some(folder) = PRIVATE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            report(format!("a path under {folder}: it exists on one machine only"));
        }
    }
    if path.file_name().is_some_and(|name| name == "Cargo.toml") && lacks_description(text) {
        problems.push(format!("{}: no description: say in one sentence what the crate is for", path.display()));
    }
    problems
}

fn is_long(line: &str) -> bool {
    // Nothing can break an address.
    line.chars().count() > MAX_COLUMNS && !line.contains("://")
}

/// A table's row stays on one line.
fn is_long_comment(line: &str) -> bool {
    let comment = line.trim_start();
    comment.starts_with("//") && !comment.trim_start_matches(['/', '!', ' ']).starts_with('|') && is_long(line)
}

/// Tables and pictures stay on one line.
fn is_long_prose(line: &str) -> bool {
    !line.trim_start().starts_with(['|', '#', '!', '`', '<']) && is_long(line)
}

/// Whether a comment cites the specification or a list of decisions without saying where it is.
fn cites_nothing(line: &str) -> bool {
    let Some((_, comment)) = line.split_once("//") else { return false };
    ["spec ", "design decision "].iter().any(|what| {
        comment.match_indices(what).any(|(at, _)| {
            let whole_word = !comment[..at].ends_with(|c: char| c.is_alphanumeric() || c == '/');
            whole_word && comment[at + what.len()..].starts_with(|c: char| c.is_ascii_digit())
        })
    })
}

/// Whether an absolute path in `line` begins with `folder`. In `https://host/home/` and `../home/` none does.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-~/*}".contains(c)))
    })
}

/// Whether a manifest is a package's and does not say what the package is for.
fn lacks_description(manifest: &str) -> bool {
    let mut package = manifest.lines().map(str::trim).skip_while(|line| *line != "[package]").skip(1).peekable();
    package.peek().is_some()
        && !package.take_while(|line| !line.starts_with('[')).any(|line| {
            let value = line.strip_prefix("description").map(str::trim_start).and_then(|rest| rest.strip_prefix('='));
            value.is_some_and(|value| value.trim().trim_matches('"').len() > 10)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        check(Path::new(path), text).len()
    }

    #[test]
    fn rejects_source_files_that_are_too_long() {
        assert_eq!(problems("src/lib.rs", &"x\n".repeat(MAX_LINES)), 0);
        assert_eq!(problems("src/lib.rs", &"x\n".repeat(MAX_LINES + 1)), 1);
        assert_eq!(problems("Cargo.lock", &"x\n".repeat(MAX_LINES + 1)), 0);
    }

    #[test]
    fn rejects_stubs_with_their_line() {
        for stub in STUBS {
            let found = check(Path::new("src/lib.rs"), &format!("fn f() {{\n    {stub}()\n}}\n"));
            assert!(found.len() == 1 && found[0].starts_with("src/lib.rs:2: "), "{found:?}");
            assert_eq!(problems("notes.md", stub), 0);
        }
    }

    #[test]
    fn rejects_paths_of_one_machine() {
        for folder in PRIVATE_FOLDERS {
            for before in ["", "data = \"", "see `", "(", "--out="] {
                assert_eq!(problems("a.toml", &format!("{before}{folder}x")), 1, "{before}{folder}");
            }
        }
    }

    #[test]
    fn accepts_relative_paths_and_addresses() {
        for folder in PRIVATE_FOLDERS {
            for before in ["https://example.org", "..", "~", "data", "${ROOT}", "*"] {
                assert_eq!(problems("README.md", &format!("{before}{folder}x")), 0, "{before}{folder}");
            }
        }
    }

    #[test]
    fn rejects_comments_and_prose_that_are_too_wide() {
        let words = |start: &str| format!("{start}{}\n", "word ".repeat(30));
        for (path, start, wide) in [
            ("src/a.rs", "/// ", true),
            ("src/a.rs", "    // ", true),
            ("src/a.rs", "//! | ", false),
            ("src/a.rs", "let x = ", false),
            ("src/a.rs", "// see https://example.org ", false),
            ("a.md", "", true),
            ("a.md", "| ", false),
            ("a.md", "```\n", false),
        ] {
            assert_eq!(problems(path, &words(start)), usize::from(wide), "{path} {start}");
        }
    }

    #[test]
    fn rejects_citations_that_lead_nowhere() {
        for (line, bad) in [
            (concat!("// as it should be (sp", "ec 1.4)"), true),
            (concat!("x; // design de", "cision 8"), true),
            ("/// (docs/spec.md, section 1.4)", false),
            ("let spec = \"spec 1\";", false),
        ] {
            assert_eq!(problems("src/a.rs", line), usize::from(bad), "{line}");
        }
        assert_eq!(problems("configs/a.toml", &format!("# {OUTSIDE}/golden")), 1);
    }

    #[test]
    fn rejects_modules_named_mod_and_libraries_without_an_example() {
        assert_eq!((problems("src/a/mod.rs", ""), problems("src/a.rs", "")), (1, 0));
        assert_eq!(problems("crates/a/src/lib.rs", "//! A.\n"), 1);
        assert_eq!(problems("crates/a/src/lib.rs", "//! A.\n//! ```\n//! f();\n//! ```\n"), 0);
    }

    #[test]
    fn rejects_crates_that_do_not_say_what_they_are_for() {
        let manifest = |package: &str| {
            format!("[package]\nname = \"x\"\n{package}\n[dependencies]\ndescription = \"1.0 of it\"\n")
        };
        assert_eq!(problems("Cargo.toml", &manifest("description = \"Masks of pre-training.\"")), 0);
        assert_eq!(problems("Cargo.toml", &manifest("")), 1);
        assert_eq!(problems("Cargo.toml", &manifest("description = \"\"")), 1);
        assert_eq!(problems("Cargo.toml", "[workspace]\nmembers = []\n"), 0);
    }
}
