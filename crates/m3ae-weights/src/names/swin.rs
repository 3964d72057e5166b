//! timm's names of Swin's tensors, and ours (docs/spec.md, section 1.2).
//!
//! Ours are those of timm before 2023 and of Microsoft's release (and so the reference's, under `vision_encoder.`).
//! Newer timm differs in one thing: patch merging moved from the end of a stage to the start of the next, so that what
//! was `layers.0.downsample` became `layers.1.downsample`. A single name cannot tell which is meant; the whole list
//! can.

/// The parameters of the encoder, `*` standing for an index.
const PARAMETERS: [&str; 22] = [
    "patch_embed.proj.weight",
    "patch_embed.proj.bias",
    "patch_embed.norm.weight",
    "patch_embed.norm.bias",
    "layers.*.blocks.*.norm1.weight",
    "layers.*.blocks.*.norm1.bias",
    "layers.*.blocks.*.attn.relative_position_bias_table",
    "layers.*.blocks.*.attn.qkv.weight",
    "layers.*.blocks.*.attn.qkv.bias",
    "layers.*.blocks.*.attn.proj.weight",
    "layers.*.blocks.*.attn.proj.bias",
    "layers.*.blocks.*.norm2.weight",
    "layers.*.blocks.*.norm2.bias",
    "layers.*.blocks.*.mlp.fc1.weight",
    "layers.*.blocks.*.mlp.fc1.bias",
    "layers.*.blocks.*.mlp.fc2.weight",
    "layers.*.blocks.*.mlp.fc2.bias",
    MERGING[0],
    MERGING[1],
    MERGING[2],
    "norm.weight",
    "norm.bias",
];

/// The one kind of name in which timm's releases differ.
const MERGING: [&str; 3] =
    ["layers.*.downsample.norm.weight", "layers.*.downsample.norm.bias", "layers.*.downsample.reduction.weight"];

/// Tensors beside the encoder's parameters: `(pattern, why they may be ignored)`.
const IGNORABLE: [(&str, &str); 6] = [
    ("layers.*.blocks.*.attn.relative_position_index", "a constant that follows from the window's side"),
    ("layers.*.blocks.*.attn_mask", "a constant that follows from the grid and the window's side"),
    ("head.weight", "ImageNet's classifier: M3AE reads the tokens before it"),
    ("head.bias", "ImageNet's classifier: M3AE reads the tokens before it"),
    ("head.fc.weight", "ImageNet's classifier under newer timm's name"),
    ("head.fc.bias", "ImageNet's classifier under newer timm's name"),
];

/// Where a file keeps patch merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merging {
    /// `layers.0` to `layers.2` end with it: timm before 2023, Microsoft's release, the reference, our own tree.
    EndsStage,
    /// `layers.1` to `layers.3` start with it: timm since 2023.
    StartsStage,
}

impl Merging {
    /// Which form a file has, from all its tensors' names: the first stage has no merging to start with.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        if names.into_iter().any(|name| name.starts_with("layers.0.downsample.")) {
            Self::EndsStage
        } else {
            Self::StartsStage
        }
    }
}

/// The path in our encoder (layer norms as `weight`/`bias`) of timm's parameter `name`; `None` if it is no parameter of
/// a Swin encoder: then it is [`ignorable`] or does not belong there.
pub(crate) fn from_timm(name: &str, merging: Merging) -> Option<String> {
    PARAMETERS.iter().find(|pattern| matches(pattern, name))?;
    match merging {
        Merging::EndsStage => Some(name.to_owned()),
        Merging::StartsStage => move_merging(name, |stage| stage.checked_sub(1)),
    }
}

/// Why timm's tensor `name` may be left out, or `None` where it may not.
pub(crate) fn ignorable(name: &str) -> Option<&'static str> {
    IGNORABLE.iter().find(|(pattern, _)| matches(pattern, name)).map(|&(_, reason)| reason)
}

/// Renumbers the stage of a merging's parameter; other names stay.
fn move_merging(name: &str, to: impl Fn(usize) -> Option<usize>) -> Option<String> {
    if !MERGING.iter().any(|pattern| matches(pattern, name)) {
        return Some(name.to_owned());
    }
    let (stage, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    Some(format!("layers.{}.{rest}", to(stage.parse().ok()?)?))
}

/// Whether `name` is `pattern` with each `*` an index.
fn matches(pattern: &str, name: &str) -> bool {
    let is_index = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.split('.');
    pattern
        .split('.')
        .all(|expected| parts.next().is_some_and(|part| part == expected || expected == "*" && is_index(part)))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use Merging::{EndsStage, StartsStage};

    use super::*;

    #[test]
    fn both_forms_give_our_paths() {
        for (ours, old, new) in [
            ("patch_embed.proj.weight", "patch_embed.proj.weight", "patch_embed.proj.weight"),
            ("layers.0.downsample.norm.bias", "layers.0.downsample.norm.bias", "layers.1.downsample.norm.bias"),
            (
                "layers.2.downsample.reduction.weight",
                "layers.2.downsample.reduction.weight",
                "layers.3.downsample.reduction.weight",
            ),
            ("layers.2.blocks.17.mlp.fc1.bias", "layers.2.blocks.17.mlp.fc1.bias", "layers.2.blocks.17.mlp.fc1.bias"),
            ("norm.weight", "norm.weight", "norm.weight"),
        ] {
            for (merging, theirs) in [(EndsStage, old), (StartsStage, new)] {
                assert_eq!(from_timm(theirs, merging).as_deref(), Some(ours));
            }
        }
    }

    #[test]
    fn the_place_of_merging_shows_in_the_whole_list_only() {
        assert_eq!(Merging::of(["layers.0.downsample.norm.bias", "layers.1.downsample.norm.bias"]), EndsStage);
        assert_eq!(Merging::of(["layers.1.downsample.norm.bias", "layers.3.downsample.norm.bias"]), StartsStage);
        // No stage comes before the first.
        assert_eq!(from_timm("layers.0.downsample.norm.bias", StartsStage), None);
    }

    #[test]
    fn constants_and_the_classifier_are_ignorable_and_nothing_else_is() {
        for name in [
            "layers.0.blocks.1.attn_mask",
            "layers.3.blocks.0.attn.relative_position_index",
            "head.weight",
            "head.bias",
            "head.fc.weight",
            "head.fc.bias",
        ] {
            assert!(ignorable(name).is_some(), "{name}");
            assert_eq!(from_timm(name, EndsStage), None, "{name}");
        }
        for name in
            ["absolute_pos_embed", "layers.x.blocks.0.norm1.weight", "layers..blocks.0.attn_mask", "norm", "", "head"]
        {
            assert_eq!(ignorable(name), None, "{name}");
            assert_eq!(from_timm(name, EndsStage), None, "{name}");
        }
        assert_eq!(ignorable("layers.0.blocks.0.attn.qkv.weight"), None);
        // An index that no machine word holds is not a stage.
        assert_eq!(from_timm("layers.99999999999999999999999.downsample.norm.bias", StartsStage), None);
    }
}
