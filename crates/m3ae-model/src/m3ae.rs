//! The whole model, in the paper's order: encode each modality, fuse, pool, predict.

use burn::nn::{Embedding, Linear};
use burn::prelude::*;
use m3ae_nn::{Precision, linear};

use crate::config::{M3aeConfig, VisionConfig};
use crate::error::{ConfigError, MaskingUnsupported};
use crate::fusion::{CoAttention, FusedStates, FusionInput, FusionOutput, FusionRequest, FusionText, Pooler, Wanted};
use crate::heads::{ClassifierHead, ItmHead, MlmHead};
use crate::init::{INIT_STD, Init, draw_matrices};
use crate::inputs::{Texts, padding_bias};
use crate::layers::BertLayer;
use crate::mim::MimHead;
use crate::text::TextEncoder;
use crate::vision::VisionEncoder;

/// M3AE (paper section 3). Field names are the reference's parameter names, so the state dictionary reads the same.
#[derive(Module, Debug)]
pub struct M3ae {
    /// CLIP's vision transformer, or Swin.
    pub vision_encoder: VisionEncoder,
    /// RoBERTa or BERT.
    pub language_encoder: TextEncoder,
    /// Text width -> D.
    pub multi_modal_language_proj: Linear,
    /// Image width -> D.
    pub multi_modal_vision_proj: Linear,
    /// Row 0 is added to text tokens, row 1 to image tokens.
    pub modality_type_embeddings: Embedding,
    /// The image stack of the fusion.
    pub multi_modal_vision_layers: Vec<BertLayer>,
    /// The text stack of the fusion.
    pub multi_modal_language_layers: Vec<BertLayer>,
    /// Pools the image stack.
    pub multi_modal_vision_pooler: Pooler,
    /// Pools the text stack.
    pub multi_modal_language_pooler: Pooler,
    /// Masked language modelling.
    pub mlm_head: Option<MlmHead>,
    /// Masked image modelling.
    pub mim_head: Option<MimHead>,
    /// Image-text matching.
    pub itm_head: Option<ItmHead>,
    /// Question answering.
    pub vqa_head: Option<ClassifierHead>,
    /// Classification.
    pub cls_head: Option<ClassifierHead>,
    /// Image-text retrieval: the score of a pair.
    pub irtr_head: Option<Linear>,
    mim_layer: usize,
    patch_size: usize,
    norm_pix_loss: bool,
    #[module(skip)]
    precision: Precision,
}

impl M3aeConfig {
    /// Initialises a model with Normal(0, `initializer_range`) weights; the vision encoder as CLIP (or Swin) does. Seed
    /// the device first for reproducible weights.
    ///
    /// # Errors
    /// A configuration that no model can be built from.
    pub fn init(&self, device: &Device) -> Result<M3ae, ConfigError> {
        self.validate()?;
        let width = self.fusion.width;
        let heads = &self.heads;
        let init = &Init::fresh(self.initializer_range);
        let vision_encoder = match &self.vision {
            VisionConfig::Clip(clip) => VisionEncoder::Clip(clip.init(device)),
            VisionConfig::Swin(swin) => VisionEncoder::Swin(swin.init(device)?),
        };
        let model = M3ae {
            vision_encoder,
            language_encoder: self.text.init_from(init, device),
            multi_modal_language_proj: init.linear(self.text.width, width, device),
            multi_modal_vision_proj: init.linear(self.vision.output_width(), width, device),
            modality_type_embeddings: init.embedding(2, width, device),
            multi_modal_vision_layers: self.fusion.init_stack(init, device),
            multi_modal_language_layers: self.fusion.init_stack(init, device),
            multi_modal_vision_pooler: Pooler::new(width, init, device),
            multi_modal_language_pooler: Pooler::new(width, init, device),
            mlm_head: heads.mlm.then(|| MlmHead::new(width, self.text.vocab_size, init, device)),
            mim_head: heads
                .mim
                .then(|| self.mim.init(width, self.vision.grid(), self.vision.patch_size(), init, device)),
            itm_head: heads.itm.then(|| ItmHead::new(width, init, device)),
            vqa_head: heads.vqa.map(|answers| ClassifierHead::new(width, answers, init, device)),
            cls_head: heads.cls.map(|classes| ClassifierHead::new(width, classes, init, device)),
            irtr_head: heads.irtr.then(|| init.linear(2 * width, 1, device)),
            mim_layer: self.mim.layer.unwrap_or(self.fusion.layers),
            patch_size: self.vision.patch_size(),
            norm_pix_loss: self.mim.norm_pix_loss,
            precision: Precision::F32,
        };
        if self.initializer_range != INIT_STD {
            draw_matrices(&model);
        }
        Ok(model)
    }
}

impl M3ae {
    /// The same model with this precision of matrix products; a new or loaded model has float32. Weights stay float32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The precision of matrix products, for the heads.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Encodes texts `[B, L]` -> `[B, L, text width]`.
    pub fn encode_text(&self, texts: Texts) -> Tensor<3> {
        self.language_encoder.forward(texts.ids, texts.mask, self.precision).last()
    }

