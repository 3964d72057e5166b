//! CLIP's names of its vision transformer: OpenAI's, which are ours too, and Hugging Face's (docs/spec.md, section
//! 1.1).

/// Start of the vision blocks' names, OpenAI's and ours.
const BLOCKS: &str = "visual.transformer.resblocks.";
/// Start of the vision blocks' names, Hugging Face's.
const HF_BLOCKS: &str = "vision_model.encoder.layers.";

/// Parameters outside the blocks: `(Hugging Face's, OpenAI's and ours, why they differ)`.
const OUTSIDE: [(&str, &str, &str); 7] = [
    ("vision_model.embeddings.class_embedding", "visual.class_embedding", "the three inputs of block 0 form a module"),
    (
        "vision_model.embeddings.position_embedding.weight",
        "visual.positional_embedding",
        "an embedding layer, no tensor",
    ),
    (
        "vision_model.embeddings.patch_embedding.weight",
        "visual.conv1.weight",
        "named for its purpose, not for its kind",
    ),
    ("vision_model.pre_layrnorm.weight", "visual.ln_pre.weight", "spelt without the second e in every release"),
    ("vision_model.pre_layrnorm.bias", "visual.ln_pre.bias", "as above"),
    ("vision_model.post_layernorm.weight", "visual.ln_post.weight", "layer norms are written out"),
    ("vision_model.post_layernorm.bias", "visual.ln_post.bias", "as above"),
];

/// Modules of a block, each with a weight and a bias: `(Hugging Face's, OpenAI's and ours, why they differ)`.
const INSIDE: [(&str, &str, &str); 5] = [
    ("self_attn.out_proj", "attn.out_proj", "told apart from the cross-attention of other models"),
    ("layer_norm1", "ln_1", "layer norms are written out"),
    ("layer_norm2", "ln_2", "as above"),
    ("mlp.fc1", "mlp.c_fc", "a fully connected layer, not GPT's 1×1 convolution"),
    ("mlp.fc2", "mlp.c_proj", "as above"),
];

/// The three modules that Hugging Face has for OpenAI's packed `attn.in_proj_weight` and `attn.in_proj_bias`, in its
/// order.
const PACKED: [&str; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];

pub(crate) const LAST_BLOCK: &str = "CLIP's last vision block, which M3AE does not use";
const PROJECTION: &str = "CLIP's projection into the space it shares with text, which M3AE does not use";
pub(crate) const TEXT: &str = "CLIP's text tower, which M3AE does not use";
const CONSTANT: &str = "a constant that CLIP keeps beside its weights";

/// Tensors of CLIP that M3AE does not use: `(prefix, why)`.
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

/// Names of the convolution that makes patches, and of the position table: OpenAI's and Hugging Face's.
pub(crate) const PATCHES: [&str; 2] = ["visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"];
pub(crate) const POSITIONS: [&str; 2] =
    ["visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"];

/// Where a tensor goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A parameter of our vision encoder.
    Whole(String),
    /// One part of a packed projection: the parameter, and 0 for query, 1 for key, 2 for value.
    Part(String, usize),
    /// Nowhere, and why.
    Unused(&'static str),
    /// It is no tensor of CLIP.
    Unknown,
}

/// Where the tensor `name` of a file with `stored_blocks` vision blocks goes.
pub(crate) fn place(name: &str, stored_blocks: usize) -> Place {
    if let Some(&(_, reason)) = UNUSED.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Place::Unused(reason);
    }
    match in_block(name) {
        Some((index, ..)) if index.checked_add(1) == Some(stored_blocks) => Place::Unused(LAST_BLOCK),
        Some((index, rest, true)) => hugging_face_block(index, rest),
        Some(_) => Place::Whole(name.to_owned()),
        None if name.starts_with("visual.") => Place::Whole(name.to_owned()),
        None => match OUTSIDE.iter().find(|(theirs, ..)| *theirs == name) {
            Some((_, ours, _)) => Place::Whole((*ours).to_owned()),
            None => Place::Unknown,
        },
    }
}

/// A vision block's number, the name after it, and whether it is Hugging Face's.
fn in_block(name: &str) -> Option<(usize, &str, bool)> {
    [BLOCKS, HF_BLOCKS].into_iter().find_map(|start| {
        let (index, rest) = name.strip_prefix(start)?.split_once('.')?;
        Some((index.parse().ok()?, rest, start == HF_BLOCKS))
    })
}

fn hugging_face_block(index: usize, rest: &str) -> Place {
    let Some((module, end @ ("weight" | "bias"))) = rest.rsplit_once('.') else { return Place::Unknown };
    if let Some(part) = PACKED.iter().position(|&packed| packed == module) {
        return Place::Part(format!("{BLOCKS}{index}.attn.in_proj_{end}"), part);
    }
    match INSIDE.iter().find(|(theirs, ..)| *theirs == module) {
        Some((_, ours, _)) => Place::Whole(format!("{BLOCKS}{index}.{ours}.{end}")),
        None => Place::Unknown,
    }
}

/// The number of the vision block that a tensor belongs to.
pub(crate) fn block(name: &str) -> Option<usize> {
    in_block(name).map(|(index, ..)| index)
}

/// Whether a tensor belongs to the vision transformer, its last block included.
pub(crate) fn is_vision(name: &str) -> bool {
    (name.starts_with("visual.") || name.starts_with("vision_model.")) && !name.starts_with("visual.proj")
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
