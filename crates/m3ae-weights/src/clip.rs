//! CLIP's vision transformer into ours, from OpenAI's names or Hugging Face's (spec 1.1).
//!
//! | OpenAI and ours | Hugging Face | note |
//! |---|---|---|
//! | `visual.class_embedding` | `vision_model.embeddings.class_embedding` | |
//! | `visual.positional_embedding` | `….embeddings.position_embedding.weight` | resized to the run's image size |
//! | `visual.conv1.weight` | `….embeddings.patch_embedding.weight` | |
//! | `visual.ln_pre`, `ln_post` | `….pre_layrnorm` (spelt so), `post_layernorm` | |
//! | `….resblocks.N.attn.in_proj_*` | `….encoder.layers.N.self_attn.{q,k,v}_proj.*` | three tensors, stacked |
//! | `….attn.out_proj`, `ln_1`, `ln_2` | `self_attn.out_proj`, `layer_norm1`, `layer_norm2` | |
//! | `….mlp.c_fc`, `c_proj` | `mlp.fc1`, `mlp.fc2` | |
//!
//! M3AE uses all stored blocks but the last.

use std::collections::{BTreeMap, BTreeSet};

use m3ae_model::{ClipEncoder, ClipVisionConfig, ConfigError, VisionConfig, VisionEncoder};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::load::LoadReport;
use crate::plan::{Plan, Value};
use crate::positions;

/// Start of the vision blocks' names, OpenAI's and ours.
const BLOCKS: &str = "visual.transformer.resblocks.";
/// Start of the vision blocks' names, Hugging Face's.
const HF_BLOCKS: &str = "vision_model.encoder.layers.";

const NO_CLIP: &str = "it holds no CLIP vision transformer";
const LAST_BLOCK: &str = "CLIP's last vision block, which M3AE does not use";
const PROJECTION: &str = "CLIP's projection into the space it shares with text, which M3AE does not use";
const TEXT: &str = "CLIP's text tower, which M3AE does not use";
const CONSTANT: &str = "a constant that CLIP keeps beside its weights";

/// What M3AE does not use of CLIP, and why: `(prefix, reason)`.
const UNUSED: [(&str, &str); 16] = [
    ("visual.proj", PROJECTION),
    ("visual_projection.", PROJECTION),
    ("text_projection", PROJECTION),
    ("logit_scale", "CLIP's contrastive temperature, which M3AE does not use"),
    ("logit_bias", "CLIP's contrastive offset, which M3AE does not use"),
    ("token_embedding.", TEXT),
    ("positional_embedding", TEXT),
    ("ln_final.", TEXT),
    ("transformer.resblocks.", TEXT),
    ("text_model.", TEXT),
    ("input_resolution", CONSTANT),
    ("context_length", CONSTANT),
    ("vocab_size", CONSTANT),
    ("vision_model.embeddings.position_ids", CONSTANT),
    ("attn_mask", CONSTANT),
    ("visual.attnpool.", "a ResNet's pooling: this CLIP has no vision transformer"),
];

/// Where a tensor goes.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The parameter of our vision encoder.
    Whole(String),
    /// One of three parts of a packed projection: the parameter, and query, key or value.
    Part(String, usize),
    Unused(&'static str),
    Unknown,
}

fn place(name: &str, stored_blocks: usize) -> Place {
    if let Some(&(_, reason)) = UNUSED.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Place::Unused(reason);
    }
    let block = [BLOCKS, HF_BLOCKS].into_iter().find_map(|start| {
        let (index, rest) = name.strip_prefix(start)?.split_once('.')?;
        Some((index.parse::<usize>().ok()?, rest, start == HF_BLOCKS))
    });
    match block {
        Some((index, ..)) if index.checked_add(1) == Some(stored_blocks) => Place::Unused(LAST_BLOCK),
        Some((index, rest, true)) => hf_block(index, rest),
        Some(_) => Place::Whole(name.to_owned()),
        None if name.starts_with("visual.") => Place::Whole(name.to_owned()),
        None => hf_outside(name),
    }
}

