//! Which parameters have which learning rate and weight decay.

use m3ae_weights::Head;

/// Which learning rate a parameter has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// The base rate: encoders, projections, modality embeddings.
    Base,
    /// The base rate times `lr_multiplier_head`.
    Head,
    /// The base rate times `lr_multiplier_multi_modal`.
    MultiModal,
}

/// A parameter's group, by the reference's rules on its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Learning rate.
    pub rate: Rate,
    /// Whether weight decay applies.
    pub decay: bool,
}

/// Pieces of names that exempt a parameter from weight decay. The match is by substring, so CLIP's `ln_1.weight` and
/// `vqa_head.1.weight` *are* decayed while `decoder_norm.weight` is not: as in the reference.
const NO_DECAY: [&str; 5] = ["bias", "LayerNorm.weight", "norm.weight", "norm1.weight", "norm2.weight"];

impl Group {
    /// The group of the parameter with this (reference's) name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let rate = if name.contains("multi_modal") {
            Rate::MultiModal
        } else if Head::ALL.iter().any(|head| name.contains(head.name())) {
            Rate::Head
        } else {
            Rate::Base
        };
        Self { rate, decay: !NO_DECAY.iter().any(|piece| name.contains(piece)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_the_reference_name_rules() {
        let group = |name| Group::of(name);
        assert_eq!(
            group("vision_encoder.visual.transformer.resblocks.0.ln_1.weight"),
            Group { rate: Rate::Base, decay: true }
        );
        assert_eq!(group("vqa_head.1.weight"), Group { rate: Rate::Head, decay: true });
        assert_eq!(group("mim_head.decoder_norm.weight"), Group { rate: Rate::Head, decay: false });
        assert_eq!(
            group("multi_modal_vision_layers.0.output.LayerNorm.weight"),
            Group { rate: Rate::MultiModal, decay: false }
        );
        assert_eq!(group("multi_modal_language_proj.bias"), Group { rate: Rate::MultiModal, decay: false });
        assert_eq!(group("modality_type_embeddings.weight"), Group { rate: Rate::Base, decay: true });
        assert_eq!(group("mlm_head.bias"), Group { rate: Rate::Head, decay: false });
    }
}
