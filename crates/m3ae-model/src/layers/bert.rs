//! The layer of RoBERTa and BERT (docs/spec.md, section 1.3), which the fusion shares (section 1.4).

use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::prelude::*;
use m3ae_nn::{
    Activation, AttentionOptions, AttentionWeights, FeedForwardWeights, Precision, Projections, attention, feed_forward,
};

use super::norm::{LayerNorm, active_probability};
use crate::init::Init;

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
    /// `x` `[B, Lq, D]` reads `context` `[B, Lk, D]`, or itself: the new state `[B, Lq, D]`, and the attention's
    /// probabilities `[B, heads, Lq, Lk]` if they are asked for.
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

/// A post-norm BERT layer; with cross-attention between self-attention and feed-forward in the fusion (docs/spec.md,
/// section 1.4).
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

/// What a layer reads beside its tokens, and what it gives. The default: every token reads every token of its own text
/// or image.
#[derive(Debug, Clone, Default)]
pub struct LayerOptions {
    /// Padding bias of the tokens, `[B, 1, 1, L]`; `None` if all may be read.
    pub bias: Option<Tensor<4>>,
    /// The other modality: what cross-attention reads. A layer has both or neither.
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
    /// a = LN(h + SelfAttn(h)); c = LN(a + CrossAttn(a, context)); out = LN(c + W2·GELU(W1·c)).
    ///
    /// `hidden` is `[B, L, D]`.
    ///
    /// # Panics
    /// The layer has cross-attention and `options` no context, or the other way round.
    pub fn forward(&self, hidden: Tensor<3>, options: LayerOptions) -> LayerOutput {
        let LayerOptions { bias, context, first_only, need_weights, precision } = options;
        assert_eq!(
            context.is_some(),
            self.crossattention.is_some(),
            "a layer with cross-attention needs the other modality, and one without it cannot read it"
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a layer with cross-attention needs the other modality")]
    fn a_context_that_no_part_reads_is_refused() {
        let device = Device::default();
        let init = Init::default();
        let sizes = BertLayerSizes {
            width: 8,
            heads: 2,
            intermediate: 16,
            epsilon: 1e-5,
            dropout: 0.0,
            cross: false,
            init: &init,
        };
        let hidden = Tensor::zeros([1, 3, 8], &device);
        let context = Some(Context { hidden: hidden.clone(), bias: None });
        let _ = sizes.init(&device).forward(hidden, LayerOptions { context, ..LayerOptions::default() });
    }
}
