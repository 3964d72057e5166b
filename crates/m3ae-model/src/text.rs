//! RoBERTa and BERT encoders: embeddings and post-norm layers (spec 1.3), and the BERT-style layer that the fusion shares.

use burn::nn::{Dropout, DropoutConfig, Embedding, Linear};
use burn::prelude::*;
use m3ae_nn::{
    Activation, AttentionOptions, AttentionWeights, FeedForwardWeights, Precision, Projections, attention, feed_forward,
};

use crate::config::{TextConfig, TextFamily};
use crate::init::Init;
use crate::inputs::padding_bias;
use crate::layers::{LayerNorm, active_probability};

/// Query, key and value projections.
#[derive(Module, Debug)]
pub struct BertSelfAttention {
    /// `D -> D`.
    pub query: Linear,
    /// `D -> D`.
    pub key: Linear,
    /// `D -> D`.
    pub value: Linear,
    dropout: Dropout,
    heads: usize,
}

/// LN(residual + dropout(dense(x))): how every BERT sub-layer ends.
#[derive(Module, Debug)]
pub struct BertOutput {
    /// To the hidden width.
    pub dense: Linear,
    /// Norm after the residual sum.
    pub layer_norm: LayerNorm,
    dropout: Dropout,
}

impl BertOutput {
    /// LN(residual + dropout(x)): what follows the product.
    fn add_norm(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.layer_norm.after_residual(x, residual, &self.dropout)
    }
}

/// Attention with its output projection, residual and norm.
#[derive(Module, Debug)]
pub struct BertAttention {
    /// Projections (`self` in the reference).
    pub self_: BertSelfAttention,
    /// Output projection, residual, norm.
    pub output: BertOutput,
}

impl BertAttention {
    /// `x` `[B, Lq, D]` reads `context` `[B, Lk, D]`, or itself: the new state `[B, Lq, D]`, and the attention's probabilities
    /// `[B, heads, Lq, Lk]` if they are asked for.
    fn forward(&self, x: Tensor<3>, options: AttentionOptions) -> (Tensor<3>, Option<Tensor<4>>) {
        let projections = &self.self_;
        let weights = AttentionWeights {
            heads: projections.heads,
            projections: Projections::Separate {
                query: (&projections.query).into(),
                key: (&projections.key).into(),
                value: (&projections.value).into(),
            },
            output: (&self.output.dense).into(),
        };
        let dropout = active_probability(&projections.dropout, &x.device());
        let attended = attention(x.clone(), weights, AttentionOptions { dropout, ..options });
        (self.output.add_norm(attended.hidden, x), attended.weights)
    }
}

/// The feed-forward part's first half.
#[derive(Module, Debug)]
pub struct BertIntermediate {
    /// `D -> intermediate`.
    pub dense: Linear,
}

/// Sizes of a BERT-style layer.
pub(crate) struct BertLayerSizes<'a> {
    pub width: usize,
    pub heads: usize,
    pub intermediate: usize,
    pub epsilon: f64,
    pub dropout: f64,
    pub cross: bool,
    /// Of all weights.
    pub init: &'a Init,
}

impl BertLayerSizes<'_> {
    fn output(&self, input: usize, device: &Device) -> BertOutput {
        BertOutput {
            dense: self.init.linear(input, self.width, device),
            layer_norm: LayerNorm::new(self.width, self.epsilon, device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }

    fn attention(&self, device: &Device) -> BertAttention {
        let project = || self.init.linear(self.width, self.width, device);
        BertAttention {
            self_: BertSelfAttention {
                query: project(),
                key: project(),
                value: project(),
                dropout: DropoutConfig::new(self.dropout).init(),
                heads: self.heads,
            },
            output: self.output(self.width, device),
        }
    }

    pub(crate) fn init(&self, device: &Device) -> BertLayer {
        BertLayer {
            attention: self.attention(device),
            crossattention: self.cross.then(|| self.attention(device)),
            intermediate: BertIntermediate { dense: self.init.linear(self.width, self.intermediate, device) },
            output: self.output(self.intermediate, device),
        }
    }
}

/// A post-norm BERT layer; with cross-attention between self-attention and feed-forward in the fusion (spec 1.4).
#[derive(Module, Debug)]
pub struct BertLayer {
    /// Self-attention.
    pub attention: BertAttention,
    /// Attention over the other modality; fusion layers only.
    pub crossattention: Option<BertAttention>,
    /// Feed-forward, first half.
    pub intermediate: BertIntermediate,
    /// Feed-forward, second half, residual, norm.
    pub output: BertOutput,
}

/// What a layer reads beside its tokens, and what it gives. The default: every token reads every token of its own text or image.
#[derive(Debug, Clone, Default)]
pub struct LayerOptions {
    /// Padding bias of the tokens, `[B, 1, 1, L]`; `None` if all may be read.
    pub bias: Option<Tensor<4>>,
    /// The other modality. A layer without cross-attention ignores it; one with cross-attention skips that part without it.
    pub context: Option<Context>,
    /// Gives the state of the first token only, for which the others are keys and values: less work.
    pub first_only: bool,
    /// Whether to give the attention's probabilities.
    pub need_weights: bool,
    /// Of matrix products.
    pub precision: Precision,
}

/// The other modality, as a cross-attention reads it.
#[derive(Debug, Clone)]
pub struct Context {
    /// `[B, Lk, D]`
    pub hidden: Tensor<3>,
    /// Padding bias `[B, 1, 1, Lk]`; `None` if all may be read.
    pub bias: Option<Tensor<4>>,
}

/// The result of a layer.
#[derive(Debug, Clone)]
pub struct LayerOutput {
    /// `[B, L, D]`, or `[B, 1, D]` of the first token only.
    pub hidden: Tensor<3>,
    /// Self-attention probabilities, `[B, heads, L, L]`, if they were asked for.
    pub self_attention: Option<Tensor<4>>,
    /// Cross-attention probabilities, `[B, heads, L, Lk]`, if they were asked for and there is cross-attention.
    pub cross_attention: Option<Tensor<4>>,
}

impl BertLayer {
    /// a = LN(h + SelfAttn(h)); c = LN(a + CrossAttn(a, context)); out = LN(c + W2·GELU(W1·c)), for `hidden` `[B, L, D]`.
    pub fn forward(&self, hidden: Tensor<3>, options: LayerOptions) -> LayerOutput {
        let LayerOptions { bias, context, first_only, need_weights, precision } = options;
        let reads = |context, bias| AttentionOptions { context, bias, need_weights, precision, ..Default::default() };
        let (queries, keys) = match first_only {
            true => (hidden.clone().narrow(1, 0, 1), Some(hidden)),
            false => (hidden, None),
        };
        let (mut x, self_attention) = self.attention.forward(queries, reads(keys, bias));
        let mut cross_attention = None;
        if let (Some(cross), Some(context)) = (&self.crossattention, context) {
            (x, cross_attention) = cross.forward(x, reads(Some(context.hidden), context.bias));
        }
        LayerOutput { hidden: self.feed_forward(x, precision), self_attention, cross_attention }
    }

    /// LN(x + W2·GELU(W1·x)).
    fn feed_forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<3> {
        let weights =
            FeedForwardWeights { first: (&self.intermediate.dense).into(), second: (&self.output.dense).into() };
        let inner = feed_forward(x.clone(), weights, Activation::Gelu, None, precision);
        self.output.add_norm(inner, x)
    }
}

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
    use super::*;
    use burn::tensor::TensorData;

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
