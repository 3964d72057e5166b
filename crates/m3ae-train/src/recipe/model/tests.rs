//! Promises of `[model]`.

use super::*;

fn section(text: &str) -> ModelSection {
    toml::from_str(text).unwrap()
}

fn problem(text: &str) -> String {
    section(text).validate().unwrap_err().to_string()
}

#[test]
fn every_key_of_every_preset_is_a_key_of_a_recipe() {
    for name in M3aeConfig::PRESETS {
        for (key, value) in Fields::of(&M3aeConfig::preset(name).unwrap()).iter() {
            let value = if value.is_null() { "-1".to_owned() } else { value.to_string() };
            section(&format!("{key} = {value}")).validate().unwrap();
        }
    }
}

#[test]
fn unknown_keys_get_a_suggestion() {
    for (text, expected) in [
        ("vision.image_sze = 288", "model.vision.image_sze: unknown key; did you mean `image_size`?"),
        ("text.layer = 2", "model.text.layer: unknown key; did you mean `layers`?"),
        ("visoin.width = 2", "model.visoin: unknown key; did you mean `vision`?"),
        ("prest = 'base'", "model.prest: unknown key; did you mean `preset`?"),
        ("initialiser_range = 0.1", "model.initialiser_range: unknown key; did you mean `initializer_range`?"),
        ("mim.xyz = 1", "model.mim.xyz: unknown key; there are heads, layer, layers, norm_pix_loss, width"),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn former_keys_are_named_with_their_new_places() {
    for (former, now) in FORMER {
        let message = problem(&format!("{former} = 1"));
        assert!(message.contains(&format!("model.{former}: has moved: it is model.{}", now[0])), "{message}");
        // Where they are now, there is such a key.
        let [clip, _] = both_encoders();
        assert!(now.iter().all(|key| clip.get(key).is_some()), "{former}");
    }
}

#[test]
fn the_recipe_of_an_earlier_run_is_read_with_todays_keys() {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let mut values = pairs(&[
        ("model.preset", "\"small\""),
        ("model.text_width", "64"),
        ("model.dropout", "0.0"),
        ("model.image_size", "32"),
        ("train.steps", "7"),
    ]);
    rename_former(&mut values);
    let expected = pairs(&[
        ("model.preset", "\"small\""),
        ("model.text.width", "64"),
        ("model.text.intermediate", "256"),
        ("model.text.dropout", "0.0"),
        ("model.fusion.dropout", "0.0"),
        ("model.vision.image_size", "32"),
        ("train.steps", "7"),
    ]);
    assert_eq!(values, expected);
}

#[test]
fn values_of_the_wrong_kind_name_their_key() {
    for (text, expected) in [
        ("preset = 7", "model.preset: there is no preset 7; choose one of base, small, swin-base-224"),
        ("preset = 'huge'", "model.preset: there is no preset \"huge\""),
        ("vision = 3", "model.vision: is a section, [model.vision], not a value"),
        ("initializer_range.x = 3", "model.initializer_range: is a value, not a section"),
        ("heads.mlm = true", "model.heads: is no key of a recipe: the heads follow from task.kind"),
        ("vision.encoder = 'resnet'", "model.vision.encoder: there is no encoder \"resnet\"; choose clip or swin"),
        ("text.width = -1", "model.text.width: invalid value: integer `-1`"),
        ("text.width = 'wide'", "model.text.width: invalid type: string \"wide\""),
        ("text.dropout = nan", "model.text.dropout: NaN is not a finite number"),
        ("vision.depths = [2, 2]", "model.vision.depths: invalid length 2"),
        ("vision.width.x = 1", "model.vision.width: is a value, not a section"),
    ] {
        let message = problem(text);
        assert!(message.starts_with(expected), "{message}");
    }
}