fn hf_outside(name: &str) -> Place {
    let ours = match name {
        "vision_model.embeddings.class_embedding" => "class_embedding",
        "vision_model.embeddings.position_embedding.weight" => "positional_embedding",
        "vision_model.embeddings.patch_embedding.weight" => "conv1.weight",
        "vision_model.pre_layrnorm.weight" => "ln_pre.weight",
        "vision_model.pre_layrnorm.bias" => "ln_pre.bias",
        "vision_model.post_layernorm.weight" => "ln_post.weight",
        "vision_model.post_layernorm.bias" => "ln_post.bias",
        _ => return Place::Unknown,
    };
    Place::Whole(format!("visual.{ours}"))
}

fn hf_block(index: usize, rest: &str) -> Place {
    let Some((module, end @ ("weight" | "bias"))) = rest.rsplit_once('.') else { return Place::Unknown };
    let part = |part: usize| Place::Part(format!("{BLOCKS}{index}.attn.in_proj_{end}"), part);
    let ours = match module {
        "self_attn.q_proj" => return part(0),
        "self_attn.k_proj" => return part(1),
        "self_attn.v_proj" => return part(2),
        "self_attn.out_proj" => "attn.out_proj",
        "layer_norm1" => "ln_1",
        "layer_norm2" => "ln_2",
        "mlp.fc1" => "mlp.c_fc",
        "mlp.fc2" => "mlp.c_proj",
        _ => return Place::Unknown,
    };
    Place::Whole(format!("{BLOCKS}{index}.{ours}.{end}"))
}

/// Number of different vision blocks stored, by OpenAI's or Hugging Face's names.
fn stored_blocks(checkpoint: &Checkpoint) -> usize {
    let index = |name: &str| {
        [BLOCKS, HF_BLOCKS].into_iter().find_map(|start| name.strip_prefix(start)?.split('.').next()?.parse().ok())
    };
    checkpoint.names().filter_map(index).collect::<BTreeSet<usize>>().len()
}

/// Whether a file holds a CLIP vision transformer.
pub(crate) fn is_clip(checkpoint: &Checkpoint) -> bool {
    stored_blocks(checkpoint) > 0
}

/// Whether a CLIP tensor belongs to the vision transformer, its last block included.
pub(crate) fn is_vision(name: &str) -> bool {
    (name.starts_with("visual.") || name.starts_with("vision_model.")) && !name.starts_with("visual.proj")
}

/// Loads CLIP's vision transformer into M3AE's vision encoder: all stored blocks but the last, with the position table
/// resized to the encoder's image size. Stored types are converted to float32. Reads every form in which CLIP is published:
/// OpenAI's TorchScript archives, pickled state dictionaries, and Hugging Face's safetensors.
///
/// # Errors
/// The model's vision encoder is Swin. The file holds no CLIP vision transformer, or another number of blocks, or any tensor
/// is missing, unexpected or of another shape: all of them, named, and the encoder is unchanged. Or a tensor cannot be read.
pub fn load_clip(encoder: &mut VisionEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    match encoder {
        VisionEncoder::Clip(encoder) => load_blocks(encoder, checkpoint),
        VisionEncoder::Swin(_) => Err(mismatch(checkpoint, "the model's vision encoder is Swin, the file's is CLIP's")),
    }
}

fn mismatch(checkpoint: &Checkpoint, problem: &str) -> WeightsError {
    WeightsError::Mismatch { path: checkpoint.path.clone(), problems: vec![format!("  {problem}")] }
}

