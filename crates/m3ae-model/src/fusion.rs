//! Multi-modal fusion: two stacks of co-attention layers that read each other (paper, section 3.1; docs/spec.md,
//! section 1.4).

mod request;
#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::activation::tanh;
use m3ae_nn::{Precision, linear};

use crate::config::FusionConfig;
use crate::init::Init;
use crate::layers::{BertLayer, BertLayerSizes, Context, LayerOptions, LayerOutput};
use request::narrow;
pub use request::{CoAttentionMaps, FusedStates, FusionOutput, FusionRequest, Nothing, Pairs, Wanted};

/// The epsilon of the fusion's layer norms (docs/spec.md, section 1.4).
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
    pub fn forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<2> {
        tanh(linear(x.narrow(1, 0, 1).squeeze_dim::<2>(1), &self.dense, precision))
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

/// The two stacks and their poolers.
pub(crate) struct CoAttention<'a> {
    pub language: &'a [BertLayer],
    pub vision: &'a [BertLayer],
    pub language_pooler: &'a Pooler,
    pub vision_pooler: &'a Pooler,
    /// Whether a class token stands for the image (CLIP); if not, the mean over its tokens does (Swin; docs/spec.md,
    /// section 1.2).
    pub class_token: bool,
    /// Of matrix products.
    pub precision: Precision,
}

impl CoAttention<'_> {
    /// Runs both stacks, the last layer only as far as `request` reads it. Layer l of each stack reads the *inputs* of
    /// layer l of the other.
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
            let maps;
            (input, maps) = self.forward(layer, input, request.attention);
            attention.extend(maps);
        }
        let last = LastLayer { layer: layers.clone().take(depth).nth(before), precision: self.precision };

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
        let text = self.language_pooler.forward(text, self.precision);
        let image = if self.class_token { image } else { image.mean_dim(1) };
        Tensor::cat(vec![text, self.vision_pooler.forward(image, self.precision)], 1)
    }

    /// All tokens through a layer, with the attention's maps if they are asked for.
    fn forward(
        &self,
        (language, vision): Layer<'_>,
        input: FusionInput,
        need_weights: bool,
    ) -> (FusionInput, Option<CoAttentionMaps>) {
        let FusionInput { text: FusionText { tokens, bias }, image } = input;
        let options = LayerOptions { need_weights, precision: self.precision, ..LayerOptions::default() };
        let for_text = LayerOptions {
            bias: Some(bias.clone()),
            context: Some(Context { hidden: image.clone(), bias: None }),
            ..options.clone()
        };
        let for_image =
            LayerOptions { context: Some(Context { hidden: tokens.clone(), bias: Some(bias.clone()) }), ..options };
        let (text, image) = (language.forward(tokens, for_text), vision.forward(image, for_image));
        let next = FusionInput { text: FusionText { tokens: text.hidden.clone(), bias }, image: image.hidden.clone() };
        (next, CoAttentionMaps::new(text, image))
    }
}

/// The same layer of the text and the image stack.
type Layer<'a> = (&'a BertLayer, &'a BertLayer);

/// The last layer that is asked for; without one, the states before it are the result.
struct LastLayer<'a> {
    layer: Option<Layer<'a>>,
    precision: Precision,
}

impl LastLayer<'_> {
    /// Text tokens, `[B, L, D]`.
    fn text(&self, input: FusionInput) -> Tensor<3> {
        self.text_tokens(input, false)
    }

    /// The first text token, `[B, 1, D]`.
    fn first_text(&self, input: FusionInput) -> Tensor<3> {
        self.text_tokens(input, true)
    }

    fn text_tokens(&self, FusionInput { text, image }: FusionInput, first_only: bool) -> Tensor<3> {
        let Some((language, _)) = self.layer else { return text.tokens };
        let context = Some(Context { hidden: image, bias: None });
        language.forward(text.tokens, self.options(Some(text.bias), context, first_only)).hidden
    }

    /// Image tokens, `[B, 1+K, D]`.
    fn image(&self, input: FusionInput) -> Tensor<3> {
        self.image_tokens(input, false)
    }

    /// The class token, `[B, 1, D]`.
    fn first_image(&self, input: FusionInput) -> Tensor<3> {
        self.image_tokens(input, true)
    }

    fn image_tokens(&self, FusionInput { text, image }: FusionInput, first_only: bool) -> Tensor<3> {
        let Some((_, vision)) = self.layer else { return image };
        let context = Some(Context { hidden: text.tokens, bias: Some(text.bias) });
        vision.forward(image, self.options(None, context, first_only)).hidden
    }

    fn options(&self, bias: Option<Tensor<4>>, context: Option<Context>, first_only: bool) -> LayerOptions {
        LayerOptions { bias, context, first_only, need_weights: false, precision: self.precision }
    }
}

impl CoAttentionMaps {
    /// `None` if the layers were not asked for them.
    fn new(text: LayerOutput, image: LayerOutput) -> Option<Self> {
        Some(Self {
            text_self: text.self_attention?,
            text_to_image: text.cross_attention,
            image_self: image.self_attention?,
            image_to_text: image.cross_attention,
        })
    }
}
