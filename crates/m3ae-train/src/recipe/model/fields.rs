//! A model's configuration as a flat table of keys, such as `text.width`: what a recipe's `[model]` changes.

use std::collections::BTreeMap;

use m3ae_model::{HeadsConfig, M3aeConfig};
use serde_json::{Map, Value};

/// The recipe's key for the encoder's kind.
pub(super) const ENCODER: &str = "vision.encoder";
/// The heads follow from the task: they are not among the fields.
pub(super) const HEADS: &str = "heads";
/// `null` in JSON is after the last layer; TOML has no null, and -1 says so there, as in the reference.
const MIM_LAYER: &str = "mim.layer";

/// Every key of a configuration except its heads, with its value as `config.json` has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fields(BTreeMap<String, Value>);

impl Fields {
    pub(super) fn of(config: &M3aeConfig) -> Self {
        let mut fields = BTreeMap::new();
        // A configuration has string keys only, so that it always is a JSON object.
        if let Ok(Value::Object(sections)) = serde_json::to_value(config) {
            for (section, value) in sections {
                match value {
                    _ if section == HEADS => {}
                    Value::Object(keys) => {
                        fields.extend(keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
                    }
                    value => drop(fields.insert(section, value)),
                }
            }
        }
        Self(fields)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Replaces the value of a key that is there.
    ///
    /// # Errors
    /// The value has another type than the key's.
    pub(super) fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let former = self.0.insert(key.to_owned(), value);
        match self.config(&HeadsConfig::new()) {
            // 0 and 0.0 are the same value.
            Ok(config) => *self = Self::of(&config),
            Err(error) => {
                self.0.extend(former.map(|former| (key.to_owned(), former)));
                return Err(error.to_string());
            }
        }
        Ok(())
    }

    /// Replaces all keys of the vision encoder.
    pub(super) fn set_vision(&mut self, other: &Self) {
        let is_vision = |key: &String| key.starts_with("vision.");
        self.0.retain(|key, _| !is_vision(key));
        let vision = other.0.iter().filter(|(key, _)| is_vision(key));
        self.0.extend(vision.map(|(key, value)| (key.clone(), value.clone())));
    }

    /// The configuration with these heads; it may be one that no model can have.
    ///
    /// # Errors
    /// A value has another type than its key's.
    pub(super) fn config(&self, heads: &HeadsConfig) -> serde_json::Result<M3aeConfig> {
        let mut whole = Map::new();
        for (key, value) in &self.0 {
            match key.split_once('.') {
                None => drop(whole.insert(key.clone(), value.clone())),
                Some((section, key)) => {
                    let section = whole.entry(section).or_insert_with(|| Map::new().into());
                    section.as_object_mut().into_iter().for_each(|section| {
                        section.insert(key.to_owned(), value.clone());
                    });
                }
            }
        }
        whole.insert(HEADS.to_owned(), serde_json::to_value(heads)?);
        serde_json::from_value(Value::Object(whole))
    }
}

/// A recipe's value as JSON.
///
/// # Errors
/// A value that no key of a configuration can have.
pub(super) fn json(key: &str, value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::Integer(-1) if key == MIM_LAYER => Value::Null,
        toml::Value::Integer(value) => (*value).into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::String(value) => value.as_str().into(),
        toml::Value::Float(value) if value.is_finite() => (*value).into(),
        toml::Value::Float(value) => return Err(format!("{value} is not a finite number")),
        toml::Value::Array(values) => values.iter().map(|value| json(key, value)).collect::<Result<_, _>>()?,
        toml::Value::Table(_) => return Err("is a value, not a section".into()),
        toml::Value::Datetime(_) => return Err("is no date".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_the_same_after_the_round_trip() {
        for name in M3aeConfig::PRESETS {
            let config = M3aeConfig::preset(name).unwrap();
            let fields = Fields::of(&config);
            assert_eq!(fields.config(&config.heads).unwrap(), config, "{name}");
            assert!(fields.get("vision.image_size").is_some() && fields.get("heads.mlm").is_none());
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_and_the_former_one_stays() {
        let mut fields = Fields::of(&M3aeConfig::base());
        let before = fields.clone();
        for value in [(-1).into(), "wide".into(), Value::Null, true.into(), 1.5.into()] {
            assert!(fields.set("text.width", value).is_err());
            assert_eq!(fields, before);
        }
        fields.set("text.width", 64.into()).unwrap();
        fields.set("text.dropout", 0.into()).unwrap();
        let config = fields.config(&HeadsConfig::new()).unwrap();
        assert_eq!((config.text.width, config.text.dropout), (64, 0.0));
    }

    #[test]
    fn minus_one_is_the_state_after_the_last_layer() {
        assert_eq!(json("mim.layer", &toml::Value::Integer(-1)), Ok(Value::Null));
        assert_eq!(json("text.width", &toml::Value::Integer(-1)), Ok((-1).into()));
    }
}