    /// Encodes whole images `[B, 3, S, S]` -> `[B, 1+N, image width]`; Swin, without a class token, gives `[B, n, image
    /// width]`.
    pub fn encode_image(&self, image: Tensor<4>) -> Tensor<3> {
        self.vision_encoder.forward(image, self.precision).features
    }

    /// Encodes only the patches `ids_keep` `[B, K]` of images `[B, 3, S, S]` -> `[B, 1+K, image width]`.
    ///
    /// # Errors
    /// The vision encoder is Swin, which cannot leave patches out.
    pub fn encode_visible(&self, image: Tensor<4>, ids_keep: Tensor<2, Int>) -> Result<Tensor<3>, MaskingUnsupported> {
        Ok(self.vision_encoder.forward_visible(image, ids_keep, self.precision)?.features)
    }

    /// Text encoding into the fusion's space: projection, plus modality type 0. `[B, L, text width]` -> `[B, L, D]`.
    pub fn project_text(&self, text: Tensor<3>) -> Tensor<3> {
        linear(text, &self.multi_modal_language_proj, self.precision) + self.modality_type(0)
    }

    /// Image encoding into the fusion's space: projection, plus modality type 1. `[B, 1+K, image width]` -> `[B, 1+K,
    /// D]`.
    pub fn project_image(&self, image: Tensor<3>) -> Tensor<3> {
        linear(image, &self.multi_modal_vision_proj, self.precision) + self.modality_type(1)
    }

    /// Texts for the fusion: encoded and projected.
    pub fn fusion_text(&self, texts: Texts) -> FusionText {
        let bias = padding_bias(texts.mask.clone());
        FusionText { tokens: self.project_text(self.encode_text(texts)), bias }
    }

    /// Whole images `[B, 3, S, S]` for the fusion: encoded and projected, `[B, 1+N, D]`.
    pub fn fusion_image(&self, image: Tensor<4>) -> Tensor<3> {
        self.project_image(self.encode_image(image))
    }

    /// Pairs of a text and a whole image for the fusion: `texts` `[B, L]` and `image` `[B, 3, S, S]`.
    pub fn fusion_input(&self, texts: Texts, image: Tensor<4>) -> FusionInput {
        FusionInput { text: self.fusion_text(texts), image: self.fusion_image(image) }
    }

    fn modality_type(&self, row: usize) -> Tensor<3> {
        self.modality_type_embeddings.weight.val().narrow(0, row, 1).unsqueeze::<3>() // [1, 1, D]
    }

    /// Fuses texts and images, as deep as `request` says, and gives the states that it names.
    pub fn fuse<T: Wanted, I: Wanted, P: Wanted>(
        &self,
        input: FusionInput,
        request: FusionRequest<T, I, P>,
    ) -> FusionOutput<T::Given<Tensor<3>>, I::Given<Tensor<3>>, P::Given<Tensor<2>>> {
        let stacks = CoAttention {
            language: &self.multi_modal_language_layers,
            vision: &self.multi_modal_vision_layers,
            language_pooler: &self.multi_modal_language_pooler,
            vision_pooler: &self.multi_modal_vision_pooler,
            class_token: self.vision_encoder.clip().is_some(),
            precision: self.precision,
        };
        stacks.fuse(input, request)
    }

    /// One full pass: encode both, fuse, pool.
    ///
    /// - `texts`: `[B, L]`
    /// - `image`: `[B, 3, S, S]`
    pub fn forward(&self, texts: Texts, image: Tensor<4>) -> FusedStates {
        self.fuse(self.fusion_input(texts, image), FusionRequest::new().text(..).image(..).pooled(..))
    }

    /// Only the pooled features of [`forward`](Self::forward), `[B, 2D]`, for less work.
    pub fn forward_pooled(&self, texts: Texts, image: Tensor<4>) -> Tensor<2> {
        self.fuse(self.fusion_input(texts, image), FusionRequest::new().pooled(..)).pooled
    }

    /// How many fusion layers run before the state that masked image modelling reads (`mim_layer`; all of them for -1).
    #[must_use]
    pub fn mim_layer(&self) -> usize {
        self.mim_layer
    }

    /// Patch side P in pixels, as masked image modelling cuts images.
    #[must_use]
    pub fn patch_size(&self) -> usize {
        self.patch_size
    }

    /// Whether masked image modelling predicts normalised patches.
    #[must_use]
    pub fn norm_pix_loss(&self) -> bool {
        self.norm_pix_loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClipVisionConfig, FusionConfig, HeadsConfig, MimConfig, TextConfig};

    fn tiny() -> M3aeConfig {
        M3aeConfig::new(
            ClipVisionConfig::new().with_image_size(32).with_patch_size(8).with_width(64).with_layers(2),
            TextConfig::new()
                .with_vocab_size(50)
                .with_width(16)
                .with_layers(1)
                .with_heads(2)
                .with_intermediate(32)
                .with_max_positions(20),
            FusionConfig::new().with_width(24).with_heads(4).with_layers(2),
            MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(Some(1)),
            HeadsConfig::new().with_vqa(Some(7)),
        )
    }

