//! The reference's names of all parameters, and the paths in our module tree.
//!
//! Our fields already carry the reference's names; only what Rust cannot spell, or what the reference spells as an
//! index into a sequence, differs. Each row replaces a piece of the path, and no row's output contains another row's
//! input, so the table reads in both directions.

use super::swin;

/// `(ours, reference's, why they differ)`.
const TABLE: [(&str, &str, &str); 10] = [
    (".attn.in_proj.weight", ".attn.in_proj_weight", "PyTorch's attention keeps the packed projection as bare tensors"),
    (".attn.in_proj.bias", ".attn.in_proj_bias", "PyTorch's attention keeps the packed projection as bare tensors"),
    (".self_.", ".self.", "`self` is a keyword"),
    (".layer_norm.", ".LayerNorm.", "field names are snake case"),
    ("vqa_head.dense.", "vqa_head.0.", "index into a sequence: linear"),
    ("vqa_head.norm.", "vqa_head.1.", "index into a sequence: layer norm (2 is the GELU)"),
    ("vqa_head.classifier.", "vqa_head.3.", "index into a sequence: linear"),
    ("cls_head.dense.", "cls_head.0.", "index into a sequence: linear"),
    ("cls_head.norm.", "cls_head.1.", "index into a sequence: layer norm (2 is the GELU)"),
    ("cls_head.classifier.", "cls_head.3.", "index into a sequence: linear"),
];

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|&(ours, theirs, _)| (ours, theirs))
}

/// The reference's name of the parameter at `path`, a dotted path of our module tree.
/// Layer norms may be spelt `gamma`/`beta` (Burn) or `weight`/`bias` (PyTorch).
#[must_use]
pub fn to_reference(path: &str) -> String {
    let name = rows().fold(path.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
    match name.rsplit_once('.') {
        Some((module, "gamma")) => format!("{module}.weight"),
        Some((module, "beta")) => format!("{module}.bias"),
        _ => name,
    }
}

/// The path in our module tree (layer norms as `weight`/`bias`) of the reference's parameter `name`.
#[must_use]
pub fn from_reference(name: &str) -> String {
    rows().fold(name.to_owned(), |name, (ours, theirs)| name.replace(theirs, ours))
}

/// Tensors that the reference stores and never reads: `(prefix, why it may be ignored)`.
const UNREAD: [(&str, &str); 6] = [
    ("vision_encoder.positional_embedding", "position table of CLIP's text tower, carried but never read"),
    ("vision_encoder.token_embedding.", "token table of CLIP's text tower, carried but never read"),
    ("vision_encoder.ln_final.", "final norm of CLIP's text tower, carried but never read"),
    ("vision_encoder.logit_scale", "CLIP's contrastive temperature, never read"),
    ("language_encoder.pooler.", "the text encoder's pooler, carried but never read"),
    ("language_encoder.embeddings.position_ids", "a constant buffer 0, 1, 2, … of older transformers releases"),
];

/// Why a tensor of the reference may be ignored, or `None` where it may not.
#[must_use]
pub fn ignorable(name: &str) -> Option<&'static str> {
    let unread = UNREAD.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|&(_, reason)| reason);
    unread.or_else(|| swin::ignorable(name.strip_prefix("vision_encoder.")?))
}

/// The prediction heads, by what they predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// Masked language modelling.
    Mlm,
    /// Masked image modelling.
    Mim,
    /// Image-text matching.
    Itm,
    /// Question answering.
    Vqa,
    /// Classification.
    Cls,
    /// Image-text retrieval.
    Irtr,
}

impl Head {
    /// All heads.
    pub const ALL: [Self; 6] = [Self::Mlm, Self::Mim, Self::Itm, Self::Vqa, Self::Cls, Self::Irtr];

    /// The name of its module in the reference's tree.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.prefix().trim_end_matches('.')
    }

    /// The start of its parameters' names: the module's name and a dot.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Mlm => "mlm_head.",
            Self::Mim => "mim_head.",
            Self::Itm => "itm_head.",
            Self::Vqa => "vqa_head.",
            Self::Cls => "cls_head.",
            Self::Irtr => "irtr_head.",
        }
    }

    /// The head that a parameter belongs to, if any.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|head| name.starts_with(head.prefix()))
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name().trim_end_matches("_head"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_in_both_directions() {
        for (ours, theirs) in [
            (
                "vision_encoder.visual.transformer.resblocks.0.attn.in_proj.weight",
                "vision_encoder.visual.transformer.resblocks.0.attn.in_proj_weight",
            ),
            (
                "multi_modal_vision_layers.1.crossattention.self_.query.bias",
                "multi_modal_vision_layers.1.crossattention.self.query.bias",
            ),
            ("language_encoder.embeddings.layer_norm.weight", "language_encoder.embeddings.LayerNorm.weight"),
            ("vqa_head.classifier.bias", "vqa_head.3.bias"),
            ("cls_head.norm.weight", "cls_head.1.weight"),
            ("mim_head.decoder_norm.weight", "mim_head.decoder_norm.weight"),
        ] {
            assert_eq!(to_reference(ours), theirs);
            assert_eq!(from_reference(theirs), ours);
        }
        assert_eq!(to_reference("mim_head.decoder_norm.gamma"), "mim_head.decoder_norm.weight");
        assert_eq!(to_reference("a.attention.output.layer_norm.beta"), "a.attention.output.LayerNorm.bias");
    }

    #[test]
    fn only_unread_tensors_are_ignorable() {
        assert!(ignorable("language_encoder.pooler.dense.weight").is_some());
        assert!(ignorable("vision_encoder.positional_embedding").is_some());
        assert!(ignorable("vision_encoder.visual.positional_embedding").is_none());
    }
}
