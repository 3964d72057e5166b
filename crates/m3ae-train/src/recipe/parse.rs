//! `--set key=value`, and suggestions for keys that do not exist.

use toml::de::DeTable;

use super::RunConfigError;

/// Applies one `a.b.c=value`. The value is TOML where it parses as such, else a string.
pub(super) fn set(table: &mut toml::Table, option: &str) -> Result<(), RunConfigError> {
    let failed =
        |problem: &str| RunConfigError::Parse { origin: format!("--set {option}"), problem: problem.to_owned() };
    let (key, value) = option.split_once('=').ok_or_else(|| failed("expected key=value, like train.steps=100"))?;
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("value = {value}"));
    let value = parsed.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| value.into());
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().filter(|last| !last.is_empty()).ok_or_else(|| failed("the key is empty"))?;
    let mut table = table;
    for piece in path {
        let entry = table.entry(piece).or_insert_with(|| toml::Table::new().into());
        table = entry.as_table_mut().ok_or_else(|| failed(&format!("`{piece}` is a value, not a section")))?;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
pub(super) fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let Some((_, tail)) = message.rsplit_once("unknown field") else { return message.to_owned() };
    let mut quoted = tail.split('`').skip(1).step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    match most_similar(unknown, quoted) {
        Some(name) => format!("{message}\ndid you mean `{name}`?"),
        None => message.to_owned(),
    }
}

/// The line, from 1, of the last part of a key such as `model.vision.width` in a recipe.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut parts = key.split('.');
    let (mut name, mut value) = document.get_ref().get_key_value(parts.next()?)?;
    for part in parts {
        match value.get_ref().as_table().and_then(|table| table.get_key_value(part)) {
            Some(found) => (name, value) = found,
            // The rest of the path is absent, or is no table.
            None => break,
        }
    }
    Some(text.get(..name.span().start)?.matches('\n').count() + 1)
}

/// A message without the middle of a value that is longer than any message should be.
pub(super) fn shorten(message: String) -> String {
    const LONGEST: usize = 2000;
    let length = message.chars().count();
    if length <= LONGEST {
        return message;
    }
    let start: String = message.chars().take(LONGEST / 2).collect();
    let end: String = message.chars().skip(length - LONGEST / 2).collect();
    format!("{start} ... {end}")
}

/// The name that `unknown` is most likely a misspelling of.
pub(super) fn most_similar<'a>(unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |name: &str| strsim::jaro_winkler(unknown, name);
    let names = names.into_iter().filter(|name| similarity(name) > 0.75);
    names.max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
}