    #[test]
    fn a_forward_pass_has_the_documented_shapes() {
        let device = Device::default();
        let model = tiny().init(&device).unwrap();
        let image = Tensor::<4>::zeros([2, 3, 32, 32], &device);
        let texts = Texts::new(&[vec![0, 5, 6, 2], vec![0, 7, 2]], 1, &device);
        let output = model.forward(texts, image);
        assert_eq!(output.text.dims(), [2, 4, 24]);
        assert_eq!(output.image.dims(), [2, 17, 24]);
        assert_eq!(output.pooled.dims(), [2, 48]);
        assert!(output.attention.is_empty());
        assert_eq!(model.vqa_head.as_ref().unwrap().forward(output.pooled, Precision::F32).dims(), [2, 7]);
    }

    #[test]
    fn the_initializer_range_scales_weights_and_leaves_norms_biases_and_positions() {
        let device = Device::default().autodiff();
        let deviation = |x: Tensor<2>| f64::from(x.var(0).mean().into_scalar::<f32>()).sqrt();
        let wide = tiny().with_initializer_range(0.1).init(&device).unwrap();
        let weight = wide.multi_modal_language_layers[0].intermediate.dense.weight.val();
        assert!(weight.is_require_grad());
        assert!((deviation(weight.inner()) - 0.1).abs() < 0.01);
        let norm = &wide.multi_modal_language_layers[0].output.layer_norm;
        assert_eq!(norm.gamma.val().inner().min().into_scalar::<f32>(), 1.0);
        let positions = |model: &M3ae| model.mim_head.as_ref().unwrap().decoder_pos_embed.val().into_data();
        positions(&wide).assert_eq(&positions(&tiny().init(&device).unwrap()), true);
    }

    #[test]
    fn the_precision_reaches_encoders_fusion_and_heads_and_stays_with_the_model() {
        let device = Device::default().autodiff();
        device.seed(4);
        let exact = tiny().init(&device).unwrap();
        assert_eq!(exact.precision(), Precision::F32);
        let rounded = exact.clone().with_precision(Precision::Bf16);
        for model in [rounded.clone().fork(&device), rounded.valid(), rounded.clone().map(&mut Same)] {
            assert_eq!(model.precision(), Precision::Bf16);
        }
        let (exact, rounded) = (exact.valid(), rounded.valid());
        let image = Tensor::<4>::random([2, 3, 32, 32], burn::tensor::Distribution::Default, &device.inner());
        let texts = || Texts::new(&[[0, 5, 6, 2], [0, 9, 8, 2]], 1, &image.device());
        let off = |a: Tensor<3>, b: Tensor<3>| {
            let scale = a.clone().abs().max().into_scalar::<f32>();
            (a - b).abs().max().into_scalar::<f32>() / scale
        };
        let stages = [
            off(exact.encode_text(texts()), rounded.encode_text(texts())),
            off(exact.encode_image(image.clone()), rounded.encode_image(image.clone())),
            {
                // The same input, so that only the fusion differs.
                let input = exact.fusion_input(texts(), image.clone());
                let pooled = |model: &M3ae| model.fuse(input.clone(), FusionRequest::new().pooled(..)).pooled;
                off(pooled(&exact).unsqueeze(), pooled(&rounded).unsqueeze())
            },
            {
                let pooled = exact.forward_pooled(texts(), image.clone());
                let logits = |precision| exact.vqa_head.as_ref().unwrap().forward(pooled.clone(), precision);
                off(logits(Precision::F32).unsqueeze(), logits(Precision::Bf16).unsqueeze())
            },
        ];
        assert!(stages.iter().all(|&off| off > 0.0 && off < 0.05), "{stages:?}");
    }

    /// Changes nothing.
    struct Same;

    impl burn::module::ModuleMapper for Same {}

    #[test]
    fn text_padding_changes_nothing() {
        let device = Device::default();
        device.seed(3);
        let model = tiny().init(&device).unwrap();
        let image = Tensor::<4>::random([1, 3, 32, 32], burn::tensor::Distribution::Default, &device);
        let short = model.forward(Texts::new(&[[0, 5, 2]], 1, &device), image.clone());
        let padded = Texts {
            ids: Tensor::from_data([[0, 5, 2, 1, 1]], &device),
            mask: Tensor::from_data([[1, 1, 1, 0, 0]], &device),
        };
        let padded = model.forward(padded, image);
        let difference = (short.pooled - padded.pooled).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
    }

    #[test]
    fn the_base_preset_has_366_million_parameters() {
        // Parameters are lazy: counting them allocates nothing.
        let model = M3aeConfig::base().init(&Device::default()).unwrap();
        let millions = model.num_params() as f64 / 1e6;
        assert!((365.0..367.5).contains(&millions), "{millions}");
    }
}
