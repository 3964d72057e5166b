//! `[model]`: the model's own configuration, as `config.json` has it, over a preset.

mod fields;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use m3ae_model::M3aeConfig;
use serde::{Deserialize, Serialize};

use super::RunConfigError;
use super::parse::{most_similar, shorten};
use fields::{ENCODER, Fields, HEADS, json};
pub(crate) use resolve::{Sizes, model_config};

/// Keys that stood directly in `[model]` before it had the structure of `config.json`, and where they are now.
const FORMER: [(&str, &[&str]); 13] = [
    ("image_size", &["vision.image_size"]),
    ("patch_size", &["vision.patch_size"]),
    ("vision_width", &["vision.width"]),
    ("vision_layers", &["vision.layers"]),
    // The feed-forward layer was four times as wide.
    ("text_width", &["text.width", "text.intermediate"]),
    ("text_layers", &["text.layers"]),
    ("text_heads", &["text.heads"]),
    ("width", &["fusion.width"]),
    ("heads", &["fusion.heads"]),
    ("fusion_layers", &["fusion.layers"]),
    ("mim_layer", &["mim.layer"]),
    ("norm_pix_loss", &["mim.norm_pix_loss"]),
    ("dropout", &["text.dropout", "fusion.dropout"]),
];

/// Renames the former keys of a run's recipe, key by key with its value as TOML, so that a run that was begun with them
/// can go on.
pub(crate) fn rename_former(values: &mut BTreeMap<String, String>) {
    for (former, now) in FORMER {
        let Some(value) = values.remove(&format!("model.{former}")) else { continue };
        for key in now {
            let value = match (*key, value.parse::<usize>()) {
                ("text.intermediate", Ok(width)) => (4 * width).to_string(),
                _ => value.clone(),
            };
            values.insert(format!("model.{key}"), value);
        }
    }
}

/// The model's configuration: a preset and changes to it, with the keys of [`M3aeConfig`].
///
/// ```toml
/// [model]
/// preset = "base"          # one of M3aeConfig::PRESETS; "base" where absent
/// [model.vision]
/// image_size = 384
/// [model.fusion]
/// dropout = 0.0
/// ```
///
/// Weights that the recipe names bring their own sizes: those of `init.vision` and `init.text` stand above the preset,
/// and `init.checkpoint` takes the preset's place where none is named. A key, or a preset beside `init.checkpoint`,
/// that contradicts them is an error. The vocabulary comes from the tokenizer and the heads from the task.
/// `model.mim.layer = -1` is after the last layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelSection(toml::Table);

impl ModelSection {
    /// The preset that is named, if one is.
    #[must_use]
    pub fn preset(&self) -> Option<&str> {
        self.0.get("preset").and_then(toml::Value::as_str)
    }

    /// What is changed: keys such as `vision.image_size`, with their values.
    pub fn changes(&self) -> impl Iterator<Item = (String, &toml::Value)> {
        self.0.iter().filter(|(key, _)| *key != "preset").flat_map(|(section, value)| match value {
            toml::Value::Table(keys) => {
                keys.iter().map(|(key, value)| (format!("{section}.{key}"), value)).collect::<Vec<_>>()
            }
            value => vec![(section.clone(), value)],
        })
    }

    /// Checks names and types; whether the sizes are those of a model shows when weights and tokenizer are known.
    pub(super) fn validate(&self) -> Result<(), RunConfigError> {
        if let Some(preset) = self.0.get("preset") {
            let known = preset.as_str().is_some_and(|name| M3aeConfig::PRESETS.contains(&name));
            if !known {
                let problem =
                    format!("there is no preset {}; choose one of {}", short(preset), M3aeConfig::PRESETS.join(", "));
                return Err(RunConfigError::value("model.preset", problem));
            }
        }
        let [clip, swin] = both_encoders();
        for (section, value) in self.0.iter().filter(|(key, _)| *key != "preset") {
            check_section(section, value, &clip)?;
        }
        self.changes().try_for_each(|(key, value)| check_key(&key, value, [&clip, &swin]))
    }
}

/// The keys of a model with a CLIP encoder, and of one with Swin.
fn both_encoders() -> [Fields; 2] {
    let swin = M3aeConfig::preset("swin-base-224").unwrap_or_else(M3aeConfig::base);
    [Fields::of(&M3aeConfig::base()), Fields::of(&swin)]
}

fn check_section(section: &str, value: &toml::Value, fields: &Fields) -> Result<(), RunConfigError> {
    let wrong = |problem: String| Err(RunConfigError::value(format!("model.{section}"), problem));
    if let Some((_, now)) = FORMER.iter().find(|(former, _)| *former == section && !value.is_table()) {
        let now = now.iter().map(|key| format!("model.{key}")).collect::<Vec<_>>().join(" and ");
        return wrong(format!("has moved: it is {now} now, as in a model's config.json"));
    }
    if section == HEADS {
        return wrong("is no key of a recipe: the heads follow from task.kind and the data".into());
    }
    let prefix = format!("{section}.");
    match (fields.get(section).is_some(), fields.iter().any(|(key, _)| key.starts_with(&prefix)), value.is_table()) {
        (true, _, false) | (_, true, true) => Ok(()),
        (true, ..) => wrong("is a value, not a section".into()),
        (_, true, _) => wrong(format!("is a section, [model.{section}], not a value")),
        _ => {
            let known = fields.iter().map(|(key, _)| key.split('.').next().unwrap_or(key));
            wrong(unknown(section, known.chain(["preset"])))
        }
    }
}

fn check_key(key: &str, value: &toml::Value, encoders: [&Fields; 2]) -> Result<(), RunConfigError> {
    let wrong = |problem: String| Err(RunConfigError::value(format!("model.{key}"), problem));
    if key == ENCODER {
        return match value.as_str() {
            Some("clip" | "swin") => Ok(()),
            _ => wrong(format!("there is no encoder {}; choose clip or swin", short(value))),
        };
    }
    let Some(mut fields) = encoders.into_iter().find(|fields| fields.get(key).is_some()).cloned() else {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let known = encoders.into_iter().flat_map(Fields::iter).filter_map(|(key, _)| key.split_once('.'));
        return wrong(unknown(name, known.filter(|(of, _)| *of == section).map(|(_, name)| name)));
    };
    match json(key, value).and_then(|value| fields.set(key, value)) {
        Ok(()) => Ok(()),
        Err(problem) => wrong(shorten(problem)),
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: BTreeSet<&str> = known.collect();
    let list = known.iter().copied().collect::<Vec<_>>().join(", ");
    match most_similar(name, known) {
        Some(similar) => format!("unknown key; did you mean `{similar}`?"),
        None => format!("unknown key; there are {list}"),
    }
}

/// A value for a message.
fn short(value: &toml::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
