//! Multi-modal fusion: two stacks of co-attention layers that read each other (paper 3.1, spec 1.4).

mod request;
#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::activation::tanh;

use request::narrow;
pub use request::{FusedStates, FusionOutput, FusionRequest, Nothing, Pairs, Wanted};

use crate::config::FusionConfig;
use crate::init::Init;
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
    pub(crate) fn new(width: usize, init: &Init, device: &Device) -> Self {
        Self { dense: init.linear(width, width, device) }
    }

    /// `[B, L, D]` -> `[B, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        tanh(dense(&self.dense, x.narrow(1, 0, 1).squeeze_dim::<2>(1)))
    }
}

impl FusionConfig {
    pub(crate) fn init_stack(&self, init: &Init, device: &Device) -> Vec<BertLayer> {
        let sizes = BertLayerSizes {
            width: self.width,
            heads: self.heads,
            intermediate: self.mlp_ratio * self.width,
            epsilon: FUSION_EPSILON,
            dropout: self.dropout,
            cross: true,
            init,
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
    /// The texts `rows` of the batch.
    #[must_use]
    pub fn rows(&self, rows: &Range<usize>) -> Self {
        Self { tokens: narrow(&self.tokens, rows), bias: narrow(&self.bias, rows) }
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

impl FusionInput {
    /// The number of pairs, B.
    fn len(&self) -> usize {
        let ([texts, ..], [images, ..]) = (self.text.tokens.dims(), self.image.dims());
        assert_eq!(texts, images, "the fusion reads pairs, but got {texts} texts and {images} images");
        texts
    }

    fn rows(&self, rows: &Range<usize>) -> Self {
        Self { text: self.text.rows(rows), image: narrow(&self.image, rows) }
    }
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

/// The two stacks and their poolers.
pub(crate) struct CoAttention<'a> {
    pub language: &'a [BertLayer],
    pub vision: &'a [BertLayer],
    pub language_pooler: &'a Pooler,
    pub vision_pooler: &'a Pooler,
    /// Whether a class token stands for the image (CLIP); if not, the mean over its tokens does (Swin; spec 1.2).
    pub class_token: bool,
}

impl CoAttention<'_> {
    /// Runs both stacks, the last layer only as far as `request` reads it. Layer l of each stack reads the *inputs* of layer l of
    /// the other.
    pub(crate) fn fuse<T: Wanted, I: Wanted, P: Wanted>(
        &self,
        input: FusionInput,
        request: FusionRequest<T, I, P>,
    ) -> FusionOutput<T::Given<Tensor<3>>, I::Given<Tensor<3>>, P::Given<Tensor<2>>> {
        let batch = input.len();
        let layers = self.language.iter().zip(self.vision);
        let depth = request.depth.unwrap_or(layers.len()).min(layers.len());
        // Attention maps are of all tokens: there is no last layer to save work in.
        let before = if request.attention { depth } else { depth.saturating_sub(1) };
        let mut attention = Vec::new();
        let mut input = input;
        for layer in layers.clone().take(before) {
            input = match request.attention {
                true => with_maps(layer, input, &mut attention),
                false => forward(layer, input),
            };
        }
        let last = LastLayer(layers.clone().take(depth).nth(before));

        let text = request.text.give(batch, |pairs| last.text(input.rows(&pairs)));
        let image = request.image.give(batch, |pairs| last.image(input.rows(&pairs)));
        let pooled = request.pooled.give(batch, |pairs| {
            let input = input.rows(&pairs);
            let text = request.text.part(batch, &text, &pairs).unwrap_or_else(|| last.first_text(input.clone()));
            let image = request.image.part(batch, &image, &pairs).unwrap_or_else(|| match self.class_token {
                true => last.first_image(input),
                false => last.image(input),
            });
            self.pool(text, image)
        });
        FusionOutput { text, image, pooled, attention }
    }

    /// concat(pooled text, pooled image): text tokens `[B, L, D]` and image tokens `[B, 1+K, D]` -> `[B, 2D]`.
    fn pool(&self, text: Tensor<3>, image: Tensor<3>) -> Tensor<2> {
        let text = self.language_pooler.forward(text);
        let image = if self.class_token { image } else { image.mean_dim(1) };
        Tensor::cat(vec![text, self.vision_pooler.forward(image)], 1)
    }
}

/// The same layer of the text and the image stack.
type Layer<'a> = (&'a BertLayer, &'a BertLayer);

/// All tokens through a layer.
fn forward((language, vision): Layer<'_>, input: FusionInput) -> FusionInput {
    let FusionInput { text: FusionText { tokens, bias }, image } = input;
    let image_context = Context { hidden: image.clone(), bias: None };
    let text_context = Context { hidden: tokens.clone(), bias: Some(bias.clone()) };
    let tokens = language.forward(tokens, Some(bias.clone()), Some(image_context));
    let image = vision.forward(image, None, Some(text_context));
    FusionInput { text: FusionText { tokens, bias }, image }
}

/// As [`forward`], with the attention's maps.
fn with_maps((language, vision): Layer<'_>, input: FusionInput, maps: &mut Vec<CoAttentionMaps>) -> FusionInput {
    let FusionInput { text: FusionText { tokens, bias }, image } = input;
    let image_context = Context { hidden: image.clone(), bias: None };
    let text_context = Context { hidden: tokens.clone(), bias: Some(bias.clone()) };
    let text = language.forward_with_maps(tokens, Some(bias.clone()), Some(image_context));
    let image = vision.forward_with_maps(image, None, Some(text_context));
    let (tokens, image_tokens) = (text.hidden.clone(), image.hidden.clone());
    maps.push(CoAttentionMaps::new(text, image));
    FusionInput { text: FusionText { tokens, bias }, image: image_tokens }
}

/// The last layer that is asked for; without one, the states before it are the result.
struct LastLayer<'a>(Option<Layer<'a>>);

impl LastLayer<'_> {
    /// Text tokens, `[B, L, D]`.
    fn text(&self, FusionInput { text, image }: FusionInput) -> Tensor<3> {
        let Some((language, _)) = self.0 else { return text.tokens };
        language.forward(text.tokens, Some(text.bias), Some(Context { hidden: image, bias: None }))
    }

    /// The first text token, `[B, 1, D]`, for which the others are keys and values only.
    fn first_text(&self, FusionInput { text, image }: FusionInput) -> Tensor<3> {
        let Some((language, _)) = self.0 else { return text.tokens };
        language.forward_first(text.tokens, Some(text.bias), Some(Context { hidden: image, bias: None }))
    }

    /// Image tokens, `[B, 1+K, D]`.
    fn image(&self, FusionInput { text, image }: FusionInput) -> Tensor<3> {
        let Some((_, vision)) = self.0 else { return image };
        vision.forward(image, None, Some(Context { hidden: text.tokens, bias: Some(text.bias) }))
    }

    /// The class token, `[B, 1, D]`.
    fn first_image(&self, FusionInput { text, image }: FusionInput) -> Tensor<3> {
        let Some((_, vision)) = self.0 else { return image };
        vision.forward_first(image, None, Some(Context { hidden: text.tokens, bias: Some(text.bias) }))
    }
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
