//! Multiply-adds of the model's matrix products, counted from its sizes: what a part has to compute at the least.
//!
//! A product of `[r, i]` with `[i, o]` is `r · i · o` multiply-adds. Its backward pass is two of the same size, for the
//! gradients of both operands; one where an operand needs none. What a kernel computes a second time to keep less, and
//! everything that is no product, is not counted. One multiply-add is two operations (FLOP).

use std::iter::Sum;
use std::ops::{Add, Mul};

use m3ae_model::{ClipVisionConfig, FusionConfig, M3aeConfig, TextConfig};
use serde::Serialize;

/// Multiply-adds of products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Products {
    /// Of the forward pass.
    pub forward: u64,
    /// Of the backward pass.
    pub backward: u64,
}

impl Add for Products {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { forward: self.forward + other.forward, backward: self.backward + other.backward }
    }
}

impl Mul<usize> for Products {
    type Output = Self;

    fn mul(self, times: usize) -> Self {
        Self { forward: self.forward * times as u64, backward: self.backward * times as u64 }
    }
}

impl Sum for Products {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// A linear layer over `rows` tokens.
fn linear(rows: usize, input: usize, output: usize) -> Products {
    let forward = (rows * input * output) as u64;
    Products { forward, backward: 2 * forward }
}

/// Scores and weighted values of attention between its projections, whatever the number of heads.
fn attention(batch: usize, queries: usize, keys: usize, width: usize) -> Products {
    linear(batch * queries, width, keys) * 2
}

/// `layers` blocks of CLIP's kind over `[batch, tokens, width]`.
fn blocks(layers: usize, batch: usize, tokens: usize, width: usize) -> Products {
    let rows = batch * tokens;
    let block = linear(rows, width, 3 * width)
        + attention(batch, tokens, tokens, width)
        + linear(rows, width, width)
        + linear(rows, width, 4 * width)
        + linear(rows, 4 * width, width);
    block * layers
}

/// CLIP's vision encoder on `images`, of whose patches it reads `visible`, and the class token; all are embedded.
pub fn vision(clip: &ClipVisionConfig, images: usize, visible: usize) -> Products {
    let embedding = linear(images * clip.patches(), 3 * clip.patch_size * clip.patch_size, clip.width);
    // Pixels need no gradient.
    let embedding = Products { backward: embedding.forward, ..embedding };
    embedding + blocks(clip.layers, images, 1 + visible, clip.width)
}

/// The text encoder on `texts` of `length` tokens.
pub fn text(config: &TextConfig, texts: usize, length: usize) -> Products {
    let (rows, width) = (texts * length, config.width);
    let layer = linear(rows, width, width) * 4
        + attention(texts, length, length, width)
        + linear(rows, width, config.intermediate)
        + linear(rows, config.intermediate, width);
    layer * config.layers
}

/// Both encodings' way into the fusion's space, for so many tokens.
pub fn projections(config: &M3aeConfig, text_tokens: usize, image_tokens: usize) -> Products {
    linear(text_tokens, config.text.width, config.fusion.width)
        + linear(image_tokens, config.vision.output_width(), config.fusion.width)
}

/// Pairs in the fusion: how many, and of how many tokens.
#[derive(Debug, Clone, Copy)]
pub struct Pairs {
    pub count: usize,
    pub text: usize,
    pub image: usize,
}

/// One stack's layer: `queries` of its `own` tokens read all own and the other stack's `context`.
fn fusion_layer(config: &FusionConfig, pairs: usize, queries: usize, own: usize, context: usize) -> Products {
    let (width, inner) = (config.width, config.mlp_ratio * config.width);
    let attend = |keys: usize| {
        // Query and output, key and value.
        linear(pairs * queries, width, width) * 2
            + linear(pairs * keys, width, width) * 2
            + attention(pairs, queries, keys, width)
    };
    let rows = pairs * queries;
    attend(own) + attend(context) + linear(rows, width, inner) + linear(rows, inner, width)
}

/// The first `depth` layers of both stacks.
pub fn fusion(config: &FusionConfig, Pairs { count, text, image }: Pairs, depth: usize) -> Products {
    (fusion_layer(config, count, text, text, image) + fusion_layer(config, count, image, image, text)) * depth
}

/// A layer of the text stack alone.
pub fn text_layer_of_fusion(config: &FusionConfig, Pairs { count, text, image }: Pairs) -> Products {
    fusion_layer(config, count, text, text, image)
}

/// The last layer of both stacks for the first tokens, and their poolers.
pub fn pooled(config: &FusionConfig, Pairs { count, text, image }: Pairs) -> Products {
    fusion_layer(config, count, 1, text, image)
        + fusion_layer(config, count, 1, image, text)
        + linear(count, config.width, config.width) * 2
}

/// A pair's whole way through the fusion to its pooled features.
pub fn fusion_of_pairs(config: &FusionConfig, pairs: Pairs) -> Products {
    fusion(config, pairs, config.layers.saturating_sub(1)) + pooled(config, pairs)
}

/// Masked language modelling's head on so many masked tokens.
pub fn mlm_head(config: &M3aeConfig, tokens: usize) -> Products {
    let width = config.fusion.width;
    linear(tokens, width, width) + linear(tokens, width, config.text.vocab_size)
}

/// Masked image modelling's decoder on `images` with so many visible patches.
pub fn mim_head(config: &M3aeConfig, images: usize, visible: usize) -> Products {
    let (decoder, patches, side) = (&config.mim, config.vision.patches(), config.vision.patch_size());
    linear(images * (1 + visible), config.fusion.width, decoder.width)
        + blocks(decoder.layers, images, 1 + patches, decoder.width)
        + linear(images * patches, decoder.width, 3 * side * side)
}

/// Image-text matching's head.
pub fn itm_head(config: &M3aeConfig, pairs: usize) -> Products {
    linear(pairs, 2 * config.fusion.width, 2)
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::prelude::*;

    use super::*;

    /// Entries of a module's matrices.
    fn entries<M: Module>(module: &M) -> u64 {
        struct Matrices(u64);
        impl ModuleVisitor for Matrices {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if D == 2 {
                    self.0 += param.val().shape().num_elements() as u64;
                }
            }
        }
        let mut matrices = Matrices(0);
        module.visit(&mut matrices);
        matrices.0
    }

