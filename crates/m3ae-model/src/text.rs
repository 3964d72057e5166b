//! RoBERTa and BERT encoders: embeddings and post-norm layers (spec 1.3), and the BERT-style layer that the fusion shares.

use burn::nn::{Dropout, DropoutConfig, Embedding, Linear};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::config::{TextConfig, TextFamily};
use crate::init::Init;
use crate::inputs::padding_bias;
use crate::layers::{Attended, LayerNorm, attend, for_kernels, merge_heads, probability, split_heads};
use crate::precision::dense;

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
    fn forward(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.close(dense(&self.dense, x), residual)
    }

    /// Dropout, residual and norm after the product.
    fn close(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
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
    /// `x` `[B, Lq, D]` reads `context` `[B, Lk, D]`, or itself.
    fn forward(&self, x: Tensor<3>, context: Option<Tensor<3>>, bias: Option<Tensor<4>>) -> Tensor<3> {
        match self.by_kernels(&x, context.clone(), bias.clone()) {
            Some(attended) => self.output.close(attended, x),
            None => self.forward_with_map(x.clone(), context.unwrap_or(x), bias).0,
        }
    }

    /// The kernels' form, up to the output projection.
    fn by_kernels(&self, x: &Tensor<3>, context: Option<Tensor<3>>, bias: Option<Tensor<4>>) -> Option<Tensor<3>> {
        let attention = &self.self_;
        let projections = m3ae_nn::Projections::Separate {
            query: for_kernels(&attention.query)?,
            key: for_kernels(&attention.key)?,
            value: for_kernels(&attention.value)?,
        };
        let attention = m3ae_nn::Attention {
            projections,
            output: for_kernels(&self.output.dense)?,
            heads: attention.heads,
            context,
            bias,
            dropout: probability(&attention.dropout, &x.device()),
            residual: None,
        };
        m3ae_nn::attention(x, attention)
    }

    /// As [`forward`](Self::forward), and the probabilities, `[B, heads, Lq, Lk]`.
    fn forward_with_map(&self, x: Tensor<3>, context: Tensor<3>, bias: Option<Tensor<4>>) -> (Tensor<3>, Tensor<4>) {
        let attention = &self.self_;
        let heads = |x| split_heads(x, attention.heads);
        let Attended { context, probabilities } = attend(
            heads(dense(&attention.query, x.clone())),
            heads(dense(&attention.key, context.clone())),
            heads(dense(&attention.value, context)),
            bias,
            Some(&attention.dropout),
        );
        (self.output.forward(merge_heads(context), x), probabilities)
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

/// What one layer gives with its attention.
#[derive(Debug, Clone)]
pub struct LayerOutput {
    /// `[B, L, D]`
    pub hidden: Tensor<3>,
    /// Self-attention probabilities, `[B, heads, L, L]`.
    pub self_attention: Tensor<4>,
    /// Cross-attention probabilities, `[B, heads, L, Lk]`.
    pub cross_attention: Option<Tensor<4>>,
}

/// The other modality, as a cross-attention reads it.
#[derive(Debug, Clone)]
pub struct Context {
    /// `[B, Lk, D]`
    pub hidden: Tensor<3>,
    /// Padding bias `[B, 1, 1, Lk]`; `None` where nothing is hidden.
    pub bias: Option<Tensor<4>>,
}

impl BertLayer {
    /// a = LN(h + SelfAttn(h)); c = LN(a + CrossAttn(a, context)); out = LN(c + W2·GELU(W1·c)).
    /// A layer without cross-attention ignores `context`, one with it and no context skips that part.
    pub fn forward(&self, hidden: Tensor<3>, bias: Option<Tensor<4>>, context: Option<Context>) -> Tensor<3> {
        self.forward_queries(hidden, None, bias, context)
    }

    /// As [`forward`](Self::forward), with the attention's probabilities.
    pub fn forward_with_maps(
        &self,
        hidden: Tensor<3>,
        bias: Option<Tensor<4>>,
        context: Option<Context>,
    ) -> LayerOutput {
        let (mut x, self_attention) = self.attention.forward_with_map(hidden.clone(), hidden, bias);
        let mut cross_attention = None;
        if let (Some(cross), Some(context)) = (&self.crossattention, context) {
            let (c, probabilities) = cross.forward_with_map(x, context.hidden, context.bias);
            (x, cross_attention) = (c, Some(probabilities));
        }
        LayerOutput { hidden: self.feed_forward(x), self_attention, cross_attention }
    }

    /// The first token's part of [`forward`](Self::forward), `[B, 1, D]`, for which the other tokens are keys and values only.
    pub fn forward_first(&self, hidden: Tensor<3>, bias: Option<Tensor<4>>, context: Option<Context>) -> Tensor<3> {
        let first = hidden.clone().narrow(1, 0, 1);
        self.forward_queries(first, Some(hidden), bias, context)
    }

    /// `queries` read `hidden`, or themselves.
    fn forward_queries(
        &self,
        queries: Tensor<3>,
        hidden: Option<Tensor<3>>,
        bias: Option<Tensor<4>>,
        context: Option<Context>,
    ) -> Tensor<3> {
        let mut x = self.attention.forward(queries, hidden, bias);
        if let (Some(cross), Some(context)) = (&self.crossattention, context) {
            x = cross.forward(x, Some(context.hidden), context.bias);
        }
        self.feed_forward(x)
    }

    /// LN(x + W2·GELU(W1·x)).
    fn feed_forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (first, second) = (&self.intermediate.dense, &self.output.dense);
        let by_kernels = for_kernels(first)
            .zip(for_kernels(second))
            .and_then(|layers| m3ae_nn::mlp(&x, layers, m3ae_nn::Activation::Gelu, None));
        match by_kernels {
            Some(inner) => self.output.close(inner, x),
            None => self.output.forward(gelu(dense(first, x.clone())), x),
        }
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
    pub fn forward(&self, ids: Tensor<2, Int>, mask: Tensor<2, Int>) -> TextEncoding {
        let embeddings = &self.embeddings;
        let word = embeddings.word_embeddings.forward(ids.clone()); // [B, L, D]
        let position = embeddings.position_embeddings.forward(self.position_ids(ids));
        let kind = embeddings.token_type_embeddings.weight.val().narrow(0, 0, 1).unsqueeze::<3>(); // [1, 1, D]
        let x = embeddings.dropout.forward(embeddings.layer_norm.forward(word + kind + position));

        let bias = padding_bias(mask);
        let mut encoding = TextEncoding { embeddings: x.clone(), layers: Vec::with_capacity(self.encoder.layer.len()) };
        let mut hidden = x;
        for layer in &self.encoder.layer {
            hidden = layer.forward(hidden, Some(bias.clone()), None);
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
