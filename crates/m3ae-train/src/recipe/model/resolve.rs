//! From a preset, weights, changes and a tokenizer to one configuration.

use m3ae_model::{HeadsConfig, M3aeConfig, TextConfig, TextFamily, VisionConfig};
use m3ae_text::{Family, Tokenizer};
use m3ae_weights::{TextSizes, VisionSizes, find_config, text_sizes, vision_sizes};
use serde_json::Value;

use super::fields::{ENCODER, Fields, json};
use crate::error::TrainError;
use crate::recipe::initial::{InitialWeights, Named};
use crate::recipe::{RunConfig, RunConfigError};

/// What a model's weights do not fix: a checkpoint is loaded whatever the recipe says here, with its tables resized.
const FREE: [&str; 7] = [
    "vision.image_size",
    "vision.window",
    "text.dropout",
    "fusion.dropout",
    "mim.layer",
    "mim.norm_pix_loss",
    "initializer_range",
];

/// Where sizes come from beside the recipe.
pub(crate) enum Sizes<'a> {
    /// A run begins, from these weights.
    Weights(&'a InitialWeights),
    /// A run goes on: its own configuration.
    Resumed(&'a M3aeConfig),
}

/// Sizes that weights have.
struct Known {
    /// `init.text = "minilm" (minilm/model.safetensors)`
    source: String,
    values: Vec<(String, Value)>,
}

/// The model's configuration, for a tokenizer and a task's heads. Masked image modelling has no head where the encoder
/// is Swin.
///
/// # Errors
/// Weights that cannot be read; a key, a preset or a tokenizer that contradicts them; sizes that no model can have.
pub(crate) fn model_config(
    recipe: &RunConfig,
    tokenizer: &Tokenizer,
    heads: HeadsConfig,
    sizes: &Sizes<'_>,
) -> Result<M3aeConfig, TrainError> {
    let (mut fields, known) = match sizes {
        Sizes::Resumed(config) => {
            (Fields::of(config), vec![whole_model("the checkpoint that the run goes on from".to_owned(), config)])
        }
        Sizes::Weights(weights) => begin(recipe, tokenizer, weights)?,
    };
    apply(recipe, &mut fields)?;
    let config = fields.config(&heads).map_err(|error| RunConfigError::value("model", error.to_string()))?;
    check_tokenizer(recipe, tokenizer, &config, &known)?;
    known.iter().try_for_each(|known_here| check_known(recipe, &fields, known_here, &known))?;
    finish(recipe, config, heads)
}

/// The layers below the recipe's changes, and what weights tell.
fn begin(
    recipe: &RunConfig,
    tokenizer: &Tokenizer,
    weights: &InitialWeights,
) -> Result<(Fields, Vec<Known>), TrainError> {
    let mut known = Vec::new();
    let whole = weights.model.as_ref().map(|named| Ok::<_, TrainError>((named, find_config(&named.checkpoint)?)));
    let whole = whole.transpose()?;
    if let Some((named, config)) = &whole {
        known.push(whole_model(source(named), config));
    }
    let mut fields = match (recipe.model.preset(), whole) {
        (None, Some((_, config))) => Fields::of(&config),
        (preset, _) => {
            let preset = preset.unwrap_or("base");
            let mut config = M3aeConfig::preset(preset)
                .ok_or_else(|| RunConfigError::value("model.preset", format!("there is no preset `{preset}`")))?;
            adapt(&mut config.text, tokenizer);
            Fields::of(&config)
        }
    };
    if let Some(named) = &weights.vision {
        let vision = match vision_sizes(&named.checkpoint)? {
            VisionSizes::Clip(clip) => VisionConfig::from(clip),
            VisionSizes::Swin(swin) => VisionConfig::from(swin),
        };
        let found = Fields::of(&M3aeConfig::base().with_vision(vision));
        let values: Vec<_> = fixed(&found).filter(|(key, _)| key.starts_with("vision.")).collect();
        // A preset that is named for its encoder is not overruled, but contradicted.
        if !recipe.model.preset().is_some_and(|preset| preset.starts_with("swin")) {
            if fields.get(ENCODER) == found.get(ENCODER) {
                overlay(&mut fields, &values)?;
            } else {
                fields.set_vision(&found);
            }
        }
        known.push(Known { source: source(named), values });
    }
    if let Some(named) = &weights.text {
        let values = text_values(named)?;
        overlay(&mut fields, &values)?;
        known.push(Known { source: source(named), values });
    }
    Ok((fields, known))
}

fn overlay(fields: &mut Fields, values: &[(String, Value)]) -> Result<(), RunConfigError> {
    values.iter().try_for_each(|(key, value)| {
        fields.set(key, value.clone()).map_err(|problem| RunConfigError::value(format!("model.{key}"), problem))
    })
}

fn source(named: &Named) -> String {
    format!("{} = {:?} ({})", named.key, named.name, named.checkpoint.path().display())
}

fn fixed(fields: &Fields) -> impl Iterator<Item = (String, Value)> {
    let fixed = fields.iter().filter(|(key, _)| !FREE.contains(key));
    fixed.map(|(key, value)| (key.to_owned(), value.clone()))
}

fn whole_model(source: String, config: &M3aeConfig) -> Known {
    let fields = Fields::of(config);
    // Without its head, the checkpoint has no weights of masked image modelling.
    let values = fixed(&fields).filter(|(key, _)| config.heads.mim || !key.starts_with("mim.")).collect();
    Known { source, values }
}

/// What a text encoder's file tells: shapes, and the rest where there are settings.
fn text_values(named: &Named) -> Result<Vec<(String, Value)>, TrainError> {
    let TextSizes { shapes, settings } = text_sizes(&named.checkpoint)?;
    let mut text = TextConfig::new()
        .with_vocab_size(shapes.vocab_size)
        .with_width(shapes.width)
        .with_layers(shapes.layers)
        .with_intermediate(shapes.intermediate)
        .with_max_positions(shapes.max_positions)
        .with_type_vocab(shapes.type_vocab);
    let mut told = vec!["vocab_size", "width", "layers", "intermediate", "max_positions", "type_vocab"];
    if let Some(settings) = settings {
        text.family = settings.family().ok_or_else(|| {
            let problem =
                format!("{}: it is of type `{}`; roberta and bert are supported", named.name, settings.model_type);
            RunConfigError::value(named.key, problem)
        })?;
        text.heads = settings.num_attention_heads;
        text.epsilon = settings.layer_norm_eps;
        text.pad_id = settings.pad_token_id;
        told.extend(["family", "heads", "epsilon", "pad_id"]);
    }
    let fields = Fields::of(&M3aeConfig { text, ..M3aeConfig::base() });
    let told = told.into_iter().map(|name| format!("text.{name}"));
    Ok(told.filter_map(|key| fields.get(&key).cloned().map(|value| (key, value))).collect())
}

/// A new text encoder is made for its tokenizer.
fn adapt(text: &mut TextConfig, tokenizer: &Tokenizer) {
    text.vocab_size = tokenizer.vocab_size();
    text.pad_id = tokenizer.specials().pad as usize;
    match tokenizer.family() {
        Family::Roberta => text.family = TextFamily::Roberta,
        Family::Bert => {
            text.family = TextFamily::Bert;
            // BERT's own settings where they differ from RoBERTa's.
            (text.epsilon, text.type_vocab) = (1e-12, 2);
            text.max_positions = text.max_positions.min(512);
        }
    }
}

/// Puts the recipe's changes on top.
fn apply(recipe: &RunConfig, fields: &mut Fields) -> Result<(), RunConfigError> {
    let section = &recipe.model;
    let given = |key: &str| section.changes().find(|(found, _)| found == key).map(|(_, value)| value);
    if let Some(encoder) = given(ENCODER).and_then(toml::Value::as_str)
        && fields.get(ENCODER).and_then(Value::as_str) != Some(encoder)
    {
        let preset = if encoder == "swin" { "swin-base-224" } else { "base" };
        fields.set_vision(&Fields::of(&M3aeConfig::preset(preset).unwrap_or_else(M3aeConfig::base)));
    }
    for (key, value) in section.changes() {
        let wrong = |problem: String| RunConfigError::value(format!("model.{key}"), problem);
        if fields.get(&key).is_none() {
            let encoder = fields.get(ENCODER).and_then(Value::as_str).unwrap_or_default();
            return Err(wrong(format!(
                "is a key of the other vision encoder; this model's is {encoder} (model.vision.encoder, the preset or the \
                 weights choose it)"
            )));
        }
        json(&key, value).and_then(|value| fields.set(&key, value)).map_err(wrong)?;
    }
    // Swin's windows follow the image size, as where the reference builds it for one.
    if let (Some(_), None) = (given("vision.image_size"), given("vision.window"))
        && let Ok(M3aeConfig { vision: VisionConfig::Swin(swin), .. }) = fields.config(&HeadsConfig::new())
    {
        let image_size = swin.image_size;
        fields.set_vision(&Fields::of(&M3aeConfig::base().with_vision(swin.at(image_size))));
    }
    Ok(())
}

/// What weights know must be what the configuration says.
fn check_known(recipe: &RunConfig, fields: &Fields, known: &Known, all: &[Known]) -> Result<(), RunConfigError> {
    let different = known.values.iter().find(|(key, value)| fields.get(key) != Some(value));
    let Some((key, value)) = different else { return Ok(()) };
    let Some(found) = fields.get(key) else {
        let problem = format!("{} has {key} = {value}, which the other vision encoder does not have", known.source);
        return Err(RunConfigError::value("model.vision.encoder", problem));
    };
    let source = &known.source;
    if recipe.model.changes().any(|(changed, _)| changed == *key) {
        let problem =
            format!("{found} contradicts {source}, which has {value}: leave the key out, or name other weights");
        return Err(RunConfigError::value(format!("model.{key}"), problem));
    }
    let other = all.iter().find(|other| other.values.iter().any(|(of, is)| of == key && is == found));
    if let Some(other) = other {
        let problem = format!("{} has {key} = {found}, {source} has {value}: name weights of one model", other.source);
        return Err(RunConfigError::value("init", problem));
    }
    let preset = recipe.model.preset().unwrap_or("base");
    let problem = format!(
        "`{preset}` has {key} = {found}, {source} has {value}: leave the preset out, the weights tell their sizes"
    );
    Err(RunConfigError::value("model.preset", problem))
}

/// Vocabulary and padding of the weights, or of the recipe's keys, must be the tokenizer's.
fn check_tokenizer(
    recipe: &RunConfig,
    tokenizer: &Tokenizer,
    config: &M3aeConfig,
    known: &[Known],
) -> Result<(), RunConfigError> {
    for (key, what, ours, theirs) in [
        ("text.vocab_size", "tokens", tokenizer.vocab_size(), config.text.vocab_size),
        ("text.pad_id", "as the padding's id", tokenizer.specials().pad as usize, config.text.pad_id),
    ] {
        let mut sources: Vec<(String, Value)> = Vec::new();
        if recipe.model.changes().any(|(changed, _)| changed == key) {
            sources.push((format!("model.{key}"), theirs.into()));
        }
        for known in known {
            let values = known.values.iter().filter(|(of, _)| of == key);
            sources.extend(values.map(|(_, value)| (known.source.clone(), value.clone())));
        }
        if let Some((source, theirs)) = sources.into_iter().find(|(_, theirs)| *theirs != ours) {
            let problem =
                format!("the tokenizer has {ours} {what}, {source} {theirs}: name the tokenizer of the weights");
            return Err(RunConfigError::value("text.tokenizer", problem));
        }
    }
    Ok(())
}

fn finish(recipe: &RunConfig, mut config: M3aeConfig, heads: HeadsConfig) -> Result<M3aeConfig, TrainError> {
    let is_swin = config.vision.swin().is_some();
    if is_swin && recipe.task.is_pretraining() && recipe.objectives.mim > 0.0 {
        let problem = "masked image modelling is not defined for Swin, which cannot leave patches out: set objectives.mim = 0, \
                       or take a CLIP encoder";
        return Err(RunConfigError::value("objectives.mim", problem).into());
    }
    config.heads.mim &= !is_swin;
    let layer_given = recipe.model.changes().any(|(key, _)| key == "mim.layer");
    if !heads.mim && !layer_given {
        config.mim.layer = config.mim.layer.filter(|&layer| layer <= config.fusion.layers);
    }
    if recipe.text.max_length > config.text.max_length() {
        let (length, most) = (recipe.text.max_length, config.text.max_length());
        let problem = format!("{length} is more than the position table allows, {most} (model.text.max_positions)");
        return Err(RunConfigError::value("text.max_length", problem).into());
    }
    config.validate()?;
    Ok(config)
}
