//! RoBERTa and BERT encoders: embeddings and post-norm layers (docs/spec.md, section 1.3).

use burn::nn::{Dropout, DropoutConfig, Embedding};
use burn::prelude::*;
use m3ae_nn::Precision;

use crate::config::{TextConfig, TextFamily};
use crate::init::Init;
use crate::inputs::padding_bias;
use crate::layers::{BertLayer, BertLayerSizes, LayerNorm, LayerOptions};

/// Word, position and token-type embeddings, summed and normalised.
#[derive(Module, Debug)]
pub struct TextEmbeddings {
    /// `[V, D]`
    pub word_embeddings: Embedding,
    /// `[positions, D]`
    pub position_embeddings: Embedding,
    /// `[types, D]`; row 0 is used.
    pub token_type_embeddings: Embedding,
    /// Norm of the sum.
    pub layer_norm: LayerNorm,
    dropout: Dropout,
}

/// The stack of layers.
#[derive(Module, Debug)]
pub struct TextLayers {
    /// First to last.
    pub layer: Vec<BertLayer>,
}

/// The text encoder of M3AE.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// Embeddings.
    pub embeddings: TextEmbeddings,
    /// Layers.
    pub encoder: TextLayers,
    /// RoBERTa's padding id, from which its positions count; `None` for BERT, whose positions start at 0.
    position_start: Option<usize>,
}

/// Hidden states on the way through the text encoder.
#[derive(Debug, Clone)]
pub struct TextEncoding {
    /// After the embeddings' norm, `[B, L, D]`.
    pub embeddings: Tensor<3>,
    /// After each layer, `[B, L, D]`; the last is the encoding.
    pub layers: Vec<Tensor<3>>,
}

impl TextEncoding {
    /// The encoding: the last layer's state, `[B, L, D]`.
    #[must_use]
    pub fn last(&self) -> Tensor<3> {
        self.layers.last().unwrap_or(&self.embeddings).clone()
    }
}

impl TextConfig {
    /// Initialises with Normal(0, 0.02) weights; published weights come from RoBERTa or BERT.
    #[must_use]
    pub fn init(&self, device: &Device) -> TextEncoder {
        self.init_from(&Init::default(), device)
    }

    /// Initialises with weights of this distribution.
    pub(crate) fn init_from(&self, init: &Init, device: &Device) -> TextEncoder {
        let layer = BertLayerSizes {
            width: self.width,
            heads: self.heads,
            intermediate: self.intermediate,
            epsilon: self.epsilon,
            dropout: self.dropout,
            cross: false,
            init,
        };
        TextEncoder {
            embeddings: TextEmbeddings {
                word_embeddings: init.embedding(self.vocab_size, self.width, device),
                position_embeddings: init.embedding(self.max_positions, self.width, device),
                token_type_embeddings: init.embedding(self.type_vocab, self.width, device),
                layer_norm: LayerNorm::new(self.width, self.epsilon, device),
                dropout: DropoutConfig::new(self.dropout).init(),
            },
            encoder: TextLayers { layer: (0..self.layers).map(|_| layer.init(device)).collect() },
            position_start: (self.family == TextFamily::Roberta).then_some(self.pad_id),
        }
    }
}

impl TextEncoder {
    /// Encodes token ids `[B, L]` with their mask `[B, L]` (1 = token, 0 = padding).
    pub fn forward(&self, ids: Tensor<2, Int>, mask: Tensor<2, Int>, precision: Precision) -> TextEncoding {
        let embeddings = &self.embeddings;
        let word = embeddings.word_embeddings.forward(ids.clone()); // [B, L, D]
        let position = embeddings.position_embeddings.forward(self.position_ids(ids));
        let kind = embeddings.token_type_embeddings.weight.val().narrow(0, 0, 1).unsqueeze::<3>(); // [1, 1, D]
        let x = embeddings.dropout.forward(embeddings.layer_norm.forward(word + kind + position));

        let bias = padding_bias(mask);
        let mut encoding = TextEncoding { embeddings: x.clone(), layers: Vec::with_capacity(self.encoder.layer.len()) };
        let mut hidden = x;
        for layer in &self.encoder.layer {
            let options = LayerOptions { bias: Some(bias.clone()), precision, ..LayerOptions::default() };
            hidden = layer.forward(hidden, options).hidden;
            encoding.layers.push(hidden.clone());
        }
        encoding
    }

    /// RoBERTa: padding has position `pad_id`, the n-th other token `pad_id + n`. BERT: 0, 1, 2, …
    fn position_ids(&self, ids: Tensor<2, Int>) -> Tensor<2, Int> {
        let [batch, length] = ids.dims();
        match self.position_start {
            None => Tensor::<1, Int>::arange(0..length as i64, &ids.device()).unsqueeze::<2>().expand([batch, length]),
            Some(pad) => {
                let token = ids.not_equal_elem(pad as i64).int();
                token.clone().cumsum(1) * token + pad as i64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn roberta_positions_skip_padding_and_bert_positions_count_from_zero() {
        let device = Device::default();
        let tiny = TextConfig::new().with_vocab_size(20).with_width(8).with_heads(2).with_layers(1);
        let tiny = tiny.with_intermediate(16).with_max_positions(12);
        let ids = Tensor::<2, Int>::from_data([[0, 7, 2, 1, 1]], &device);
        let roberta = tiny.clone().init(&device).position_ids(ids.clone());
        roberta.into_data_dtype(burn::tensor::DType::I64).assert_eq(&TensorData::from([[2_i64, 3, 4, 1, 1]]), true);
        let bert = tiny.with_family(TextFamily::Bert).init(&device).position_ids(ids);
        bert.into_data_dtype(burn::tensor::DType::I64).assert_eq(&TensorData::from([[0_i64, 1, 2, 3, 4]]), true);
    }
}
