//! The work that is measured: real steps of a model with random weights on random inputs.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::Distribution;
use m3ae_model::{
    ClipVisionConfig, FusionConfig, HeadsConfig, M3ae, M3aeConfig, MimConfig, TextConfig, VisiblePatches,
};
use m3ae_model::{Precision, with_precision};
use m3ae_train::{
    AdamW, AdamWConfig, MaskedTokens, Matching, ObjectiveWeights, PretrainBatch, gradient_norms, pretrain_step,
    vqa_loss,
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A pre-training step.
    Pretrain,
    /// A fine-tuning step.
    Finetune,
    /// Answers without training.
    Infer,
}

impl Kind {
    /// The peer's word for it.
    pub fn of_peer(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Finetune => "vqa",
            Self::Infer => "infer",
        }
    }
}

/// Sizes of the work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// Samples in a step.
    pub batch: usize,
    /// Image side in pixels.
    pub image: usize,
    /// Tokens of each text.
    pub text: usize,
    /// A model of width 192 instead of the published one.
    pub small: bool,
    /// bfloat16 products.
    pub bf16: bool,
}

/// Answers of VQA-RAD.
const ANSWERS: usize = 498;
const VOCABULARY: usize = 50_265;

impl Size {
    fn model(&self, kind: Kind) -> M3aeConfig {
        let mut config = M3aeConfig::m3ae_base();
        if self.small {
            config = M3aeConfig::new(
                ClipVisionConfig::new().with_width(192).with_layers(6),
                TextConfig::new().with_width(192).with_heads(6).with_layers(2).with_intermediate(768),
                FusionConfig::new().with_width(192).with_heads(6).with_layers(3),
                MimConfig::new().with_width(96).with_heads(3).with_layer(Some(1)),
                HeadsConfig::new(),
            );
        }
        config.vision.image_size = self.image;
        if kind != Kind::Pretrain {
            config.heads = HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_vqa(Some(ANSWERS));
        }
        config
    }
}

/// Seconds of each of `steps` steps, the first of which warms up and is left out; and the model's parameters.
pub fn run(kind: Kind, size: Size, steps: usize, device: &Device) -> Result<(Vec<f64>, usize)> {
    ensure!(size.batch > 0 && size.text > 0 && steps > 0, "--batch, --text and --steps are at least 1");
    let config = size.model(kind);
    ensure!(
        size.image >= config.vision.patch_size && size.image.is_multiple_of(config.vision.patch_size),
        "--image {} is no multiple of the patch size {}",
        size.image,
        config.vision.patch_size
    );
    ensure!(
        size.text <= config.text.max_length(),
        "--text {}: the text encoder ends at {}",
        size.text,
        config.text.max_length()
    );
    let device = if kind == Kind::Infer { device.clone() } else { device.clone().autodiff() };
    device.seed(0);
    let mut model = config.init(&device)?;
    let parameters = model.num_params();
    let mut optimizer = AdamW::new(AdamWConfig::published(1e-5));
    let inputs = Inputs::new(size, &device);
    let mut seconds = Vec::with_capacity(steps);
    for step in 0..=steps {
        let start = Instant::now();
        let precision = if size.bf16 { Precision::Bf16 } else { Precision::F32 };
        model = with_precision(precision, || one(kind, model, &mut optimizer, &inputs))?;
        device.sync().context("the device")?;
        if step > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok((seconds, parameters))
}

/// One step, as the training loop makes it.
fn one(kind: Kind, model: M3ae, optimizer: &mut AdamW, inputs: &Inputs) -> Result<M3ae> {
    let Inputs { image, ids, mask, .. } = inputs;
    let loss = match kind {
        Kind::Pretrain => {
            pretrain_step(&model, &inputs.pretraining(model.patch_size()))?.total(ObjectiveWeights::default())
        }
        Kind::Finetune | Kind::Infer => {
            let head = model.vqa_head.as_ref().context("a model without vqa head")?;
            let logits = head.forward(model.forward_pooled(image.clone(), ids.clone(), mask.clone()));
            let targets = logits.zeros_like();
            vqa_loss(logits, targets)
        }
    };
    let value = loss.clone().into_scalar::<f32>();
    ensure!(value.is_finite(), "the loss is {value}");
    if kind == Kind::Infer {
        return Ok(model);
    }
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    ensure!(gradient_norms(&model, &gradients).total.is_finite(), "a gradient that is not finite");
    Ok(optimizer.step(model, gradients, 1.0))
}

struct Inputs {
    image: Tensor<4>,
    ids: Tensor<2, Int>,
    mask: Tensor<2, Int>,
    size: Size,
}

impl Inputs {
    fn new(size: Size, device: &Device) -> Self {
        let Size { batch, image, text, .. } = size;
        let image = Tensor::random([batch, 3, image, image], Distribution::Normal(0.0, 1.0), device);
        let ids = Tensor::<1, Int>::arange(0..(batch * text) as i64, device)
            .mul_scalar(7919)
            .remainder_scalar(VOCABULARY as i64 - 100);
        let ids = ids.add_scalar(5).reshape([batch, text]);
        let mask = ids.ones_like();
        Self { image, ids, mask, size }
    }

    /// A seventh of the tokens masked, a quarter of the patches visible, half of the pairs torn apart.
    fn pretraining(&self, patch: usize) -> PretrainBatch {
        let (batch, device) = (self.size.batch, self.image.device());
        let tokens = batch * self.size.text;
        let positions: Vec<i64> = (0..tokens as i64).filter(|i| i % 7 == 1).collect();
        let positions = Tensor::<1, Int>::from_data(positions.as_slice(), &device);
        let flat = self.ids.clone().reshape([tokens]);
        let patches = (self.size.image / patch).pow(2);
        let kept = patches / 4;
        let places = Tensor::<1, Int>::arange(0..patches as i64, &device).unsqueeze::<2>().repeat_dim(0, batch);
        let torn = batch / 2;
        let labels = Tensor::<1, Int>::arange(0..batch as i64, &device).lower_elem((batch - torn) as i64).int();
        PretrainBatch {
            image: self.image.clone(),
            text_ids: self.ids.clone(),
            text_mask: self.mask.clone(),
            mlm: MaskedTokens {
                ids: self.ids.clone(),
                positions: positions.clone(),
                targets: flat.select(0, positions),
            },
            visible: VisiblePatches {
                ids_keep: places.clone().narrow(1, 0, kept),
                ids_restore: places.clone(),
                mask: places.greater_equal_elem(kept as i64).float(),
            },
            itm: Matching {
                false_image: self.image.clone().narrow(0, 0, torn),
                // Matched pairs first; the others look at a false image.
                rows: Tensor::<1, Int>::arange(0..batch as i64, &device)
                    + labels.clone().equal_elem(0).int().mul_scalar(torn as i64),
                labels,
            },
        }
    }
}