fn load_blocks(encoder: &mut ClipEncoder, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    let (stored, used) = (stored_blocks(checkpoint), encoder.visual.transformer.resblocks.len());
    if stored == 0 {
        return Err(mismatch(checkpoint, NO_CLIP));
    }
    if stored != used + 1 {
        let problem =
            format!("CLIP stores {stored} vision blocks, of which all but the last are used; the model has {used}");
        return Err(mismatch(checkpoint, &problem));
    }
    let mut plan = Plan::new(encoder, &checkpoint.path);
    let mut packed = BTreeMap::<String, [Option<&str>; 3]>::new();
    for (name, tensor) in &checkpoint.tensors {
        match place(name, stored) {
            Place::Whole(parameter) => plan.assign(&parameter, name, Value::Whole(tensor.clone())),
            Place::Part(parameter, part) => packed.entry(parameter).or_default()[part] = Some(name),
            Place::Unused(reason) => plan.ignore(name, reason),
            Place::Unknown => plan.problem(format!("unexpected: {name}")),
        }
    }
    for (parameter, parts) in packed {
        let tensors = parts.map(|name| Some((name?, checkpoint.tensors.get(name?)?.clone())));
        let [Some((query, q)), Some((_, k)), Some((_, v))] = tensors else {
            plan.problem(format!("{parameter} needs q_proj, k_proj and v_proj, of which one is missing"));
            continue;
        };
        plan.assign(&parameter, query, Value::Stacked(vec![q, k, v]));
    }
    plan.apply(encoder)
}

/// The vision encoder that a CLIP file's weights make at images of `image_size` pixels: sizes from its tensors' shapes, all
/// stored blocks but the last.
///
/// # Errors
/// The file holds no CLIP vision transformer, or no encoder can be built for that image size.
pub fn infer_clip_config(checkpoint: &Checkpoint, image_size: usize) -> Result<ClipVisionConfig, WeightsError> {
    let missing = || mismatch(checkpoint, NO_CLIP);
    let names = ["visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"];
    let conv = names.iter().find_map(|name| checkpoint.shape(name)).ok_or_else(missing)?;
    let (&[width, _, patch, _], stored) = (conv.as_slice(), stored_blocks(checkpoint)) else { return Err(missing()) };
    if stored < 2 {
        return Err(missing());
    }
    let vision = ClipVisionConfig::new()
        .with_image_size(image_size)
        .with_patch_size(patch)
        .with_width(width)
        .with_layers(stored - 1);
    checked(&vision)?;
    Ok(vision)
}

/// The image size that a CLIP file's own position table is made for.
pub(crate) fn image_size(checkpoint: &Checkpoint) -> Option<usize> {
    let names = ["visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"];
    let rows = *names.iter().find_map(|name| checkpoint.shape(name))?.first()?;
    let conv = ["visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"];
    let patch = *conv.iter().find_map(|name| checkpoint.shape(name))?.get(2)?;
    positions::grid(rows)?.checked_mul(patch)
}

fn checked(vision: &ClipVisionConfig) -> Result<(), ConfigError> {
    VisionConfig::from(vision.clone()).validate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_vocabularies_name_the_same_parameters() {
        for (openai, hf) in [
            ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
            ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"),
            ("visual.transformer.resblocks.3.mlp.c_proj.weight", "vision_model.encoder.layers.3.mlp.fc2.weight"),
            ("visual.transformer.resblocks.0.ln_2.bias", "vision_model.encoder.layers.0.layer_norm2.bias"),
        ] {
            assert_eq!(place(openai, 12), Place::Whole(openai.into()));
            assert_eq!(place(hf, 12), Place::Whole(openai.into()));
        }
        assert_eq!(
            place("vision_model.encoder.layers.2.self_attn.k_proj.bias", 12),
            Place::Part("visual.transformer.resblocks.2.attn.in_proj_bias".into(), 1)
        );
    }

    #[test]
    fn only_what_m3ae_does_not_use_is_left_out() {
        assert_eq!(place("visual.transformer.resblocks.11.ln_1.bias", 12), Place::Unused(LAST_BLOCK));
        assert_eq!(place("vision_model.encoder.layers.11.mlp.fc1.bias", 12), Place::Unused(LAST_BLOCK));
        assert_eq!(place("transformer.resblocks.0.ln_1.weight", 12), Place::Unused(TEXT));
        assert_eq!(place("vision_model.head.weight", 12), Place::Unknown);
        assert_eq!(place("vision_model.encoder.layers.1.self_attn.r_proj.weight", 12), Place::Unknown);
    }
}
