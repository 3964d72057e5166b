//! Hugging Face's names of RoBERTa and BERT, which are ours but for prefixes and old layer norms (docs/spec.md, section
//! 1.3).

use crate::checkpoint::Checkpoint;

/// `(Hugging Face's, ours, why they differ)`; each replaces a piece of the name.
const PIECES: [(&str, &str, &str); 2] = [
    ("LayerNorm.gamma", "LayerNorm.weight", "TensorFlow's name, in files converted from Google's release"),
    ("LayerNorm.beta", "LayerNorm.bias", "as above"),
];

/// Tensors of a text encoder that M3AE does not use: `(prefix, why)`.
const UNUSED: [(&str, &str); 5] = [
    ("pooler.", "the text encoder's pooler, which M3AE does not use"),
    ("lm_head.", "the language-modelling head it was pre-trained with; M3AE trains its own"),
    ("cls.", "the heads it was pre-trained with; M3AE trains its own"),
    ("embeddings.position_ids", "a constant buffer 0, 1, 2, … of older transformers releases"),
    ("embeddings.token_type_ids", "a constant buffer of zeros of older transformers releases"),
];

/// The prefix of a file's names, the dot included: none if the encoder was saved by itself, `roberta.` or `bert.` if it
/// was saved with a language-modelling head. `None` if the file holds no text encoder.
pub(crate) fn prefix(checkpoint: &Checkpoint) -> Option<&'static str> {
    ["", "roberta.", "bert."]
        .into_iter()
        .find(|prefix| checkpoint.shape(&format!("{prefix}embeddings.word_embeddings.weight")).is_some())
}

/// Our encoder's parameter (by the reference's names) or the reason it is not used.
pub(crate) fn place(name: &str, prefix: &str) -> Result<String, &'static str> {
    let name = name.strip_prefix(prefix).unwrap_or(name);
    match UNUSED.iter().find(|(unused, _)| name.starts_with(unused)) {
        Some(&(_, reason)) => Err(reason),
        None => Ok(PIECES.iter().fold(name.to_owned(), |name, (theirs, ours, _)| name.replace(theirs, ours))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_old_layer_norms_read_alike() {
        let ours = "encoder.layer.0.output.LayerNorm.weight";
        for (name, prefix) in [
            (ours, ""),
            ("roberta.encoder.layer.0.output.LayerNorm.weight", "roberta."),
            ("bert.encoder.layer.0.output.LayerNorm.gamma", "bert."),
        ] {
            assert_eq!(place(name, prefix).unwrap(), ours);
        }
        assert!(place("cls.predictions.bias", "bert.").is_err());
        assert!(place("roberta.pooler.dense.weight", "roberta.").is_err());
        assert!(place("lm_head.bias", "roberta.").is_err());
    }
}
