//! Tables of questions: CSV or JSON lines.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::files;

/// A question about an image.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The image's file.
    pub image: PathBuf,
    /// The question.
    pub question: String,
    /// The row's id, if the table has one.
    pub id: Option<Value>,
    /// The row's place in the table, for messages.
    pub place: String,
}

impl Row {
    /// A question from the command line.
    pub fn new(image: PathBuf, question: String) -> Self {
        Self { image, question, id: None, place: "--question".into() }
    }
}

/// Reads a table: JSON lines if it begins with `{`, else CSV with a header.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = files::text(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let folder = path.parent().unwrap_or(Path::new(""));
    let rows = match text.trim_start().starts_with('{') {
        true => json_lines(path, text, folder),
        false => csv(path, text, folder),
    }?;
    ensure!(!rows.is_empty(), "{}: the table has no rows", path.display());
    Ok(rows)
}

fn json_lines(path: &Path, text: &str, folder: &Path) -> Result<Vec<Row>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let place = format!("{}, line {}", path.display(), number + 1);
            let json: Value = serde_json::from_str(line).with_context(|| format!("{place}: not JSON"))?;
            let text = |key: &str| {
                json[key].as_str().map(str::to_owned).with_context(|| format!("{place}: no string under {key:?}"))
            };
            let id = json.get("id").cloned();
            Ok(Row { image: folder.join(text("image")?), question: text("question")?, id, place })
        })
        .collect()
}

fn csv(path: &Path, text: &str, folder: &Path) -> Result<Vec<Row>> {
    let mut reader = ::csv::ReaderBuilder::new().flexible(false).from_reader(text.as_bytes());
    let headers = reader.headers().with_context(|| path.display().to_string())?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim().eq_ignore_ascii_case(name));
    let needed = |name: &str| {
        let found: Vec<&str> = headers.iter().collect();
        column(name).with_context(|| format!("{}: no column {name:?} among {}", path.display(), found.join(", ")))
    };
    let (image, question, id) = (needed("image")?, needed("question")?, column("id"));
    reader
        .records()
        .map(|record| {
            let record = record.with_context(|| path.display().to_string())?;
            let line = record.position().map_or(0, ::csv::Position::line);
            let field = |column: usize| record.get(column).unwrap_or_default();
            Ok(Row {
                image: folder.join(field(image).trim()),
                question: field(question).to_owned(),
                id: id.map(|id| Value::from(field(id))),
                place: format!("{}, line {line}", path.display()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rows(text: &str) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        fs::write(&path, text).unwrap();
        let strip = |row: Row| {
            let image = row.image.strip_prefix(folder.path()).unwrap().to_owned();
            let place = row.place.rsplit(", ").next().unwrap().to_owned();
            Row { image, place, ..row }
        };
        read(&path).map(|rows| rows.into_iter().map(strip).collect())
    }

    #[test]
    fn both_kinds_of_tables_say_the_same() {
        let csv = rows("\u{feff}Question,image\n\"is it, or not?\",a b.png\nwhat,c.png\n").unwrap();
        let json = rows(
            "{\"image\": \"a b.png\", \"question\": \"is it, or not?\"}\n\n{\"image\": \"c.png\", \"question\": \"what\"}",
        );
        let plain = |rows: &[Row]| -> Vec<(PathBuf, String)> {
            rows.iter().map(|row| (row.image.clone(), row.question.clone())).collect()
        };
        assert_eq!(plain(&csv), plain(&json.unwrap()));
        assert_eq!((csv[1].place.as_str(), csv[1].image.to_str()), ("line 3", Some("c.png")));
    }

    #[test]
    fn ids_are_kept_and_damage_is_named_with_its_line() {
        assert_eq!(rows("id,image,question\n7,a,b\n").unwrap()[0].id, Some(Value::from("7")));
        assert_eq!(rows("{\"id\": 7, \"image\": \"a\", \"question\": \"b\"}").unwrap()[0].id, Some(Value::from(7)));
        for (text, expected) in [
            ("image,text\na,b\n", "no column \"question\" among image, text"),
            ("image,question\na\n", "line: 2"),
            ("{\"image\": \"a\"}", "line 1: no string under \"question\""),
            ("{\"image\": \"a\", \"question\": \"b\"}\n{\n", "line 2: not JSON"),
            ("image,question\n", "no rows"),
        ] {
            let error = format!("{:#}", rows(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
