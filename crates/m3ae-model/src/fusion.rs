//! Multi-modal fusion: two stacks of co-attention layers that read each other (paper 3.1, spec 1.4).

use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::activation::tanh;

use crate::config::FusionConfig;
use crate::layers::linear;
use crate::precision::dense;
use crate::text::{BertLayer, BertLayerSizes, Context, LayerOutput};

/// The epsilon of the fusion's layer norms (spec 1.4).
pub(crate) const FUSION_EPSILON: f64 = 1e-12;

/// tanh(dense(token 0)).
#[derive(Module, Debug)]
pub struct Pooler {
    /// `D -> D`.
    pub dense: Linear,
}

impl Pooler {
    pub(crate) fn new(width: usize, device: &Device) -> Self {
        Self { dense: linear(width, width, device) }
    }

    /// `[B, L, D]` -> `[B, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        tanh(dense(&self.dense, x.narrow(1, 0, 1).squeeze_dim::<2>(1)))
    }
}

impl FusionConfig {
    pub(crate) fn init_stack(&self, device: &Device) -> Vec<BertLayer> {
        let sizes = BertLayerSizes {
            width: self.width,
            heads: self.heads,
            intermediate: self.mlp_ratio * self.width,
            epsilon: FUSION_EPSILON,
            dropout: self.dropout,
            cross: true,
        };
        (0..self.layers).map(|_| sizes.init(device)).collect()
    }
}

/// Texts in the fusion's space.
#[derive(Debug, Clone)]
pub struct FusionText {
    /// `[B, L, D]`
    pub tokens: Tensor<3>,
    /// `[B, 1, 1, L]`, very low at padding; see [`padding_bias`](crate::padding_bias).
    pub bias: Tensor<4>,
}

impl FusionText {
    /// The texts `first` to `first + count`, without the end.
    #[must_use]
    pub fn narrow(&self, first: usize, count: usize) -> Self {
        Self { tokens: self.tokens.clone().narrow(0, first, count), bias: self.bias.clone().narrow(0, first, count) }
    }
}

/// Pairs of text and image in the fusion's space, ready to attend to each other.
#[derive(Debug, Clone)]
pub struct FusionInput {
    /// The texts.
    pub text: FusionText,
    /// Image tokens, `[B, 1+K, D]`.
    pub image: Tensor<3>,
}

/// Attention probabilities of one co-attention layer, each `[B, heads, Lq, Lk]`.
#[derive(Debug, Clone)]
pub struct CoAttentionMaps {
    /// Text over text.
    pub text_self: Tensor<4>,
    /// Text over image.
    pub text_to_image: Option<Tensor<4>>,
    /// Image over image.
    pub image_self: Tensor<4>,
    /// Image over text.
    pub image_to_text: Option<Tensor<4>>,
}

/// What the two stacks give.
#[derive(Debug, Clone)]
pub struct FusionOutput {
    /// Text state after the last layer that ran, `[B, L, D]`.
    pub text: Tensor<3>,
    /// Image state after the last layer that ran, `[B, 1+K, D]`.
    pub image: Tensor<3>,
    /// Attention maps, layer by layer; empty unless asked for (they are large).
    pub attention: Vec<CoAttentionMaps>,
}

/// Runs the first `depth` layers of both stacks. Layer l of each stack reads the *inputs* of layer l of the other.
pub(crate) fn co_attention(
    language: &[BertLayer],
    vision: &[BertLayer],
    depth: usize,
    input: FusionInput,
    keep_attention: bool,
) -> FusionOutput {
    let FusionInput { text: FusionText { tokens: mut x, bias: text_bias }, image: mut y } = input;
    let mut attention = Vec::new();
    for (language, vision) in language.iter().zip(vision).take(depth) {
        let image_context = Context { hidden: y.clone(), bias: None };
        let text_context = Context { hidden: x.clone(), bias: Some(text_bias.clone()) };
        if keep_attention {
            let text = language.forward_with_maps(x, Some(text_bias.clone()), Some(image_context));
            let image = vision.forward_with_maps(y, None, Some(text_context));
            (x, y) = (text.hidden.clone(), image.hidden.clone());
            attention.push(CoAttentionMaps::new(text, image));
        } else {
            x = language.forward(x, Some(text_bias.clone()), Some(image_context));
            y = vision.forward(y, None, Some(text_context));
        }
    }
    FusionOutput { text: x, image: y, attention }
}

impl CoAttentionMaps {
    fn new(text: LayerOutput, image: LayerOutput) -> Self {
        Self {
            text_self: text.self_attention,
            text_to_image: text.cross_attention,
            image_self: image.self_attention,
            image_to_text: image.cross_attention,
        }
    }
}