    /// A single token meets every entry of every matrix once, and in each attention itself alone, twice.
    #[test]
    fn one_token_meets_each_weight_once() {
        let config = M3aeConfig::small();
        let model = config.init(&Device::default()).unwrap();
        let one = Pairs { count: 1, text: 1, image: 1 };
        let (text_width, width) = (config.text.width as u64, config.fusion.width as u64);

        let weights = entries(&model.language_encoder.encoder);
        assert_eq!(text(&config.text, 1, 1).forward, weights + 2 * text_width * config.text.layers as u64);

        let stacks = entries(&model.multi_modal_language_layers) + entries(&model.multi_modal_vision_layers);
        let attentions = 4 * config.fusion.layers as u64;
        let fused = fusion(&config.fusion, one, config.fusion.layers);
        assert_eq!(fused.forward, stacks + 2 * width * attentions);
        let poolers = entries(&model.multi_modal_language_pooler) + entries(&model.multi_modal_vision_pooler);
        assert_eq!(fusion_of_pairs(&config.fusion, one).forward, fused.forward + poolers);

        let clip = config.vision.clip().unwrap();
        let blocks = entries(&model.vision_encoder.clip().unwrap().visual.transformer);
        let embedding = (clip.patches() * 3 * clip.patch_size * clip.patch_size * clip.width) as u64;
        let seen = vision(clip, 1, 0);
        assert_eq!(seen.forward, embedding + blocks + 2 * (clip.width * clip.layers) as u64);
        assert_eq!(seen.backward, 2 * seen.forward - embedding);

        assert_eq!(mlm_head(&config, 1).forward, entries(&model.mlm_head));
        assert_eq!(itm_head(&config, 1).forward, entries(&model.itm_head));
        let projections = projections(&config, 1, 1).forward;
        assert_eq!(projections, entries(&model.multi_modal_language_proj) + entries(&model.multi_modal_vision_proj));
    }

    #[test]
    fn attention_grows_with_both_lengths_and_the_decoder_reads_every_patch() {
        assert_eq!(attention(2, 3, 5, 8), Products { forward: 2 * 2 * 3 * 5 * 8, backward: 4 * 2 * 3 * 5 * 8 });
        let config = M3aeConfig::small();
        let (patches, width) = (config.vision.patches(), config.mim.width);
        let decoder = mim_head(&config, 2, 16);
        let outside = 2 * (17 * config.fusion.width * width + patches * width * 3 * 8 * 8);
        assert_eq!(decoder.forward, blocks(config.mim.layers, 2, 1 + patches, width).forward + outside as u64);
    }
}
