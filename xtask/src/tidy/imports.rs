//! The order of imports: std; other crates; this crate. One group for each, with an empty line between.

use std::collections::BTreeSet;

/// Where an import comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// The standard library.
    Std,
    /// Other crates, ours among them.
    External,
    /// This crate: `crate`, `super`, `self`, and modules of the file.
    Own,
}

/// Breaches of the order in a source file, each with its line's number (from 1).
pub fn check(text: &str) -> Vec<(usize, String)> {
    let modules: BTreeSet<&str> = text.lines().filter_map(module).collect();
    let mut problems = Vec::new();
    // The group of the import above, and the indentation of its block.
    let mut above: Option<(Group, usize)> = None;
    let mut empty_line = false;
    let mut inside_braces = false;
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if inside_braces {
            inside_braces = !line.contains(';');
            continue;
        }
        let indent = line.len() - code.len();
        if let Some(path) = code.strip_prefix("use ") {
            inside_braces = !line.contains(';');
            let group = group_of(path, &modules);
            if let Some((before, _)) = above.filter(|(_, block)| *block == indent) {
                let problem = match (group.cmp(&before), empty_line) {
                    (std::cmp::Ordering::Less, _) => Some("stands below imports that come after it"),
                    (std::cmp::Ordering::Equal, true) => Some("is apart from its group"),
                    (std::cmp::Ordering::Greater, false) => Some("needs an empty line above it"),
                    _ => None,
                };
                problems.extend(problem.map(|problem| (number + 1, format!("this import {problem}: {ORDER}"))));
            }
            above = Some((group, indent));
            empty_line = false;
        } else if code.is_empty() {
            empty_line = true;
        } else if !code.starts_with("#[") {
            above = None;
        }
    }
    problems
}

const ORDER: &str = "std, other crates, crate/super/self, in three groups";

/// The module that a line declares.
fn module(line: &str) -> Option<&str> {
    let code = line
        .trim_start()
        .trim_start_matches("pub ")
        .trim_start_matches("pub(crate) ")
        .trim_start_matches("pub(super) ");
    code.strip_prefix("mod ")?.split([';', ' ']).next()
}

fn group_of(path: &str, modules: &BTreeSet<&str>) -> Group {
    let first = path.trim_start_matches("::").split([':', ';', ' ']).next().unwrap_or_default();
    match first {
        "std" | "core" | "alloc" => Group::Std,
        "crate" | "super" | "self" => Group::Own,
        name if modules.contains(name) => Group::Own,
        _ => Group::External,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn three_groups_in_order_are_accepted() {
        let text = "mod own;\n\nuse std::{\n    fs,\n    io,\n};\n\n#[cfg(unix)]\nuse a::B;\nuse z::{\n    C,\n};\n\nuse crate::D;\nuse own::E;\n\n\
                    fn f() {\n    use a::b;\n}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n\n    use super::*;\n}\n";
        assert_eq!(lines(text), [] as [usize; 0]);
    }

    #[test]
    fn other_orders_are_rejected_with_their_line() {
        assert_eq!(lines("use crate::A;\n\nuse std::fs;\n"), [3]);
        assert_eq!(lines("use a::A;\nuse crate::B;\n"), [2]);
        assert_eq!(lines("use a::A;\n\nuse b::B;\n"), [3]);
        assert_eq!(lines("mod tests {\n    use super::*;\n    use std::fs;\n}\n"), [3]);
    }
}
