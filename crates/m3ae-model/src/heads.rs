//! The prediction heads (docs/spec.md, section 1.5).

use burn::module::Param;
use burn::nn::{Initializer, Linear};
use burn::prelude::*;
use burn::tensor::activation::gelu;
use m3ae_nn::{Precision, linear};

use crate::fusion::FUSION_EPSILON;
use crate::init::Init;
use crate::layers::{LayerNorm, NORM_EPSILON};

/// dense -> GELU -> layer norm.
#[derive(Module, Debug)]
pub struct MlmTransform {
    /// `D -> D`.
    pub dense: Linear,
    /// Epsilon 1e-12.
    pub layer_norm: LayerNorm,
}

/// Masked language modelling: scores over the vocabulary for each token state.
#[derive(Module, Debug)]
pub struct MlmHead {
    /// Before the vocabulary projection.
    pub transform: MlmTransform,
    /// `D -> V`, without bias.
    pub decoder: Linear,
    /// `[V]`
    pub bias: Param<Tensor<1>>,
}

impl MlmHead {
    pub(crate) fn new(width: usize, vocab_size: usize, init: &Init, device: &Device) -> Self {
        Self {
            transform: MlmTransform {
                dense: init.linear(width, width, device),
                layer_norm: LayerNorm::new(width, FUSION_EPSILON, device),
            },
            decoder: init.linear_without_bias(width, vocab_size, device),
            bias: Initializer::Zeros.init([vocab_size], device),
        }
    }

    /// `[rows, D]` -> `[rows, V]`. Rows may be all tokens or only those whose prediction matters.
    pub fn forward(&self, tokens: Tensor<2>, precision: Precision) -> Tensor<2> {
        let x = gelu(linear(tokens, &self.transform.dense, precision));
        linear(self.transform.layer_norm.forward(x), &self.decoder, precision) + self.bias.val().unsqueeze::<2>()
    }
}

/// Image-text matching: two logits, 1 = matched.
#[derive(Module, Debug)]
pub struct ItmHead {
    /// `2D -> 2`.
    pub fc: Linear,
}

impl ItmHead {
    pub(crate) fn new(width: usize, init: &Init, device: &Device) -> Self {
        Self { fc: init.linear(2 * width, 2, device) }
    }

    /// `[B, 2D]` -> `[B, 2]`.
    pub fn forward(&self, cls: Tensor<2>, precision: Precision) -> Tensor<2> {
        linear(cls, &self.fc, precision)
    }
}

/// Question answering and classification: `2D -> 2D` -> layer norm -> GELU -> classes.
#[derive(Module, Debug)]
pub struct ClassifierHead {
    /// `2D -> 2D`.
    pub dense: Linear,
    /// Epsilon 1e-5.
    pub norm: LayerNorm,
    /// `2D -> classes`.
    pub classifier: Linear,
}

impl ClassifierHead {
    pub(crate) fn new(width: usize, classes: usize, init: &Init, device: &Device) -> Self {
        Self {
            dense: init.linear(2 * width, 2 * width, device),
            norm: LayerNorm::new(2 * width, NORM_EPSILON, device),
            classifier: init.linear(2 * width, classes, device),
        }
    }

    /// `[B, 2D]` -> `[B, classes]`.
    pub fn forward(&self, cls: Tensor<2>, precision: Precision) -> Tensor<2> {
        let x = gelu(self.norm.forward(linear(cls, &self.dense, precision)));
        linear(x, &self.classifier, precision)
    }
}
